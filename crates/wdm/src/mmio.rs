//! Registers, mapped into system space.

use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{Ordering, compiler_fence, fence};

/// The first `SIZE` bytes of a range of device memory, mapped uncached.
///
/// Register offsets are constants: that an access lies within the mapping and is aligned is checked when the driver is compiled,
/// and costs nothing when it runs. Accesses are volatile, each exactly one load or store of its width. A write is ordered before
/// everything that follows it, and a read before it, as `WRITE_REGISTER_ULONG` and `READ_REGISTER_ULONG` order them: what is read from memory that
/// the device shares, after a register has said that it is there, is there.
///
/// It is lent by [`DeviceMemory::with`](crate::DeviceMemory::with), while the memory may be touched.
pub struct MmioRegion<const SIZE: usize> {
    base: NonNull<u8>,
}

// SAFETY: the mapping is in system space, valid on every processor and thread, and each access is a single volatile one.
unsafe impl<const SIZE: usize> Send for MmioRegion<SIZE> {}
// SAFETY: as above.
unsafe impl<const SIZE: usize> Sync for MmioRegion<SIZE> {}

impl<const SIZE: usize> MmioRegion<SIZE> {
    /// # Safety
    /// `SIZE` bytes must be mapped at `base`, which is aligned to 8, for as long as the value is used.
    pub(crate) const unsafe fn new(base: NonNull<u8>) -> Self {
        Self { base }
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
