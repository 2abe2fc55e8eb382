//! Common buffers: memory that processor and device share.

use core::fmt;
use core::ptr::NonNull;

use pinned_init::PinInit;

use super::{
    adapter::{CommonMemory, DmaAdapter},
    description::DeviceDescription,
};
use crate::{
    device::{DeviceInit, Handle, Header, KernelObject, Object},
    error::{Error, Result},
    irql::{Irql, Passive},
    resources::Resources,
    revocable::Revocable,
    shared_memory::SharedMemory,
};

/// By which address a device reaches memory: what its registers are told. Not a physical address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogicalAddress(u64);

impl LogicalAddress {
    /// The address, as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// A stretch of memory that the device reads and writes while the driver does, and the DMA adapter that it comes from.
///
/// It is empty until it is [allocated](Self::allocate) in [`start`](crate::DeviceExtension::start). Bytes are copied
/// in and out, each time with a check of the range; there is no reference to be had, since the device writes whenever it likes.
///
/// The driver does not free it: [the safe layer does](crate::DeviceExtension::dma_is_idle), when the device cannot write to it any more.
///
/// ```no_run
/// use wdm::{CommonBuffer, DeviceDescription, Irql, Resources, Result, Error, irql::Passive};
///
/// const DEVICE: DeviceDescription = DeviceDescription {
///     address_width: 28,
///     maximum_length: 4096,
///     scatter_gather: false,
/// };
///
/// /// In `start`. A device must not be told an address that is too wide for it.
/// fn acquire(buffer: &CommonBuffer, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
///     let address = buffer.allocate(resources, DEVICE, 4096, irql)?;
///     if address.get() + 4095 > 0x0FFF_FFFF {
///         return Err(Error::INSUFFICIENT_RESOURCES);
///     }
///     buffer.write(0, b"for the device")
/// }
/// # fn main() {}
/// ```
///
/// See [Using Common-Buffer Bus-Master DMA](https://learn.microsoft.com/windows-hardware/drivers/kernel/using-common-buffer-bus-master-dma).
pub struct CommonBuffer(Handle<Buffer>);

/// What is allocated, if anything.
pub(crate) struct Buffer {
    allocation: Revocable<Allocation>,
    header: NonNull<Header>,
}

/// The memory keeps its adapter: they are given back together, in this order.
struct Allocation {
    memory: CommonMemory,
    adapter: DmaAdapter,
    description: DeviceDescription,
}

// SAFETY: the memory belongs to no thread; it is copied to and from only, by instructions that others may run at the same time.
unsafe impl Send for Allocation {}
// SAFETY: as above.
unsafe impl Sync for Allocation {}

// SAFETY: what it holds is behind `Revocable`; the header is `Sync`.
unsafe impl Sync for Buffer {}

impl KernelObject for Buffer {
    fn object(&self) -> Object {
        Object::CommonBuffer(NonNull::from(self))
    }
}

impl CommonBuffer {
    /// An empty one.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        let empty = Buffer {
            allocation: Revocable::new(),
            header: device.header(),
        };
        device.object(empty, Self, |_, _irql| Ok(()))
    }

    /// Allocates `length` bytes, all 0, for the device that `description` describes; where the device finds them.
    ///
    /// A started device that is started once more may have its bytes still, because it was not [known](crate::DeviceExtension::dma_is_idle) to have
    /// finished with them. The same bytes are then returned, with what is in them.
    ///
    /// Only who has the device's resources can do so, which is [`start`](crate::DeviceExtension::start): an adapter that is there while the device is
    /// stopped, or is asked for when `IRP_MN_REMOVE_DEVICE` has gone down, breaks rules of the system.
    ///
    /// The system sees to it that the device can reach them. A driver whose device drives fewer address bits than the system knows
    /// how to honour checks the address, before it tells it to the device.
    ///
    /// IRQL: `PASSIVE_LEVEL`. DDIs: `IoGetDmaAdapter`, `AllocateCommonBuffer`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` for no bytes at all; `STATUS_INVALID_DEVICE_STATE` if there are some already, for another description or length;
    /// `STATUS_INSUFFICIENT_RESOURCES` if the system has no adapter for such a device, or no memory.
    pub fn allocate(
        &self,
        _resources: &Resources<'_>,
        description: DeviceDescription,
        length: u32,
        irql: &mut Irql<Passive>,
    ) -> Result<LogicalAddress> {
        if length == 0 {
            return Err(Error::INVALID_PARAMETER);
        }
        let kept = self
            .0
            .allocation
            .with(|allocation| allocation.serves(description, length));
        if let Some(address) = kept {
            return address.ok_or(Error::INVALID_DEVICE_STATE);
        }
        // SAFETY: the header outlives the device's kernel objects.
        let pdo = unsafe { self.0.header.as_ref() }.pdo();
        // SAFETY: it is the PDO of this device. IRP_MN_START_DEVICE is being handled, so its driver has not had IRP_MN_REMOVE_DEVICE; after that the
        // safe layer puts the adapter.
        let adapter = unsafe { DmaAdapter::get(pdo, description, irql) }?;
        let memory = match adapter.allocate_common_buffer(length, irql) {
            Ok(memory) => memory,
            Err(status) => {
                // SAFETY: nothing was allocated from it.
                unsafe { adapter.put(irql) };
                return Err(status);
            }
        };
        let allocation = Allocation {
            memory,
            adapter,
            description,
        };
        let address = allocation.address();
        self.0
            .allocation
            .publish(allocation, irql)
            .map(|()| address)
            .map_err(|second| {
                second.release(irql);
                Error::INVALID_DEVICE_STATE
            })
    }

    /// Where the device finds it; `None` while it is empty. Any IRQL.
    #[must_use]
    pub fn logical_address(&self) -> Option<LogicalAddress> {
        self.0.allocation.with(Allocation::address)
    }

    /// Copies `source` to `offset`. Any IRQL.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` if it does not fit there, `STATUS_INVALID_DEVICE_STATE` while the buffer is empty; nothing is copied
    /// then.
    pub fn write(&self, offset: usize, source: &[u8]) -> Result<()> {
        self.with(|memory| memory.write(offset, source))
    }

    /// Copies what is at `offset` to `destination`. Any IRQL.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub fn read(&self, offset: usize, destination: &mut [u8]) -> Result<()> {
        self.with(|memory| memory.read(offset, destination))
    }

    /// Calls `f` with the memory.
    ///
    /// # Errors
    /// `STATUS_INVALID_DEVICE_STATE` while the buffer is empty; what `f` returns.
    pub(crate) fn with<R>(&self, f: impl FnOnce(&SharedMemory<'_>) -> Result<R>) -> Result<R> {
        self.0
            .allocation
            .with(|allocation| {
                let CommonMemory { base, length, .. } = allocation.memory;
                // SAFETY: the memory is nonpaged and there while this closure runs; nobody has a reference to it.
                let memory = unsafe { SharedMemory::new(base, length as usize) };
                f(&memory)
            })
            .unwrap_or(Err(Error::INVALID_DEVICE_STATE))
    }
}

impl Buffer {
    /// Gives memory and adapter back, if there are any, when nobody copies any more. The device must not write to it any more.
    ///
    /// DDIs: `FreeCommonBuffer`, `PutDmaAdapter`.
    pub(crate) fn free(&self, irql: &mut Irql<Passive>) {
        if let Some(allocation) = self.allocation.revoke(irql) {
            allocation.release(irql);
        }
    }
}

impl Allocation {
    fn address(&self) -> LogicalAddress {
        // SAFETY: every bit pattern of this member is a number.
        let address = unsafe { self.memory.logical.QuadPart };
        LogicalAddress(address.cast_unsigned())
    }

    /// Where it is, if it is as long as that, and for such a device.
    fn serves(&self, description: DeviceDescription, length: u32) -> Option<LogicalAddress> {
        (self.description == description && self.memory.length == length).then(|| self.address())
    }

    /// Gives both back.
    fn release(self, irql: &mut Irql<Passive>) {
        // SAFETY: the memory came from this adapter, and nobody copies any more: the value was taken out, or never put in.
        unsafe { self.adapter.free_common_buffer(&self.memory, irql) };
        // SAFETY: that was all.
        unsafe { self.adapter.put(irql) };
    }
}

impl fmt::Debug for CommonBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommonBuffer").finish_non_exhaustive()
    }
}
