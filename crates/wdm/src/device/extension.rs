//! The memory of a device extension: the safe layer's header, then the driver's value.

use core::any::TypeId;
use core::cell::{Cell, UnsafeCell};
use core::ffi::c_void;
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use wdk_sys::{DEVICE_OBJECT, PDEVICE_OBJECT};

use super::{
    cleanups::Cleanups, dispatch_calls::DispatchCalls, lifecycle::Lifecycle, lower::Lower, object::Objects,
    remove_lock::RemoveLock, special_files::SpecialFiles,
};
use crate::{
    device_interface::DeviceInterface,
    power::{DeviceIrps, DeviceStates},
    queue::StartIoCore,
    wait_lock::WaitLock,
};

/// The documented states of a PnP device, as its function driver sees them.
///
/// See [State Transitions for PnP Devices](https://learn.microsoft.com/windows-hardware/drivers/kernel/state-transitions-for-pnp-devices).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PnpState {
    NotStarted,
    Started,
    StopPending,
    Stopped,
    RemovePending,
    SurpriseRemoved,
    Removed,
}

impl PnpState {
    const ALL: [Self; 7] = [
        Self::NotStarted,
        Self::Started,
        Self::StopPending,
        Self::Stopped,
        Self::RemovePending,
        Self::SurpriseRemoved,
        Self::Removed,
    ];
}

/// Some of the states.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PnpStates(u8);

impl PnpStates {
    pub(crate) const ALL: Self = Self::of(&PnpState::ALL);

    pub(crate) const fn of(states: &[PnpState]) -> Self {
        let mut bits = 0;
        let mut left = states;
        while let [state, rest @ ..] = left {
            bits |= 1 << *state as u8;
            left = rest;
        }
        Self(bits)
    }

    pub(crate) const fn contains(self, state: PnpState) -> bool {
        self.0 & 1 << state as u8 != 0
    }
}

/// What every extension begins with, whatever the driver keeps behind it.
#[repr(C)]
pub(crate) struct Header {
    type_id: TypeId,
    device: NonNull<DEVICE_OBJECT>,
    /// The physical device object, at the bottom of the device stack.
    pdo: NonNull<DEVICE_OBJECT>,
    /// The drivers below.
    pub(crate) lower: Lower,
    state: AtomicU8,
    /// What a cancelled query goes back to.
    state_before_query: Cell<PnpState>,
    /// Cleared by teardown: from then on DPCs are not queued any more.
    open: AtomicBool,
    pub(crate) remove_lock: RemoveLock,
    pub(crate) dispatch_calls: DispatchCalls,
    pub(super) lifecycle: Lifecycle,
    pub(crate) cleanups: Cleanups,
    /// The device does not work any more. It stays so.
    failed: AtomicBool,
    /// Of a filter's device. One at a time handles a notification of such a file.
    pub(crate) special_files: WaitLock<SpecialFiles>,
    /// Whether a hibernation file is among them. Power requests ask, which must not wait for that lock.
    pub(crate) has_hibernation_file: AtomicBool,
    pub(crate) device_states: DeviceStates,
    pub(crate) device_irps: DeviceIrps,
    pub(crate) interface: UnsafeCell<DeviceInterface>,
    /// The device object's own DPC is in use.
    pub(crate) has_dpc_for_isr: Cell<bool>,
    /// The queue over the device object's device queue, or null.
    pub(crate) start_io: Cell<*const StartIoCore>,
    /// The device's kernel objects.
    pub(super) objects: Objects,
}

impl Header {
    pub(super) fn new(type_id: TypeId, device: NonNull<DEVICE_OBJECT>, pdo: NonNull<DEVICE_OBJECT>) -> Self {
        Self {
            type_id,
            device,
            pdo,
            lower: Lower::none(),
            state: AtomicU8::new(PnpState::NotStarted as u8),
            state_before_query: Cell::new(PnpState::NotStarted),
            open: AtomicBool::new(false),
            remove_lock: RemoveLock::new(),
            dispatch_calls: DispatchCalls::none(),
            lifecycle: Lifecycle::new(),
            cleanups: Cleanups::none(),
            failed: AtomicBool::new(false),
            special_files: WaitLock::new(SpecialFiles::none()),
            has_hibernation_file: AtomicBool::new(false),
            device_states: DeviceStates::new(),
            device_irps: DeviceIrps::new(),
            interface: UnsafeCell::new(DeviceInterface::none()),
            has_dpc_for_isr: Cell::new(false),
            start_io: Cell::new(core::ptr::null()),
            objects: Objects::none(),
        }
    }

    /// The type of the driver's value.
    pub(crate) const fn type_id(&self) -> TypeId {
        self.type_id
    }

    pub(crate) const fn device(&self) -> NonNull<DEVICE_OBJECT> {
        self.device
    }

    /// The physical device object. It exists until its driver has handled `IRP_MN_REMOVE_DEVICE`, which `Lower::call` keeps away.
    pub(crate) const fn pdo(&self) -> NonNull<DEVICE_OBJECT> {
        self.pdo
    }

    pub(crate) fn state(&self) -> PnpState {
        let state = usize::from(self.state.load(Ordering::Acquire));
        PnpState::ALL.get(state).copied().unwrap_or(PnpState::Removed)
    }

    pub(crate) fn set_state(&self, state: PnpState) {
        self.state.store(state as u8, Ordering::Release);
    }

    /// Enters a pending state and remembers what to go back to. Called by PnP dispatch only, which the PnP manager serialises.
    pub(crate) fn enter_query(&self, pending: PnpState) {
        self.state_before_query.set(self.state_behind_query());
        self.set_state(pending);
    }

    /// The state that a pending query, if there is one, was asked in. Called by PnP dispatch only.
    fn state_behind_query(&self) -> PnpState {
        match self.state() {
            PnpState::StopPending | PnpState::RemovePending => self.state_before_query.get(),
            state => state,
        }
    }

    /// Goes back from `pending` to the state before it. A cancel may come without its query: then nothing changes.
    pub(crate) fn leave_query(&self, pending: PnpState) {
        if self.state() == pending {
            self.set_state(self.state_before_query.get());
        }
    }

    /// Whether the device has been said to have failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// The device has failed; whether that is news.
    pub(super) fn note_failure(&self) -> bool {
        !self.failed.swap(true, Ordering::AcqRel)
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Ordering::Acquire)
    }

    pub(super) fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::Release);
    }
}

// SAFETY: the initialiser of the driver's value, which AddDevice runs before the device is in its stack, writes the objects, the queue and the mark of
// the DPC: nobody else has seen the device by then. What a cancelled query goes back to, and the interface, are touched by AddDevice, PnP
// dispatch and teardown only, which the PnP manager never runs at the same time for one device. The rest synchronises by itself.
unsafe impl Sync for Header {}

/// A device extension.
#[repr(C)]
pub(crate) struct Extension<T> {
    pub(crate) header: Header,
    data: MaybeUninit<T>,
}

impl<T: 'static> Extension<T> {
    /// Where the driver's value lies.
    ///
    /// # Safety
    /// `this` must point to the memory of an extension.
    pub(super) unsafe fn data_slot(this: NonNull<Self>) -> *mut T {
        // SAFETY: the caller vouches for the memory; no reference is made.
        unsafe { &raw mut (*this.as_ptr()).data }.cast()
    }

    /// The safe layer's part.
    ///
    /// # Safety
    /// The extension must exist for `'a`.
    pub(crate) const unsafe fn header<'a>(this: NonNull<Self>) -> &'a Header {
        // SAFETY: AddDevice writes the header first of all, and shares it only. It lies at the start.
        unsafe { this.cast::<Header>().as_ref() }
    }

    /// The driver's value.
    ///
    /// # Safety
    /// It must be initialised, and stay so for `'a`.
    pub(crate) unsafe fn data<'a>(this: NonNull<Self>) -> &'a T {
        // SAFETY: promised by the caller.
        let extension = unsafe { this.as_ref() };
        // SAFETY: promised by the caller.
        unsafe { extension.data.assume_init_ref() }
    }

    /// The driver's value, for a routine whose context is the extension; `None` for no context.
    ///
    /// # Safety
    /// `context` must be null or an extension of this type, and its value be initialised, and stay so for `'a`.
    pub(crate) unsafe fn data_at<'a>(context: *mut c_void) -> Option<&'a T> {
        let extension = NonNull::new(context.cast::<Self>())?;
        // SAFETY: promised by the caller.
        Some(unsafe { Self::data(extension) })
    }

    /// The extension of `device`, if it is one of this type and of this driver.
    ///
    /// # Safety
    /// `device` must be a device object that `AddDevice` of the safe layer created, or one without an extension; it must stay in
    /// existence while the pointer is used.
    pub(crate) unsafe fn of(device: PDEVICE_OBJECT) -> Option<NonNull<Self>> {
        // SAFETY: promised by the caller.
        let extension = unsafe { (*device).DeviceExtension };
        let header = NonNull::new(extension.cast::<Header>())?;
        // SAFETY: a device object of this driver has a header at the start of its extension.
        let type_id = unsafe { header.as_ref() }.type_id();
        (type_id == TypeId::of::<T>()).then(|| header.cast())
    }
}
