//! Memory descriptor lists (MDLs): the pages of a buffer that the I/O manager has locked for direct I/O.

use core::ptr::NonNull;

use wdk_sys::{
    _MEMORY_CACHING_TYPE::MmCached, _MM_PAGE_PRIORITY::NormalPagePriority, MDL, MDL_MAPPED_TO_SYSTEM_VA,
    MDL_SOURCE_IS_NONPAGED_POOL, ntddk::MmMapLockedPagesSpecifyCache,
};

use crate::{
    error::{Error, Result},
    irql::{AtMostDispatch, Irql},
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
/// The MDL must describe locked pages, and belong to an IRP that is owned.
pub(super) unsafe fn map<L: AtMostDispatch>(mdl: NonNull<MDL>, _irql: &mut Irql<L>) -> Result<()> {
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

/// `MmGetMdlByteCount`.
///
/// # Safety
/// The MDL must be valid.
pub(super) unsafe fn byte_count(mdl: NonNull<MDL>) -> usize {
    // SAFETY: promised by the caller.
    unsafe { (*mdl.as_ptr()).ByteCount as usize }
}
