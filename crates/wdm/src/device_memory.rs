//! The memory of a device: there while the device has it, and has power.

use core::cell::Cell;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use pinned_init::PinInit;
use wdk_sys::{
    PAGE_NOCACHE, PAGE_READWRITE, SIZE_T,
    ntddk::{MmMapIoSpaceEx, MmUnmapIoSpace},
};

use crate::{
    device::{DeviceInit, Handle, KernelObject, Object},
    error::{Error, Result},
    irql::{Irql, Passive},
    mmio::MmioRegion,
    resources::MemoryResource,
    revocable::Revocable,
};

/// What a range of device memory must be aligned to, in bytes, so that a register in it is aligned to its width.
const ALIGNMENT: i64 = 8;

/// The first `SIZE` bytes of a range of device memory, for as long as they may be touched.
///
/// The driver maps it in [`start`](crate::DeviceExtension::start); everything else is the safe layer's. While the device has no power nobody
/// reaches it, and what `start` mapped is unmapped when the device is stopped, removed or gone, whether the driver thinks of it or not: the
/// system may give the addresses behind it to another device.
///
/// ```no_run
/// use wdm::{DeviceMemory, Irql, Resources, Result, Error, irql::Passive};
///
/// const IDENTIFICATION: usize = 0x00;
///
/// /// In `start`: the identification that the device's first memory range begins with.
/// fn identify(registers: &DeviceMemory<0x100>, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<u32> {
///     let memory = resources.memory(0).ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
///     registers.map(&memory, irql)?;
///     registers
///         .with(|registers| registers.read32::<IDENTIFICATION>())
///         .ok_or(Error::INVALID_DEVICE_STATE)
/// }
/// # fn main() {}
/// ```
pub struct DeviceMemory<const SIZE: usize>(Handle<Mapping>);

impl<const SIZE: usize> DeviceMemory<SIZE> {
    /// Without a mapping.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new<T: 'static>(device: &DeviceInit<'_, T>) -> impl PinInit<Self, Error> {
        device.object(Mapping::none(), Self, |_, _irql| Ok(()))
    }

    /// Maps the beginning of `resource`, uncached.
    ///
    /// IRQL: `PASSIVE_LEVEL`. DDI: `MmMapIoSpaceEx`; later `MmUnmapIoSpace`.
    ///
    /// # Errors
    /// `STATUS_DEVICE_CONFIGURATION_ERROR` if the resource is shorter than `SIZE` or does not start at a multiple of 8;
    /// `STATUS_INVALID_DEVICE_STATE` if it is mapped; `STATUS_INSUFFICIENT_RESOURCES` if it cannot be mapped.
    pub fn map(&self, resource: &MemoryResource<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        const { assert!(SIZE != 0, "a mapping has a size") };
        // SAFETY: every bit pattern of this member is a number.
        let start = unsafe { resource.start.QuadPart };
        if resource.len() < SIZE as u64 || start % ALIGNMENT != 0 {
            return Err(Error::DEVICE_CONFIGURATION_ERROR);
        }
        self.0.map(resource, SIZE, irql)
    }

    /// Calls `f` with the memory; `None` while there is none, or none that may be touched. Any IRQL.
    pub fn with<R>(&self, f: impl FnOnce(&MmioRegion<SIZE>) -> R) -> Option<R> {
        self.0.range.with(|range| {
            // SAFETY: `SIZE` bytes are mapped there, aligned, until the closure has returned.
            let region = unsafe { MmioRegion::new(range.base) };
            f(&region)
        })
    }
}

/// A mapped range in system space.
struct Range {
    base: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is in system space, valid on every processor and thread.
unsafe impl Send for Range {}
// SAFETY: as above; it is touched by single volatile accesses only.
unsafe impl Sync for Range {}

/// A range of device memory, without its size as a type.
pub(crate) struct Mapping {
    /// Set from before it is mapped until after it is unmapped.
    in_use: AtomicBool,
    /// Mapped, and may be touched.
    range: Revocable<Range>,
    /// Mapped, and may not. Touched by the methods below `map` only.
    asleep: Cell<Option<Range>>,
}

// SAFETY: the cell is touched where one thread at a time is, as its methods demand; the rest is `Sync`.
unsafe impl Sync for Mapping {}

impl KernelObject for Mapping {
    fn object(&self) -> Object {
        Object::Memory(NonNull::from(self))
    }
}

impl Mapping {
    const fn none() -> Self {
        Self {
            in_use: AtomicBool::new(false),
            range: Revocable::new(),
            asleep: Cell::new(None),
        }
    }

    fn map(&self, resource: &MemoryResource<'_>, length: usize, irql: &mut Irql<Passive>) -> Result<()> {
        if self.in_use.swap(true, Ordering::AcqRel) {
            return Err(Error::INVALID_DEVICE_STATE);
        }
        // SAFETY: the PnP manager assigned this range of device memory to the device, and it is that long.
        let base = unsafe { MmMapIoSpaceEx(resource.start, length as SIZE_T, PAGE_READWRITE | PAGE_NOCACHE) };
        let Some(base) = NonNull::new(base.cast()) else {
            self.in_use.store(false, Ordering::Release);
            return Err(Error::INSUFFICIENT_RESOURCES);
        };
        self.range.publish(Range { base, length }, irql).map_err(|range| {
            // Cannot be: `in_use` lets one in at a time. Undone all the same.
            range.unmap();
            Error::INVALID_DEVICE_STATE
        })
    }

    /// Nobody reaches the memory from now on.
    ///
    /// # Safety
    /// By one thread at a time, of all that call this, [`wake`](Self::wake) or [`unmap`](Self::unmap).
    pub(crate) unsafe fn put_to_sleep(&self, irql: &mut Irql<Passive>) {
        if let Some(range) = self.range.revoke(irql) {
            self.asleep.set(Some(range));
        }
    }

    /// The memory, if there is some, may be touched again.
    ///
    /// # Safety
    /// As [`put_to_sleep`](Self::put_to_sleep).
    pub(crate) unsafe fn wake(&self, irql: &mut Irql<Passive>) {
        if let Some(range) = self.asleep.take() {
            // There is none in the place that it was taken out of.
            if let Err(range) = self.range.publish(range, irql) {
                self.asleep.set(Some(range));
            }
        }
    }

    /// Gives back what was mapped, if anything.
    ///
    /// # Safety
    /// As [`put_to_sleep`](Self::put_to_sleep).
    pub(crate) unsafe fn unmap(&self, irql: &mut Irql<Passive>) {
        if let Some(range) = self.range.revoke(irql).or_else(|| self.asleep.take()) {
            range.unmap();
            self.in_use.store(false, Ordering::Release);
        }
    }
}

impl Range {
    /// `MmUnmapIoSpace`.
    fn unmap(self) {
        // SAFETY: this is what `MmMapIoSpaceEx` returned, and `self` is the only one to have it; every owner is at PASSIVE_LEVEL.
        unsafe { MmUnmapIoSpace(self.base.as_ptr().cast(), self.length as SIZE_T) };
    }
}

impl<const SIZE: usize> fmt::Debug for DeviceMemory<SIZE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceMemory").finish_non_exhaustive()
    }
}
