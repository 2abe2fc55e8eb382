//! Memory descriptor lists (MDLs): the pages of a buffer that the I/O manager has locked for direct I/O.

use core::ptr::NonNull;

use wdk_sys::{
    _MEMORY_CACHING_TYPE::MmCached,
    _MM_PAGE_PRIORITY::NormalPagePriority,
    CSHORT, MDL, MDL_MAPPED_TO_SYSTEM_VA, MDL_PARTIAL_HAS_BEEN_MAPPED, MDL_SOURCE_IS_NONPAGED_POOL, PFN_NUMBER, ULONG,
    ntddk::{IoBuildPartialMdl, MmMapLockedPagesSpecifyCache, MmUnmapLockedPages},
};

use crate::{
    error::{Error, Result},
    shared_memory::SharedMemory,
    thread::KERNEL_MODE,
};

/// `MdlMappingNoExecute`. Not in every kit.
const MAPPING_NO_EXECUTE: u32 = 0x4000_0000;

/// With one of these `MappedSystemVa` is valid.
const MAPPED: u32 = MDL_MAPPED_TO_SYSTEM_VA | MDL_SOURCE_IS_NONPAGED_POOL;

/// `MmGetSystemAddressForMdlSafe`: maps the pages into system space, unless they are. The I/O manager takes the mapping back when the
/// request is completed.
///
/// # Errors
/// `STATUS_INSUFFICIENT_RESOURCES` if the system has no room for the mapping.
///
/// # Safety
/// The MDL must describe locked pages, and belong to an IRP that is owned, or be a partial MDL of such a one. At most `DISPATCH_LEVEL`.
pub(super) unsafe fn map(mdl: NonNull<MDL>) -> Result<()> {
    // SAFETY: promised by the caller.
    if unsafe { system_address(mdl) }.is_some() {
        return Ok(());
    }
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        reason = "an enumeration is signed in some kits, unsigned in others"
    )]
    let priority = NormalPagePriority as u32 | MAPPING_NO_EXECUTE;
    // SAFETY: the pages are locked, and not mapped yet. A failing kernel-mode mapping returns null: no bug check was asked for.
    let address = unsafe {
        MmMapLockedPagesSpecifyCache(mdl.as_ptr(), KERNEL_MODE, MmCached, core::ptr::null_mut(), 0, priority)
    };
    if address.is_null() {
        Err(Error::INSUFFICIENT_RESOURCES)
    } else {
        Ok(())
    }
}

/// Where the pages are mapped into system space, if they are.
///
/// # Safety
/// The MDL must be valid.
pub(super) unsafe fn system_address(mdl: NonNull<MDL>) -> Option<NonNull<u8>> {
    // SAFETY: promised by the caller.
    let flags = unsafe { (*mdl.as_ptr()).MdlFlags };
    if u32::from(flags.cast_unsigned()) & MAPPED == 0 {
        return None;
    }
    // SAFETY: promised by the caller; the flags say that this member is valid.
    NonNull::new(unsafe { (*mdl.as_ptr()).MappedSystemVa }.cast())
}

/// How many bytes are mapped at a time by [`with_part`]: a page's.
pub(super) const PART: usize = 0x1000;

/// An MDL with room for the pages that [`PART`] bytes take, wherever they begin.
#[repr(C)]
struct PartMdl {
    mdl: MDL,
    pages: [PFN_NUMBER; 2],
}

impl PartMdl {
    /// `MmInitializeMdl`, as far as `IoBuildPartialMdl` needs it: it fills in the rest.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        reason = "some 64 bytes"
    )]
    fn new() -> Self {
        let mdl = MDL {
            Size: size_of::<Self>() as CSHORT,
            ..MDL::default()
        };
        Self { mdl, pages: [0; 2] }
    }
}

/// Calls `f` with `length` bytes at `offset` of what the MDL describes, at most [`PART`] of them, mapped for the time of the call. However large the
/// buffer is, no more than these bytes' pages are mapped, and nothing is allocated: the partial MDL lies on the stack.
///
/// DDIs: `IoBuildPartialMdl`, `MmGetSystemAddressForMdlSafe`, `MmPrepareMdlForReuse`. See
/// [IoBuildPartialMdl](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-iobuildpartialmdl).
///
/// # Errors
/// `STATUS_INVALID_PARAMETER` for too many bytes, or bytes that it does not describe; `STATUS_INSUFFICIENT_RESOURCES` if the system has no room
/// for the mapping; what `f` returns.
///
/// # Safety
/// The MDL must describe locked pages, and belong to an IRP that is owned. At most `DISPATCH_LEVEL`.
pub(super) unsafe fn with_part(
    mdl: NonNull<MDL>,
    offset: usize,
    length: usize,
    f: impl FnOnce(&SharedMemory<'_>) -> Result<()>,
) -> Result<()> {
    // SAFETY: promised by the caller.
    let described = unsafe { byte_count(mdl) };
    let lies_within = offset.checked_add(length).is_some_and(|end| end <= described);
    if length == 0 || length > PART || !lies_within {
        return Err(Error::INVALID_PARAMETER);
    }
    // SAFETY: promised by the caller.
    if let Some(address) = unsafe { system_address(mdl) } {
        // SAFETY: the offset lies within what is mapped there.
        let address = unsafe { address.add(offset) };
        // SAFETY: the bytes are mapped, and stay so while the IRP is owned; nobody has a reference to them.
        return f(&unsafe { SharedMemory::new(address, length) });
    }
    let mut part = PartMdl::new();
    let part = NonNull::from(&mut part).cast::<MDL>();
    // SAFETY: promised by the caller.
    let start = unsafe { virtual_address(mdl) }.wrapping_byte_add(offset);
    #[expect(clippy::cast_possible_truncation, reason = "a page's length at most")]
    let bytes = length as ULONG;
    // SAFETY: the source describes locked pages, and the bytes; the target has room for their pages, on this stack, which a kernel-mode thread that
    // does not wait keeps in memory.
    unsafe { IoBuildPartialMdl(mdl.as_ptr(), part.as_ptr(), start, bytes) };
    // SAFETY: it is a partial MDL of the caller's.
    unsafe { map(part) }?;
    // SAFETY: as above.
    let address = unsafe { system_address(part) }.ok_or(Error::INSUFFICIENT_RESOURCES)?;
    // SAFETY: the bytes are mapped until this function takes the mapping back; nobody has a reference to them.
    let result = f(&unsafe { SharedMemory::new(address, length) });
    // SAFETY: as above.
    unsafe { prepare_for_reuse(part) };
    result
}

/// `MmPrepareMdlForReuse`: takes back the mapping of a partial MDL, if it has one of its own.
///
/// # Safety
/// The MDL must be valid. At most `DISPATCH_LEVEL`; nobody may use the mapping any more.
unsafe fn prepare_for_reuse(mdl: NonNull<MDL>) {
    // SAFETY: promised by the caller.
    let flags = unsafe { (*mdl.as_ptr()).MdlFlags };
    if u32::from(flags.cast_unsigned()) & MDL_PARTIAL_HAS_BEEN_MAPPED == 0 {
        return;
    }
    // SAFETY: promised by the caller; the flag says that this member is valid.
    let address = unsafe { (*mdl.as_ptr()).MappedSystemVa };
    // SAFETY: that is where the pages are mapped; promised by the caller.
    unsafe { MmUnmapLockedPages(address, mdl.as_ptr()) };
}

/// `MmGetMdlVirtualAddress`: a name for the first byte, which may be an address in another process. It is not to be reached by it.
///
/// # Safety
/// The MDL must be valid.
unsafe fn virtual_address(mdl: NonNull<MDL>) -> *mut core::ffi::c_void {
    // SAFETY: promised by the caller.
    let start = unsafe { (*mdl.as_ptr()).StartVa };
    // SAFETY: promised by the caller.
    let offset = unsafe { (*mdl.as_ptr()).ByteOffset };
    start.wrapping_byte_add(offset as usize)
}

/// `MmGetMdlByteCount`.
///
/// # Safety
/// The MDL must be valid.
pub(super) unsafe fn byte_count(mdl: NonNull<MDL>) -> usize {
    // SAFETY: promised by the caller.
    unsafe { (*mdl.as_ptr()).ByteCount as usize }
}
