//! Device memory: registers mapped into system space.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence, fence};

use wdk_sys::{
    PAGE_NOCACHE, PAGE_READWRITE, SIZE_T,
    ntddk::{MmMapIoSpaceEx, MmUnmapIoSpace},
};

use crate::{
    irql::{AtMostDispatch, Irql},
    resources::MemoryResource,
    status::{Result, Status},
};

/// What a range of device memory must be aligned to, in bytes, so that a register in it is aligned to its width.
const ALIGNMENT: i64 = 8;

/// The first `SIZE` bytes of a range of device memory, mapped uncached.
///
/// Register offsets are constants: that an access lies within the mapping and is aligned is checked when the driver is compiled,
/// and costs nothing when it runs. Accesses are volatile, each exactly one load or store of its width. A write is ordered before
/// everything that follows it, and a read before it, as `WRITE_REGISTER_ULONG` and `READ_REGISTER_ULONG` order them: what is read from memory that
/// the device shares, after a register has said that it is there, is there.
///
/// ```no_run
/// use wdm::{Irql, MmioRegion, Resources, Result, Status, irql::Passive};
///
/// const IDENTIFICATION: usize = 0x00;
///
/// /// While the device is started: the identification that its first memory range begins with.
/// fn identify(resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<u32> {
///     let memory = resources.memory(0).ok_or(Status::DEVICE_CONFIGURATION_ERROR)?;
///     let registers = MmioRegion::<0x100>::map(&memory, irql)?;
///     let identification = registers.read32::<IDENTIFICATION>();
///     registers.unmap(irql);
///     Ok(identification)
/// }
/// # fn main() {}
/// ```
///
/// There is no `Drop`: a region is given back by [`unmap`](Self::unmap), where the IRQL is known. The driver must do so when it is stopped:
/// a region that it keeps is memory it may access still, but the system may have given the addresses behind it to another device. Keep it
/// in a [`Revocable`](crate::Revocable).
pub struct MmioRegion<const SIZE: usize> {
    base: NonNull<u8>,
}

// SAFETY: the mapping is in system space, valid on every processor and thread, and each access is a single volatile one.
unsafe impl<const SIZE: usize> Send for MmioRegion<SIZE> {}
// SAFETY: as above.
unsafe impl<const SIZE: usize> Sync for MmioRegion<SIZE> {}

impl<const SIZE: usize> MmioRegion<SIZE> {
    /// Maps the beginning of `resource`.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `MmMapIoSpaceEx`.
    ///
    /// # Errors
    /// `STATUS_DEVICE_CONFIGURATION_ERROR` if the resource is shorter than `SIZE` or does not start at a multiple of 8; `STATUS_INSUFFICIENT_RESOURCES` if it cannot be
    /// mapped.
    pub fn map<L: AtMostDispatch>(resource: &MemoryResource<'_>, _irql: &mut Irql<L>) -> Result<Self> {
        const { assert!(SIZE != 0, "a mapping has a size") };
        // SAFETY: every bit pattern of this member is a number.
        let start = unsafe { resource.start.QuadPart };
        if resource.len() < SIZE as u64 || start % ALIGNMENT != 0 {
            return Err(Status::DEVICE_CONFIGURATION_ERROR);
        }
        // SAFETY: the PnP manager assigned this range of device memory to the device.
        let base = unsafe { MmMapIoSpaceEx(resource.start, SIZE as SIZE_T, PAGE_READWRITE | PAGE_NOCACHE) };
        let base = NonNull::new(base.cast()).ok_or(Status::INSUFFICIENT_RESOURCES)?;
        Ok(Self { base })
    }

    /// Gives the mapping back. IRQL: at most `DISPATCH_LEVEL`. DDI: `MmUnmapIoSpace`.
    pub fn unmap<L: AtMostDispatch>(self, _irql: &mut Irql<L>) {
        // SAFETY: this is what `map` returned, and `self` is the only one to have it.
        unsafe { MmUnmapIoSpace(self.base.as_ptr().cast(), SIZE as SIZE_T) };
    }

    /// # Safety
    /// [`check`] must have passed.
    unsafe fn read<T, const OFFSET: usize>(&self) -> T {
        // SAFETY: the offset lies within the mapping.
        let register = unsafe { self.base.byte_add(OFFSET) }.cast::<T>();
        // SAFETY: the whole register does, and is aligned because its offset is, and the beginning of the range.
        let value = unsafe { register.read_volatile() };
        // The processor keeps loads in order; the compiler must as well.
        compiler_fence(Ordering::SeqCst);
        value
    }

    /// # Safety
    /// [`check`] must have passed.
    unsafe fn write<T, const OFFSET: usize>(&self, value: T) {
        // SAFETY: as for a read.
        let register = unsafe { self.base.byte_add(OFFSET) }.cast::<T>();
        // SAFETY: as for a read.
        unsafe { register.write_volatile(value) };
        fence(Ordering::SeqCst);
    }

    /// Reads the 32-bit register at `OFFSET` bytes. Any IRQL.
    #[must_use]
    pub fn read32<const OFFSET: usize>(&self) -> u32 {
        const { check::<u32, SIZE>(OFFSET) };
        // SAFETY: checked.
        unsafe { self.read::<u32, OFFSET>() }
    }

    /// Writes the 32-bit register at `OFFSET` bytes. Any IRQL.
    pub fn write32<const OFFSET: usize>(&self, value: u32) {
        const { check::<u32, SIZE>(OFFSET) };
        // SAFETY: checked.
        unsafe { self.write::<u32, OFFSET>(value) };
    }

    /// Reads the 64-bit register at `OFFSET` bytes. Any IRQL.
    #[must_use]
    pub fn read64<const OFFSET: usize>(&self) -> u64 {
        const { check::<u64, SIZE>(OFFSET) };
        // SAFETY: checked.
        unsafe { self.read::<u64, OFFSET>() }
    }

    /// Writes the 64-bit register at `OFFSET` bytes. Any IRQL.
    pub fn write64<const OFFSET: usize>(&self, value: u64) {
        const { check::<u64, SIZE>(OFFSET) };
        // SAFETY: checked.
        unsafe { self.write::<u64, OFFSET>(value) };
    }
}

/// Checks that a register lies in a region of `SIZE` bytes, aligned to its width. Each access does so itself, so that what rustc reports names the line that
/// makes the access.
const fn check<T, const SIZE: usize>(offset: usize) {
    assert!(
        offset + size_of::<T>() <= SIZE,
        "the register lies outside the mapped region"
    );
    assert!(
        offset.is_multiple_of(size_of::<T>()),
        "the register is not aligned to its width"
    );
}

impl<const SIZE: usize> fmt::Debug for MmioRegion<SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MmioRegion").finish_non_exhaustive()
    }
}
