//! Timers: a DPC of the driver's own, when a time is up.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::time::Duration;

use pinned_init::PinInit;
use wdk_sys::{
    KDPC, KTIMER, LONG,
    ntddk::{KeCancelTimer, KeInitializeDpc, KeInitializeTimer, KeSetTimerEx},
};

use crate::{
    device::{DeviceInit, Extension, Handle, Header, KernelObject, Object},
    error::Error,
    irql::{AtMostDispatch, Dispatch, Irql},
    time::TimeSpan,
};

/// What a [`Timer`]'s DPC does when the time is up: a `KDEFERRED_ROUTINE`, the documented `CustomTimerDpc`.
///
/// It is given no arguments: the documentation says that those of a timer's DPC are not used.
pub trait TimerRoutine: 'static {
    /// The device whose extension the timer lies in.
    type Device: Send + Sync + 'static;

    /// Runs at `DISPATCH_LEVEL`, on any processor, and at the same time as every other routine of the device, itself included.
    fn run(device: &Self::Device, irql: &mut Irql<Dispatch>);
}

/// A timer (`KTIMER`) with the DPC that runs when its time is up: see
/// [CustomTimerDpc routines](https://learn.microsoft.com/windows-hardware/drivers/kernel/writing-a-customtimerdpc-routine), and
/// [which type of DPC](crate::dpc) to use.
///
/// It is cancelled before the device goes. The system looks at its timers when its clock ticks, every 15.6 ms
/// unless somebody has asked for more: a timer is never early, and up to a tick late.
///
/// ```no_run
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use core::time::Duration;
///
/// use wdm::{Irql, Timer, TimerRoutine, irql::Dispatch};
///
/// /// Runs when the device has had a second for its work.
/// enum TooLate {}
///
/// impl TimerRoutine for TooLate {
///     type Device = Device;
///
///     fn run(device: &Device, irql: &mut Irql<Dispatch>) {
///         device.idle.set(irql);
///     }
/// }
///
/// /// Where work is started; `cancel` is where it is finished.
/// fn watch(timer: &Timer<TooLate>, irql: &mut Irql<Dispatch>) {
///     timer.set(Duration::from_secs(1), irql);
/// }
/// # fn main() {}
/// ```
///
/// See [Timer Objects and DPCs](https://learn.microsoft.com/windows-hardware/drivers/kernel/timer-objects-and-dpcs).
pub struct Timer<R> {
    core: Handle<TimerCore>,
    routine: PhantomData<fn(R)>,
}

/// The timer, without its type.
pub(crate) struct TimerCore {
    timer: UnsafeCell<KTIMER>,
    dpc: UnsafeCell<KDPC>,
    header: NonNull<Header>,
}

// SAFETY: KTIMER and KDPC are made to be used by several processors at a time; the DDIs synchronise. The header is `Sync`.
unsafe impl Sync for TimerCore {}

impl KernelObject for TimerCore {
    fn object(&self) -> Object {
        Object::Timer(NonNull::from(self))
    }
}

impl<R: TimerRoutine> Timer<R> {
    /// A timer that is not set. DDIs: `KeInitializeTimer`, `KeInitializeDpc`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(device: &DeviceInit<'_, R::Device>) -> impl PinInit<Self, Error> {
        let unset = TimerCore {
            timer: UnsafeCell::new(KTIMER::default()),
            dpc: UnsafeCell::new(KDPC::default()),
            header: device.header(),
        };
        let wrap = |core| Self {
            core,
            routine: PhantomData,
        };
        device.object(unset, wrap, move |core, _irql| {
            // SAFETY: the memory is nonpaged, and the timer stays there until teardown has cancelled it.
            unsafe { KeInitializeTimer(core.timer.get()) };
            let context = device.extension().as_ptr().cast::<c_void>();
            // SAFETY: as above. The context is the extension, which outlives every run of the routine.
            unsafe { KeInitializeDpc(core.dpc.get(), Some(trampoline::<R>), context) };
            Ok(())
        })
    }

    /// Has the DPC run once, `after` this time; a time that was set before does not count any more. `false` if the device is being torn down.
    ///
    /// A run that is under way, or queued, for the time before still comes: a routine that must know looks at what it was set for.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `KeSetTimerEx`.
    pub fn set<L: AtMostDispatch>(&self, after: impl Into<TimeSpan>, irql: &mut Irql<L>) -> bool {
        self.core.set(after.into(), 0, irql)
    }

    /// As [`set`](Self::set), and then every `period` until it is cancelled: at least a millisecond, at most 24 days, and counted in milliseconds.
    pub fn set_periodic<L: AtMostDispatch>(
        &self,
        after: impl Into<TimeSpan>,
        period: Duration,
        irql: &mut Irql<L>,
    ) -> bool {
        let period = LONG::try_from(period.as_millis()).unwrap_or(LONG::MAX).max(1);
        self.core.set(after.into(), period, irql)
    }

    /// Takes it back; whether it was set. The DPC may be queued, or run, still.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `KeCancelTimer`.
    pub fn cancel<L: AtMostDispatch>(&self, irql: &mut Irql<L>) -> bool {
        self.core.cancel(irql)
    }
}

impl TimerCore {
    fn set<L: AtMostDispatch>(&self, after: TimeSpan, period: LONG, _irql: &mut Irql<L>) -> bool {
        // SAFETY: the header outlives everything in the extension.
        if !unsafe { self.header.as_ref() }.is_open() {
            return false;
        }
        // SAFETY: timer and DPC are initialised, and stay so until teardown has cancelled the one and flushed the other; the token proves the IRQL.
        unsafe { KeSetTimerEx(self.timer.get(), after.relative(), period, self.dpc.get()) };
        true
    }

    pub(crate) fn cancel<L: AtMostDispatch>(&self, _irql: &mut Irql<L>) -> bool {
        // SAFETY: the timer is initialised; the token proves the IRQL.
        let was_set = unsafe { KeCancelTimer(self.timer.get()) };
        was_set != 0
    }
}

/// # Safety
/// To be called by the kernel only, for the DPC of a [`Timer<R>`].
unsafe extern "C" fn trampoline<R: TimerRoutine>(
    _dpc: *mut KDPC,
    context: *mut c_void,
    _argument1: *mut c_void,
    _argument2: *mut c_void,
) {
    // SAFETY: the timer is set only after AddDevice has initialised the extension, which is its context, and teardown waits for its DPC.
    let Some(device) = (unsafe { Extension::data_at(context) }) else {
        return;
    };
    // SAFETY: the kernel runs a deferred routine at DISPATCH_LEVEL.
    let mut irql = unsafe { Irql::<Dispatch>::assume() };
    R::run(device, &mut irql);
}

impl<R> fmt::Debug for Timer<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timer").finish_non_exhaustive()
    }
}
