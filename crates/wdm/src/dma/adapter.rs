//! DMA adapters.

use core::ptr::NonNull;

use wdk_sys::{DEVICE_OBJECT, DMA_ADAPTER, DMA_OPERATIONS, PHYSICAL_ADDRESS, ULONG, ntddk::IoGetDmaAdapter};

use super::description::{DeviceDescription, DeviceDescriptionV3};
use crate::{
    error::{Error, Result},
    irql::{Irql, Passive},
};

/// `CacheEnabled`: the system ignores it where DMA is coherent with the processors' caches, as it is on x64.
const CACHE_ENABLED: u8 = 1;

/// What the system knows of a device that does DMA: a `DMA_ADAPTER`. Its routines are reached through the table in it.
///
/// There is no `Drop`: it is [put](Self::put) where the IRQL is known. One that is forgotten leaks.
pub(super) struct DmaAdapter(NonNull<DMA_ADAPTER>);

// SAFETY: an adapter belongs to no thread, and its routines may be called by any.
unsafe impl Send for DmaAdapter {}
// SAFETY: as above; the routines that are called through a shared reference synchronise by themselves.
unsafe impl Sync for DmaAdapter {}

/// Memory of an adapter, as [`DmaAdapter::allocate_common_buffer`] gave it.
pub(super) struct CommonMemory {
    pub(super) base: NonNull<u8>,
    pub(super) logical: PHYSICAL_ADDRESS,
    pub(super) length: ULONG,
}

impl DmaAdapter {
    /// `IoGetDmaAdapter`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES` if there is none for the device.
    ///
    /// # Safety
    /// `pdo` must be the device's physical device object, and exist until the adapter is put.
    pub(super) unsafe fn get(
        pdo: NonNull<DEVICE_OBJECT>,
        description: DeviceDescription,
        _irql: &mut Irql<Passive>,
    ) -> Result<Self> {
        let mut description = DeviceDescriptionV3::new(description);
        let mut map_registers: ULONG = 0;
        // SAFETY: the object is a PDO, as promised; the description says by its version how long it is, and is read only; both it and the
        // number are local variables.
        let adapter = unsafe { IoGetDmaAdapter(pdo.as_ptr(), (&raw mut description).cast(), &raw mut map_registers) };
        NonNull::new(adapter).map(Self).ok_or(Error::INSUFFICIENT_RESOURCES)
    }

    /// `PutDmaAdapter`.
    ///
    /// # Safety
    /// All that was allocated from it must have been freed.
    pub(super) unsafe fn put(self, _irql: &mut Irql<Passive>) {
        if let Some(put) = self.operations().PutDmaAdapter {
            // SAFETY: the adapter is given up, and nothing of it is left, as promised.
            unsafe { put(self.0.as_ptr()) };
        }
    }

    /// `AllocateCommonBuffer`: `length` bytes, all 0, that both processor and device reach.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES` if there is no such memory.
    pub(super) fn allocate_common_buffer(&self, length: ULONG, _irql: &mut Irql<Passive>) -> Result<CommonMemory> {
        let allocate = self.operations().AllocateCommonBuffer.ok_or(Error::NOT_SUPPORTED)?;
        let mut logical = PHYSICAL_ADDRESS { QuadPart: 0 };
        // SAFETY: the adapter is there until it is put; the address is a local variable.
        let base = unsafe { allocate(self.0.as_ptr(), length, &raw mut logical, CACHE_ENABLED) };
        let base = NonNull::new(base.cast::<u8>()).ok_or(Error::INSUFFICIENT_RESOURCES)?;
        // SAFETY: the memory is new and that long, and no device knows of it yet.
        unsafe { base.write_bytes(0, length as usize) };
        Ok(CommonMemory { base, logical, length })
    }

    /// `FreeCommonBuffer`.
    ///
    /// # Safety
    /// The memory must come from this adapter; nobody may use it any more.
    pub(super) unsafe fn free_common_buffer(&self, memory: &CommonMemory, _irql: &mut Irql<Passive>) {
        if let Some(free) = self.operations().FreeCommonBuffer {
            // SAFETY: length, addresses and caching are those of the allocation; nobody uses the memory, as promised.
            unsafe {
                free(
                    self.0.as_ptr(),
                    memory.length,
                    memory.logical,
                    memory.base.as_ptr().cast(),
                    CACHE_ENABLED,
                );
            }
        }
    }

    fn operations(&self) -> &DMA_OPERATIONS {
        // SAFETY: the adapter is there until it is put.
        let operations = unsafe { (*self.0.as_ptr()).DmaOperations };
        // SAFETY: an adapter has a table. Kits that declare the first version of it only declare its beginning.
        unsafe { &*operations }
    }
}
