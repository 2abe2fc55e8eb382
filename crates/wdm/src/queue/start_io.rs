//! The device queue of the I/O manager, with a StartIo routine.

use core::cell::{Cell, UnsafeCell};
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

use pinned_init::PinInit;
use wdk_sys::{
    DEVICE_OBJECT, DISPATCH_LEVEL, IRP, KIRQL, LIST_ENTRY,
    ntddk::{
        IoAcquireCancelSpinLock, IoReleaseCancelSpinLock, IoSetStartIoAttributes, IoStartNextPacket, IoStartPacket,
        KeRemoveEntryDeviceQueue,
    },
};

use super::{LockedStartIoQueue, QueueCounts, QueuedIrp, closed::Closed, counts::Counters, guarded::Guarded, irp_list};
use crate::{
    device::{DeviceExtension, DeviceInit, Extension, FileObject, Handle, Header, KernelObject, Moment, Object},
    error::Error,
    irp::{
        Disposed, Irp, answer, clear_note, complete, information, is_cancelled, mark_pending, set_outcome,
        status as irp_status,
    },
    irql::{Dispatch, Irql, NoLockHeld, SpinLockHeld, lower_irql},
    status::Status,
};

/// `DISPATCH_LEVEL`, as a `KIRQL`.
#[expect(clippy::cast_possible_truncation, reason = "IRQLs are small")]
const DISPATCH: KIRQL = DISPATCH_LEVEL as KIRQL;

/// What a driver does when a request becomes the current one: a `DRIVER_STARTIO` routine.
pub trait StartIo: 'static {
    /// The device whose queue it is.
    type Device: DeviceExtension;

    /// What the driver keeps for the queue: `()` for nothing. Under the cancel spin lock.
    type State: Send + 'static;

    /// Runs when the next IRP has become the [current](LockedStartIoQueue::current) one, under the cancel spin lock. The IRP stays the queue's, and can be
    /// cancelled afterwards at any time.
    fn start_io(device: &Self::Device, queue: &mut LockedStartIoQueue<'_, Self::State>, irql: &mut Irql<SpinLockHeld>);
}

/// The device object's queue of IRPs, of which one at a time is the device's *current* one: `IoStartPacket`, StartIo, and
/// `IoStartNextPacket`. A device has one.
///
/// The current IRP can be cancelled like those that wait. StartIo is deferred (`IoSetStartIoAttributes`), so that one request after the other
/// does not use up the stack. Who ends an IRP is decided under the system's cancel spin lock: whoever clears its cancel routine owns it. An IRP
/// that has become current is completed only after StartIo was called for it, because until then the I/O manager has its address.
///
/// ```no_run
/// use pinned_init::{PinInit, pin_data, try_pin_init};
/// use wdm::{
///     DeviceExtension, DeviceInit, DeviceMemory, Disposed, DpcForIsr, DpcForIsrRoutine, Guid, Irp, Irql, LockedStartIoQueue, Resources, Result,
///     Serial, StartIo, StartIoQueue, Error, StopReason,
///     irql::{Dispatch, Passive, SpinLockHeld, UpToDispatch},
/// };
///
/// const START: usize = 0x60;
///
/// #[pin_data]
/// struct Device {
///     #[pin]
///     registers: DeviceMemory<0x100>,
///     #[pin]
///     queue: StartIoQueue<Start>,
///     /// Asked for by the ISR when the device has finished.
///     #[pin]
///     finished: DpcForIsr<Finish>,
/// }
///
/// /// Tells the device what the current request asks for.
/// enum Start {}
///
/// impl StartIo for Start {
///     type Device = Device;
///     type State = ();
///
///     fn start_io(device: &Device, queue: &mut LockedStartIoQueue<'_, ()>, _irql: &mut Irql<SpinLockHeld>) {
///         let input = queue.current().map(|(irp, _serial)| irp.read_input::<u32>());
///         match input {
///             Some(Ok(value)) => {
///                 device.registers.with(|registers| registers.write32::<START>(value));
///             }
///             Some(Err(error)) => queue.end_current(Err(error)),
///             None => {}
///         }
///     }
/// }
///
/// /// Finishes the request that the interrupt came for, unless it was cancelled; the next one is started.
/// enum Finish {}
///
/// impl DpcForIsrRoutine for Finish {
///     type Device = Device;
///     type Context = ();
///
///     fn run(device: &Device, then: Option<Serial>, (): (), irql: &mut Irql<Dispatch>) {
///         if let Some(then) = then {
///             device.queue.finish_current(then, irql, |irp, irql| irp.complete(Ok(()), irql));
///         }
///     }
/// }
///
/// impl DeviceExtension for Device {
///     fn device_control<'i>(&self, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
///         self.queue.insert(irp, irql)
///     }
///
///     // The ISR asks: `device.finished.request(device.queue.current_serial(), (), irql)`.
///     // …
///     # const INTERFACE: Option<Guid> = None;
///     # fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
///     #     try_pin_init!(Self {
///     #         registers <- DeviceMemory::new(device),
///     #         queue <- StartIoQueue::new((), device),
///     #         finished <- DpcForIsr::new(device),
///     #     }? Error)
///     # }
///     # fn start(&self, _resources: &Resources<'_>, _irql: &mut Irql<Passive>) -> Result<()> { Ok(()) }
///     # fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}
///     # fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}
/// }
/// # fn main() {}
/// ```
///
/// See [Using the System Queue](https://learn.microsoft.com/windows-hardware/drivers/kernel/startio-routines-in-lowest-level-drivers) and
/// [Canceling IRPs](https://learn.microsoft.com/windows-hardware/drivers/kernel/canceling-irps).
pub struct StartIoQueue<S: StartIo>(Handle<Guarded<StartIoCore, S::State>>);

/// The queue without its types.
pub(crate) struct StartIoCore {
    header: NonNull<Header>,
    routine: unsafe fn(NonNull<StartIoCore>, KIRQL),
    /// Every IRP that is the queue's, in the order of arrival, the current one included. Under the cancel spin lock.
    list: UnsafeCell<LIST_ENTRY>,
    closed: Closed,
    counters: Counters,
    /// The IRP for which StartIo was called, until it is taken; or null. Under the cancel spin lock.
    ///
    /// `DeviceObject->CurrentIrp` is of no use for that: while StartIo is deferred it points to an IRP that is gone, at whose address there
    /// may be another.
    current: Cell<*mut IRP>,
    /// The number of that IRP, or [`NONE`]: for an ISR, which can take no lock. Written under the cancel spin lock.
    current_serial: AtomicU64,
}

// SAFETY: the list is touched under the cancel spin lock only; the IRPs in it belong to no thread. The header is `Sync`.
unsafe impl Sync for StartIoCore {}

impl KernelObject for StartIoCore {
    fn object(&self) -> Object {
        Object::StartIo(NonNull::from(self))
    }
}

/// The number of an IRP that ended when it had become current and StartIo was about to be called for it: the I/O manager has its address, so
/// it is completed by that call.
const DOOMED: u64 = u64::MAX;

/// Tells one current IRP from another: addresses are used again, numbers are not. It is not the IRP: who wants that has to win it, by
/// [`StartIoQueue::finish_current`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial(u64);

/// The number of no IRP.
const NONE: u64 = 0;

impl Serial {
    /// The number, or 0.
    pub(crate) fn number_of(serial: Option<Self>) -> u64 {
        serial.map_or(NONE, |Self(number)| number)
    }

    /// The inverse of [`number_of`](Self::number_of).
    pub(crate) fn from_number(number: u64) -> Option<Self> {
        (number != NONE).then_some(Self(number))
    }
}

impl<S: StartIo> StartIoQueue<S> {
    /// An empty, open queue. DDI: `IoSetStartIoAttributes`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INVALID_DEVICE_STATE` for a second one; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(state: S::State, device: &DeviceInit<'_, S::Device>) -> impl PinInit<Self, Error> {
        let empty = Guarded {
            queue: StartIoCore {
                header: device.header(),
                routine: run_start_io::<S>,
                list: UnsafeCell::new(LIST_ENTRY::default()),
                closed: Closed::open(),
                counters: Counters::new(),
                current: Cell::new(core::ptr::null_mut()),
                current_serial: AtomicU64::new(NONE),
            },
            state: UnsafeCell::new(state),
        };
        device.object(empty, Self, move |guarded, _irql| {
            // SAFETY: the header is initialised before the initialiser of the driver's value runs.
            let header = unsafe { device.header().as_ref() };
            if !header.start_io.get().is_null() {
                return Err(Error::INVALID_DEVICE_STATE);
            }
            // SAFETY: nobody else uses the queue yet, and it stays in place.
            unsafe { irp_list::initialize(guarded.queue.list.get()) };
            // The pointer is to the whole of it, for `run_start_io`.
            header.start_io.set(core::ptr::from_ref(guarded).cast());
            // SAFETY: the device object is ours. TRUE: deferred. FALSE: the packets can be cancelled.
            unsafe { IoSetStartIoAttributes(header.device().as_ptr(), 1, 0) };
            Ok(())
        })
    }

    fn core(&self) -> &StartIoCore {
        &self.0.queue
    }

    /// Puts the IRP at the end; if the device has no current one it becomes that, and StartIo runs: before this returns, or, where another
    /// processor is inside StartIo just now, when that has returned. It is pending from now on, and its dispatch routine returns
    /// `STATUS_PENDING`.
    ///
    /// If the queue is [closed](Self::close) the IRP is completed with the status that closed it; if its
    /// [handle is](crate::irp#the-end-of-a-handle), with `STATUS_CANCELLED`. An IRP of another device is completed
    /// with `STATUS_INVALID_PARAMETER`.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDI: `IoStartPacket` without a key.
    pub fn insert<'i, L: NoLockHeld>(&self, irp: Irp<'i>, irql: &mut Irql<L>) -> Disposed<'i> {
        if irp.header() != self.core().header {
            return irp.complete(Err(Error::INVALID_PARAMETER), irql);
        }
        let cleanups = &self.core().header().cleanups;
        // The IRP has no room for the moment when it came beside its number in this queue. So the number is a moment, and counts as the one when it came:
        // a CLEANUP before that is looked for here.
        let serial = Serial(cleanups.tick().as_raw());
        let origin = irp.origin();
        if cleanups.forbid_queueing(origin, irql) {
            self.core().counters.count(Err(Error::CANCELLED));
            return irp.complete(Err(Error::CANCELLED), irql);
        }
        let irp = irp.into_raw();
        // SAFETY: the IRP was owned, and the queue takes it over.
        unsafe { mark_pending(irp) };
        self.core().enlist(irp, serial);
        // SAFETY: the device object is ours, with the driver's StartIo routine; the IRP is pending, and the queue's.
        unsafe { IoStartPacket(self.core().device(), irp.as_ptr(), core::ptr::null_mut(), Some(cancel)) };
        if let Some(error) = self.core().closed.error() {
            self.core().end_all(|_| true, error, irql);
        }
        // As for a queue that is closed: a CLEANUP that came before the IRP had its cancel routine passed it over, and is found here.
        if cleanups.forbid_queueing(origin, irql) {
            self.core()
                .end_all(|irp| serial_of(irp) == serial, Error::CANCELLED, irql);
        }
        Disposed::new(Status::PENDING)
    }

    /// Calls `f` with the queue and its state, under the cancel spin lock; then completes the IRP that `f` has [ended](LockedStartIoQueue::end_current), and lets
    /// the next one become current.
    ///
    /// The cancel spin lock is one for the whole system: `f` should be short. It is `Send`: it holds [no IRP](crate::irp).
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held. DDIs: `IoAcquireCancelSpinLock`, `IoStartNextPacket`.
    pub fn with<L, F, R>(&self, _irql: &mut Irql<L>, f: F) -> R
    where
        L: NoLockHeld,
        F: FnOnce(&mut LockedStartIoQueue<'_, S::State>, &mut Irql<SpinLockHeld>) -> R + Send,
        R: Send,
    {
        let previous = acquire_cancel_lock();
        // SAFETY: the lock was just acquired, and is released by the call.
        unsafe { with_locked(&self.0, previous, f) }
    }

    /// Which IRP is the current one now, if there is one: what an ISR [hands over](crate::DpcForIsr::request) to the DPC. It may be cancelled, and
    /// another one be current, at any time. Any IRQL.
    ///
    /// StartIo is called after an IRP has become current: whatever the device does for it, its interrupt finds it here.
    #[must_use]
    pub fn current_serial(&self) -> Option<Serial> {
        Serial::from_number(self.core().current_serial.load(Ordering::Acquire))
    }

    /// Takes the current IRP out, if it is still the one with this number; lets the next one become current, and StartIo run for it (at once, or
    /// when a call of StartIo that is under way has returned); then calls `f` with the one taken. `false` if it was cancelled.
    ///
    /// IRQL: `DISPATCH_LEVEL`, no spin lock held. DDI: `IoStartNextPacket`.
    pub fn finish_current<F>(&self, serial: Serial, irql: &mut Irql<Dispatch>, f: F) -> bool
    where
        F: for<'i> FnOnce(Irp<'i>, &mut Irql<Dispatch>) -> Disposed<'i>,
    {
        let core = self.core();
        let taken = cancel_locked(|| {
            let current = core.current().filter(|irp| serial_of(*irp) == serial);
            // SAFETY: the IRP is the current one, and the lock is held.
            current.filter(|irp| unsafe { core.take_current(*irp) })
        });
        let Some(irp) = taken else {
            return false;
        };
        // SAFETY: the current IRP has been taken by this call, so nobody else starts the next one; DISPATCH_LEVEL, as the token proves.
        unsafe { IoStartNextPacket(self.core().device(), 1) };
        // SAFETY: taken out of the queue above.
        unsafe { clear_note(irp) };
        // Its handle was open when it was put in.
        let arrived = Moment::from_raw(serial.0);
        // SAFETY: taken out of the queue above, with the remove lock acquired for it; `f` takes it with a brand of its own.
        let irp = unsafe { Irp::from_queue(irp, self.core().header, arrived) };
        let _ = f(irp, irql);
        true
    }

    /// Completes every IRP that was made through `file` with `STATUS_CANCELLED`, the current one included.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn cancel_all_of<L: NoLockHeld>(&self, file: FileObject, irql: &mut Irql<L>) {
        let of_file = |irp| {
            // SAFETY: the IRP is in the queue, whose lock is held.
            let queued = unsafe { QueuedIrp::new(irp) };
            queued.file_object() == file
        };
        self.core().end_all(of_file, Error::CANCELLED, irql);
    }

    /// How the IRPs ended that the queue has completed by itself. Any IRQL.
    #[must_use]
    pub fn counts(&self) -> QueueCounts {
        self.core().counters.read()
    }

    /// Counts from 0 again. Any IRQL.
    pub fn reset_counts(&self) {
        self.core().counters.reset();
    }

    /// Completes every IRP that is in the queue, or is put into it from now on, with `error`.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`, no spin lock held.
    pub fn close<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        self.core().close(error, irql);
    }
}

/// `IoAcquireCancelSpinLock`; the IRQL before. At most `DISPATCH_LEVEL`.
fn acquire_cancel_lock() -> KIRQL {
    let mut previous: KIRQL = 0;
    // SAFETY: every caller is at DISPATCH_LEVEL or below.
    unsafe { IoAcquireCancelSpinLock(&raw mut previous) };
    previous
}

/// Calls `f` under the cancel spin lock. At most `DISPATCH_LEVEL`.
fn cancel_locked<R>(f: impl FnOnce() -> R) -> R {
    let previous = acquire_cancel_lock();
    let result = f();
    // SAFETY: acquired above, with this IRQL before.
    unsafe { IoReleaseCancelSpinLock(previous) };
    result
}

/// Calls `f` with the queue and its state; releases the cancel spin lock; ends the IRP that `f` has ended.
///
/// # Safety
/// The cancel spin lock must be held, and is released. `previous` must be the IRQL before.
unsafe fn with_locked<S, R>(
    guarded: &Guarded<StartIoCore, S>,
    previous: KIRQL,
    f: impl FnOnce(&mut LockedStartIoQueue<'_, S>, &mut Irql<SpinLockHeld>) -> R,
) -> R {
    // SAFETY: the lock is held: nobody else uses the state.
    let state = unsafe { &mut *guarded.state.get() };
    // SAFETY: the lock is held until `f` has returned; what is ended is completed below.
    let mut locked = unsafe { LockedStartIoQueue::new(&guarded.queue, state) };
    // SAFETY: the lock is held, at DISPATCH_LEVEL, until `f` has returned.
    let mut irql = unsafe { Irql::<SpinLockHeld>::assume() };
    let result = f(&mut locked, &mut irql);
    match locked.into_ended() {
        // SAFETY: the lock is held; the IRP was the current one and has been taken under it.
        Some(irp) => unsafe { guarded.queue.end_taken_current(irp, previous) },
        // SAFETY: the lock is held, with this IRQL before.
        None => unsafe { IoReleaseCancelSpinLock(previous) },
    }
    result
}

impl StartIoCore {
    fn header(&self) -> &Header {
        // SAFETY: the header outlives everything in the extension.
        unsafe { self.header.as_ref() }
    }

    fn device(&self) -> *mut DEVICE_OBJECT {
        self.header().device().as_ptr()
    }

    /// Numbers the IRP and puts it on the list.
    fn enlist(&self, irp: NonNull<IRP>, serial: Serial) {
        // SAFETY: the IRP is the queue's, and not started yet.
        let slot = unsafe { serial_slot(irp) };
        // SAFETY: the slot lies in the IRP.
        unsafe { slot.write(serial.0) };
        cancel_locked(|| {
            // SAFETY: the lock is held, and the IRP is in no list.
            unsafe { irp_list::append(self.list.get(), irp.as_ptr()) };
        });
    }

    /// Takes the current IRP; `false` if it is just being cancelled. There is no current one from now on, if it was taken.
    ///
    /// # Safety
    /// The cancel spin lock must be held, and `irp` be the current one.
    pub(super) unsafe fn take_current(&self, irp: NonNull<IRP>) -> bool {
        // SAFETY: the IRP is the queue's, and the lock is held.
        let is_taken = unsafe { take(irp) };
        if is_taken {
            self.set_current(None);
        }
        is_taken
    }

    /// Releases the cancel spin lock, lets the next IRP become current, and completes `irp` with the outcome that is written in it.
    ///
    /// # Safety
    /// The cancel spin lock must be held, with `previous` as the IRQL to go back to. `irp` must have been the current one, and been taken under the lock.
    unsafe fn end_taken_current(&self, irp: NonNull<IRP>, previous: KIRQL) {
        // SAFETY: the lock is held. The IRQL stays, as IoStartNextPacket demands.
        unsafe { IoReleaseCancelSpinLock(DISPATCH) };
        // SAFETY: the current IRP has been taken, so nobody else starts the next one.
        unsafe { IoStartNextPacket(self.device(), 1) };
        if previous != DISPATCH {
            // SAFETY: the IRQL is DISPATCH_LEVEL, and `previous` what it was before the lock was acquired.
            unsafe { lower_irql(previous) };
        }
        // SAFETY: the IRP is this call's.
        let outcome = unsafe { irp_status(irp) };
        // SAFETY: as above.
        let transferred = unsafe { information(irp) };
        self.counters.count(outcome.into_result());
        // SAFETY: the IRP is in no queue any more and is this call's, with the remove lock acquired for it. At most DISPATCH_LEVEL.
        unsafe { answer(irp, self.header, outcome, transferred) };
    }

    /// The current IRP. Under the cancel spin lock.
    pub(super) fn current(&self) -> Option<NonNull<IRP>> {
        NonNull::new(self.current.get())
    }

    /// Notes which IRP is the current one. Under the cancel spin lock.
    fn set_current(&self, irp: Option<NonNull<IRP>>) {
        self.current.set(irp.map_or(core::ptr::null_mut(), NonNull::as_ptr));
        let serial = Serial::number_of(irp.map(serial_of));
        self.current_serial.store(serial, Ordering::Release);
    }

    pub(crate) fn close<L: NoLockHeld>(&self, error: Error, irql: &mut Irql<L>) {
        self.closed.close(error);
        self.end_all(|_| true, error, irql);
    }

    /// Completes every IRP that `wanted` says yes to with `status`.
    fn end_all<L: NoLockHeld>(&self, wanted: impl Fn(NonNull<IRP>) -> bool, error: Error, _irql: &mut Irql<L>) {
        loop {
            let mut previous: KIRQL = 0;
            // SAFETY: at most DISPATCH_LEVEL, as the token proves.
            unsafe { IoAcquireCancelSpinLock(&raw mut previous) };
            let Some(irp) = self.take_first(&wanted) else {
                // SAFETY: acquired above.
                unsafe { IoReleaseCancelSpinLock(previous) };
                return;
            };
            // SAFETY: the IRP was taken above, and the lock is held.
            unsafe { self.end(irp, previous, error) };
        }
    }

    /// Takes the first IRP that is `wanted` and that nobody else has taken. Under the cancel spin lock.
    fn take_first(&self, wanted: &impl Fn(NonNull<IRP>) -> bool) -> Option<NonNull<IRP>> {
        let mut irp = core::ptr::null_mut();
        loop {
            // SAFETY: the lock is held, and `irp` is null or in the list.
            irp = unsafe { irp_list::next(self.list.get(), irp) };
            let candidate = NonNull::new(irp)?;
            // SAFETY: the IRP is in the queue, and the lock is held.
            if wanted(candidate) && unsafe { take(candidate) } {
                return Some(candidate);
            }
        }
    }

    /// Ends an IRP that the caller has taken: takes it off the device queue, or lets the next one become current; releases the cancel spin
    /// lock; completes the IRP with `status`.
    ///
    /// # Safety
    /// The cancel spin lock must be held, with `previous` as the IRQL to go back to, and the IRP have been taken under it.
    unsafe fn end(&self, irp: NonNull<IRP>, previous: KIRQL, error: Error) {
        if self.current.get() == irp.as_ptr() {
            self.set_current(None);
            // SAFETY: the IRP is this call's.
            unsafe { set_outcome(irp, error.into()) };
            // SAFETY: promised by the caller; the IRP was the current one.
            return unsafe { self.end_taken_current(irp, previous) };
        }
        // SAFETY: the device object is ours.
        let queue = unsafe { &raw mut (*self.device()).DeviceQueue };
        // SAFETY: only an address is computed, within the IRP.
        let entry = unsafe { &raw mut (*irp.as_ptr()).Tail.Overlay.__bindgen_anon_1.DeviceQueueEntry };
        // SAFETY: the IRP was given to the device queue, by IoStartPacket: only that sets the cancel routine by which it was taken.
        let is_removed = unsafe { KeRemoveEntryDeviceQueue(queue, entry) } != 0;
        if !is_removed {
            // SAFETY: the IRP is this call's.
            unsafe { doom(irp, error) };
        }
        // SAFETY: the lock is held.
        unsafe { IoReleaseCancelSpinLock(previous) };
        if is_removed {
            self.counters.count(Err(error));
            // SAFETY: the IRP is in no queue any more and is this call's, with the remove lock acquired for it. At most DISPATCH_LEVEL.
            unsafe { complete(irp, self.header, error.into(), 0) };
        }
    }

    /// StartIo was called for this IRP: it is the current one now, or it is doomed and is completed.
    ///
    /// # Safety
    /// To be called with the IRP of a StartIo call, once, and with the pointer to the queue that the device's header has.
    unsafe fn started(this: NonNull<Self>, irp: NonNull<IRP>) {
        // SAFETY: the queue is a kernel object of the device.
        let core = unsafe { this.as_ref() };
        let previous = acquire_cancel_lock();
        // SAFETY: the IRP is the queue's, and the lock is held.
        if !unsafe { is_doomed(irp) } {
            core.set_current(Some(irp));
            // SAFETY: the routine is that of this queue; the lock is held, and is released by it. The I/O manager calls at DISPATCH_LEVEL.
            return unsafe { (core.routine)(this, previous) };
        }
        // SAFETY: the lock is held; the IRP was taken when it was doomed. The device queue has it for the current one.
        unsafe { core.end_taken_current(irp, previous) };
    }
}

/// Whether the IRP, for which StartIo was called, has ended before it became current. Its outcome is written then. Under the cancel spin lock.
///
/// # Safety
/// The IRP must be the queue's.
unsafe fn is_doomed(irp: NonNull<IRP>) -> bool {
    if serial_of(irp) == Serial(DOOMED) {
        return true;
    }
    // A cancel from before IoStartPacket found no cancel routine, and left this behind.
    // SAFETY: the IRP is the queue's, and the lock is held.
    if !unsafe { is_cancelled(irp) } {
        return false;
    }
    // SAFETY: as above.
    let is_taken = unsafe { take(irp) };
    if is_taken {
        // SAFETY: as above.
        unsafe { set_outcome(irp, Error::CANCELLED.into()) };
    }
    is_taken
}

/// Leaves the end of an IRP to the StartIo call that is on its way for it. Under the cancel spin lock.
///
/// # Safety
/// The IRP must have been taken.
unsafe fn doom(irp: NonNull<IRP>, error: Error) {
    // SAFETY: promised by the caller.
    unsafe { set_outcome(irp, error.into()) };
    // SAFETY: as above.
    let slot = unsafe { serial_slot(irp) };
    // SAFETY: the slot lies in the IRP.
    unsafe { slot.write(DOOMED) };
}

/// The cancel routine of an IRP in the queue. Called with the cancel spin lock held.
///
/// # Safety
/// To be called by the I/O manager only.
unsafe extern "C" fn cancel(device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the device object is that of the IRP, with an extension of the safe layer.
    let core = unsafe { core_of(device) };
    let (Some(core), Some(irp)) = (core, NonNull::new(irp)) else {
        return;
    };
    // SAFETY: the I/O manager has put the IRQL to go back to there.
    let previous = unsafe { (*irp.as_ptr()).CancelIrql };
    // SAFETY: the IRP is in the list, and the cancel spin lock is held.
    unsafe { irp_list::unlink(irp.as_ptr()) };
    // SAFETY: the queue is a kernel object of the device.
    let core = unsafe { core.as_ref() };
    // SAFETY: the I/O manager has cleared the cancel routine, so the IRP is this routine's; the lock is held.
    unsafe { core.end(irp, previous, Error::CANCELLED) };
}

/// The driver's StartIo routine.
///
/// # Safety
/// To be called by the I/O manager only.
pub(crate) unsafe extern "C" fn start_io(device: *mut DEVICE_OBJECT, irp: *mut IRP) {
    // SAFETY: the device object is one of this driver, with an extension of the safe layer.
    let core = unsafe { core_of(device) };
    if let (Some(core), Some(irp)) = (core, NonNull::new(irp)) {
        // SAFETY: the I/O manager calls once for each IRP; it is there still, since nobody completes it before.
        unsafe { StartIoCore::started(core, irp) };
    }
}

/// Calls the driver's StartIo with the queue, and releases the cancel spin lock.
///
/// # Safety
/// `core` must be the pointer that the header of a device of the type `S::Device` has, to a queue of this type. The cancel spin lock must be held, and
/// `previous` be the IRQL before.
unsafe fn run_start_io<S: StartIo>(core: NonNull<StartIoCore>, previous: KIRQL) {
    // SAFETY: that pointer is to the queue with its state, a kernel object of the device.
    let guarded = unsafe { core.cast::<Guarded<StartIoCore, S::State>>().as_ref() };
    let extension = guarded.queue.header.cast::<Extension<S::Device>>();
    // SAFETY: not the current IRP keeps the extension: it may be cancelled, and gone, by now. The I/O manager calls StartIo inside IoStartPacket or
    // IoStartNextPacket, deferred or not. Who has called that is a callback of the device, for which the extension is there until it returns, or
    // the cancel routine, which completes its IRP, and so gives its remove lock back, only after that.
    let device = unsafe { Extension::data(extension) };
    // SAFETY: promised by the caller.
    unsafe { with_locked(guarded, previous, |queue, irql| S::start_io(device, queue, irql)) };
}

/// The queue of a device object, if it has one.
///
/// # Safety
/// The device object must exist, and be one of this driver.
unsafe fn core_of(device: *mut DEVICE_OBJECT) -> Option<NonNull<StartIoCore>> {
    // SAFETY: promised by the caller.
    let extension = unsafe { (*device).DeviceExtension };
    // SAFETY: an extension of the safe layer begins with a header.
    let header = unsafe { extension.cast::<Header>().as_ref() }?;
    NonNull::new(header.start_io.get().cast_mut())
}

/// `Irp->CancelRoutine`, as the atomic that `IoSetCancelRoutine` makes of it.
///
/// # Safety
/// The IRP must be valid for `'a`.
unsafe fn cancel_routine<'a>(irp: NonNull<IRP>) -> &'a AtomicPtr<()> {
    // SAFETY: only an address is computed, within the IRP.
    let slot = unsafe { &raw mut (*irp.as_ptr()).CancelRoutine };
    // SAFETY: the field has the size and the alignment of a pointer, and is accessed atomically by everybody.
    unsafe { AtomicPtr::from_ptr(slot.cast()) }
}

/// `IoSetCancelRoutine(Irp, NULL)`, and off the list; whether the IRP is the caller's now. Under the cancel spin lock.
///
/// # Safety
/// The IRP must be in the queue's list, and the lock be held.
unsafe fn take(irp: NonNull<IRP>) -> bool {
    // SAFETY: the IRP is valid while it is in the list and the lock is held.
    let routine = unsafe { cancel_routine(irp) }.swap(core::ptr::null_mut(), Ordering::AcqRel);
    if routine.is_null() {
        return false;
    }
    // SAFETY: promised by the caller.
    unsafe { irp_list::unlink(irp.as_ptr()) };
    true
}

/// The last word of `Irp->Tail.Overlay.DriverContext`: the only one that a device queue leaves alone.
///
/// # Safety
/// The IRP must be valid.
const unsafe fn serial_slot(irp: NonNull<IRP>) -> *mut u64 {
    // SAFETY: the word lies within the IRP.
    unsafe { irp.as_ptr().byte_add(ntlayout::irp::DRIVER_CONTEXT + 24).cast() }
}

pub(super) fn serial_of(irp: NonNull<IRP>) -> Serial {
    // SAFETY: every caller has an IRP that is in the queue, under the cancel spin lock.
    let slot = unsafe { serial_slot(irp) };
    // SAFETY: written when the IRP was put into the queue.
    Serial(unsafe { slot.read() })
}

impl<S: StartIo> fmt::Debug for StartIoQueue<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StartIoQueue").finish_non_exhaustive()
    }
}
