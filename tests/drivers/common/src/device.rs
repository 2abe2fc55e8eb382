//! The device extension and the hardware.

use core::ptr::NonNull;

use edu::registers::{ABSENT, INTERRUPT_ACKNOWLEDGE, INTERRUPT_RAISE, INTERRUPT_STATUS, InterruptStatus};
use wdk_sys::{IO_REMOVE_LOCK, KDPC, PDEVICE_OBJECT, PKINTERRUPT, UNICODE_STRING, ntddk::KeInsertQueueDpc};

use crate::TestDriver;

/// The device extension. `IoCreateDevice` zeroes it, which is a valid value of every field.
#[repr(C)]
pub(crate) struct Extension<D: TestDriver> {
    /// The next-lower device object.
    pub(crate) lower: PDEVICE_OBJECT,
    /// Held by every request that is being worked on; the registers stay mapped until all are done.
    pub(crate) remove_lock: IO_REMOVE_LOCK,
    /// The symbolic link of the device interface.
    pub(crate) interface: UNICODE_STRING,
    /// Where the registers are mapped; null before the device is started.
    pub(crate) registers: *mut u8,
    /// Null while the interrupt is not connected.
    pub(crate) interrupt: PKINTERRUPT,
    pub(crate) dpc: KDPC,
    pub(crate) state: D::State,
}

/// A device, by its extension: what every routine of a driver is called with.
pub struct Device<D: TestDriver>(NonNull<Extension<D>>);

impl<D: TestDriver> Clone for Device<D> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<D: TestDriver> Copy for Device<D> {}

impl<D: TestDriver> Device<D> {
    /// # Safety
    /// The extension must be that of a device object that `AddDevice` created, and exist as long as the result is used.
    pub(crate) const unsafe fn new(extension: NonNull<Extension<D>>) -> Self {
        Self(extension)
    }

    /// The device of a dispatch routine's device object.
    ///
    /// # Safety
    /// `device` must be a device object that `AddDevice` created, and exist as long as the result is used.
    pub(crate) unsafe fn of(device: PDEVICE_OBJECT) -> Self {
        // SAFETY: promised by the caller.
        let extension = unsafe { (*device).DeviceExtension };
        // SAFETY: AddDevice asked for an extension, so it is not null.
        Self(unsafe { NonNull::new_unchecked(extension.cast()) })
    }

    pub(crate) const fn extension(self) -> *mut Extension<D> {
        self.0.as_ptr()
    }

    /// Where the driver's state lies. Nothing protects it but what the driver does.
    #[must_use]
    pub const fn state(self) -> *mut D::State {
        // SAFETY: only an address is computed, within the extension.
        unsafe { &raw mut (*self.extension()).state }
    }

    pub(crate) const fn dpc(self) -> *mut KDPC {
        // SAFETY: as above.
        unsafe { &raw mut (*self.extension()).dpc }
    }

    pub(crate) const fn interface(self) -> *mut UNICODE_STRING {
        // SAFETY: as above.
        unsafe { &raw mut (*self.extension()).interface }
    }

    pub(crate) const fn remove_lock(self) -> *mut IO_REMOVE_LOCK {
        // SAFETY: as above.
        unsafe { &raw mut (*self.extension()).remove_lock }
    }

    fn register(self, offset: usize) -> *mut u32 {
        // SAFETY: the extension exists, and the address is written by START and by the end of REMOVE only.
        let registers = unsafe { (*self.extension()).registers };
        registers.wrapping_add(offset).cast()
    }

    /// Reads the 32-bit register at `offset`, one of `edu::registers`. Any IRQL.
    #[must_use]
    pub fn read(self, offset: usize) -> u32 {
        // SAFETY: routines that use registers run only while those are mapped, and the offset is one of a register.
        unsafe { self.register(offset).read_volatile() }
    }

    /// Writes the 32-bit register at `offset`, one of `edu::registers`. Any IRQL.
    pub fn write(self, offset: usize, value: u32) {
        // SAFETY: as for a read.
        unsafe { self.register(offset).write_volatile(value) };
    }

    /// Makes the device interrupt, with the cause that a finished factorial has. Any IRQL.
    pub fn raise_interrupt(self) {
        self.write(INTERRUPT_RAISE, InterruptStatus::FACTORIAL.bits());
    }

    /// What a right ISR does: whether the interrupt is the device's own, and if so, its causes are acknowledged and the DPC is queued.
    #[must_use]
    pub fn take_interrupt(self) -> bool {
        let causes = self.read(INTERRUPT_STATUS);
        let ours = causes != 0 && causes != ABSENT;
        if ours {
            self.acknowledge_and_defer(causes);
        }
        ours
    }

    /// Acknowledges interrupt causes and queues the DPC. Any IRQL.
    pub fn acknowledge_and_defer(self, causes: u32) {
        self.write(INTERRUPT_ACKNOWLEDGE, causes);
        // SAFETY: the DPC is initialised; removal waits for it. That it is queued already is fine: it runs once then.
        unsafe { KeInsertQueueDpc(self.dpc(), core::ptr::null_mut(), core::ptr::null_mut()) };
    }
}
