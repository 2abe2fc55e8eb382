//! The interrupt request level (IRQL) as a token.
//!
//! The system calls each driver routine at an IRQL that its documentation states, and each DDI may be called at some
//! IRQLs only. [`Irql`] carries the first fact to where the second one is demanded: every callback is lent one token,
//! every wrapper asks for the token that its DDI's contract needs, and a call at the wrong level does not compile.
//!
//! A token is never `Copy`, never `Send`, and is only ever lent as `&mut`. Raising the IRQL borrows the caller's token for
//! the whole time, so the token of the lower level cannot be used while the level is higher. What must not compile is listed, and
//! tried, in `crates/wdm/ui`.
//!
//! # Who is lent what
//!
//! | callback | token |
//! |---|---|
//! | PnP and power methods of [`DeviceExtension`](crate::DeviceExtension), [`WorkRoutine`](crate::WorkRoutine) | [`Passive`] |
//! | its dispatch routines, [`CompletionRoutine`](crate::CompletionRoutine) | [`UpToDispatch`]: the caller's IRQL. [`Irql::passive`] asks |
//! | [`DpcRoutine`](crate::DpcRoutine), [`DpcForIsrRoutine`](crate::DpcForIsrRoutine), [`TimerRoutine`](crate::TimerRoutine) | [`Dispatch`] |
//! | [`ThreadedDpcRoutine`](crate::ThreadedDpcRoutine) | [`Threaded`]: one or the other, and no wait |
//! | closures of [`SpinLock::with`](crate::SpinLock::with), [`CancelSafeQueue::with`](crate::CancelSafeQueue::with), [`insert_with`](crate::CancelSafeQueue::insert_with) and [`StartIoQueue::with`](crate::StartIoQueue::with); [`StartIo`](crate::StartIo) | [`SpinLockHeld`] |
//! | [`InterruptService`](crate::InterruptService), closures of [`Interrupt::synchronize`](crate::Interrupt::synchronize) | [`Dirql`] |
//!
//! # Who asks for what
//!
//! | asked for | by |
//! |---|---|
//! | [`Passive`] | whatever waits, connects or allocates for long: [`Event::wait`](crate::Event::wait), [`Interrupt::connect`](crate::Interrupt::connect), [`DeviceMemory::map`](crate::DeviceMemory::map), [`Revocable::revoke`](crate::Revocable::revoke), [`flush_queued_dpcs`](crate::flush_queued_dpcs), [`CommonBuffer::allocate`](crate::CommonBuffer::allocate), [`LowerDevice::device_control`](crate::LowerDevice::device_control), [`HardwareKey::dword`](crate::HardwareKey::dword) |
//! | [`NoLockHeld`] | whatever completes an IRP or calls another driver: [`Irp::complete`](crate::Irp::complete), [`Irp::forward`](crate::Irp::forward), the queues |
//! | [`AtMostDispatch`] | [`SpinLock::with`](crate::SpinLock::with), [`Event::set`](crate::Event::set), [`Timer::set`](crate::Timer::set), [`PoolBox`](crate::PoolBox), [`WorkItem::queue`](crate::WorkItem::queue), [`DeviceFailure::report`](crate::DeviceFailure::report), [`Interrupt::synchronize`](crate::Interrupt::synchronize) |
//! | [`Dispatch`] | [`StartIoQueue::finish_current`](crate::StartIoQueue::finish_current) |
//! | [`Dirql`] | [`DpcForIsr::request`](crate::DpcForIsr::request) |
//! | nothing: any IRQL | registers, [`CustomDpc::queue`](crate::CustomDpc::queue), [`CustomDpc::remove`](crate::CustomDpc::remove), [`StartIoQueue::current_serial`](crate::StartIoQueue::current_serial), [`performance_time`](crate::performance_time), [`Revocable::with`](crate::Revocable::with), copies from and to a [`CommonBuffer`](crate::CommonBuffer), counters |
//!
//! ```no_run
//! use core::time::Duration;
//!
//! use wdm::{Event, Irql, Result, SpinLock, Error, irql::UpToDispatch};
//!
//! /// In a dispatch routine, whose caller may be a program or another driver.
//! fn wait(event: &Event, count: &SpinLock<u64>, irql: &mut Irql<UpToDispatch>) -> Result<bool> {
//!     count.with(irql, |_under_the_lock, count| *count = count.wrapping_add(1));
//!     let irql = irql.passive().ok_or(Error::INVALID_DEVICE_STATE)?;
//!     Ok(event.wait(Duration::from_millis(1), irql))
//! }
//! # fn main() {}
//! ```
//!
//! See [Managing Hardware Priorities](https://learn.microsoft.com/windows-hardware/drivers/kernel/managing-hardware-priorities).

use core::marker::PhantomData;

use wdk_sys::{KIRQL, PASSIVE_LEVEL};

mod sealed {
    pub trait Sealed {}
}

/// What is known about the IRQL that the code runs at.
pub trait Level: sealed::Sealed {}

/// The IRQL is `DISPATCH_LEVEL` or below: what most DDIs of the I/O manager ask for.
pub trait AtMostDispatch: Level {
    /// Whether the IRQL is known to be `DISPATCH_LEVEL` exactly, so that a spin lock need not raise it.
    #[doc(hidden)]
    const IS_DISPATCH: bool;
}

/// [`AtMostDispatch`], and no spin lock is held: IRPs may be completed and other drivers called.
///
/// Microsoft's documentation of `IoCompleteRequest` and of `IoCallDriver` forbids both while a spin lock is held: the routine
/// they reach may want the same lock.
pub trait NoLockHeld: AtMostDispatch {}

/// `PASSIVE_LEVEL`: the code may wait and touch paged memory.
#[derive(Debug)]
pub enum Passive {}
/// `DISPATCH_LEVEL` or below: dispatch, completion and power routines, whose caller decides.
#[derive(Debug)]
pub enum UpToDispatch {}
/// `DISPATCH_LEVEL`: DPC and cancel routines.
#[derive(Debug)]
pub enum Dispatch {}
/// `PASSIVE_LEVEL` or `DISPATCH_LEVEL`, in a [threaded DPC](crate::ThreadedDpc). Not to be told apart, because a threaded DPC keeps to what is allowed at
/// `DISPATCH_LEVEL`: it must not wait.
#[derive(Debug)]
pub enum Threaded {}
/// `DISPATCH_LEVEL` with at least one spin lock held.
#[derive(Debug)]
pub enum SpinLockHeld {}
/// The device IRQL (DIRQL) of an interrupt, with its interrupt spin lock held.
#[derive(Debug)]
pub enum Dirql {}

macro_rules! levels {
    ($($level:ty),*) => { $(impl sealed::Sealed for $level {} impl Level for $level {})* };
}
levels!(Passive, UpToDispatch, Dispatch, Threaded, SpinLockHeld, Dirql);

impl AtMostDispatch for Passive {
    const IS_DISPATCH: bool = false;
}
impl AtMostDispatch for UpToDispatch {
    const IS_DISPATCH: bool = false;
}
impl AtMostDispatch for Dispatch {
    const IS_DISPATCH: bool = true;
}
impl AtMostDispatch for Threaded {
    const IS_DISPATCH: bool = false;
}
impl AtMostDispatch for SpinLockHeld {
    const IS_DISPATCH: bool = true;
}

impl NoLockHeld for Passive {}
impl NoLockHeld for UpToDispatch {}
impl NoLockHeld for Dispatch {}

/// Proof that the code runs at the level `L`, lent to a callback for as long as it runs.
#[derive(Debug)]
pub struct Irql<L: Level> {
    level: PhantomData<L>,
    // The IRQL is a property of the processor: a token is of no use, and no truth, on another one.
    not_send: PhantomData<*mut ()>,
}

impl<L: Level> Irql<L> {
    /// States that the code runs at `L`.
    ///
    /// # Safety
    /// The IRQL must be what `L` says for as long as the token can be used, and no other token that says something else may be
    /// usable meanwhile.
    #[must_use]
    pub const unsafe fn assume() -> Self {
        Self {
            level: PhantomData,
            not_send: PhantomData,
        }
    }
}

impl Irql<UpToDispatch> {
    /// The token for `PASSIVE_LEVEL`, if that is where the code runs (`KeGetCurrentIrql`).
    pub fn passive(&mut self) -> Option<&mut Irql<Passive>> {
        if !is_passive() {
            return None;
        }
        let token: *mut Irql<Passive> = core::ptr::from_mut(self).cast();
        // SAFETY: both are zero-sized and without a requirement on the address but alignment 1; the statement that the token
        // makes was just checked, and it stays true while this borrow lasts because only `self` could raise the IRQL.
        Some(unsafe { &mut *token })
    }
}

impl Irql<Threaded> {
    /// Raises the IRQL to `DISPATCH_LEVEL` while `f` runs: to complete IRPs, to pass them down, and for whatever else calls other drivers. At
    /// `PASSIVE_LEVEL` those would take themselves for called by a thread that may wait, which a threaded DPC must not.
    ///
    /// DDIs: `KeRaiseIrqlToDpcLevel`, `KeLowerIrql`.
    pub fn at_dispatch<R>(&mut self, f: impl FnOnce(&mut Irql<Dispatch>) -> R) -> R {
        // SAFETY: the code runs at DISPATCH_LEVEL or below.
        let previous = unsafe { KeRaiseIrqlToDpcLevel() };
        // SAFETY: just raised, until `f` has returned; `self` is borrowed meanwhile.
        let mut irql = unsafe { Irql::<Dispatch>::assume() };
        let result = f(&mut irql);
        // SAFETY: what the IRQL was before; a spin lock is released by the closure that holds it.
        unsafe { lower_irql(previous) };
        result
    }
}

/// Whether the code runs at `PASSIVE_LEVEL` (`KeGetCurrentIrql`).
pub(crate) fn is_passive() -> bool {
    // SAFETY: nothing is demanded; any IRQL.
    let irql = unsafe { KeGetCurrentIrql() };
    u32::from(irql) == PASSIVE_LEVEL
}

/// `KeLowerIrql`.
///
/// # Safety
/// `to` must be at most the current IRQL, and what it was before it was raised; no spin lock may be held.
pub(crate) unsafe fn lower_irql(to: KIRQL) {
    // SAFETY: promised by the caller.
    unsafe { KeLowerIrql(to) };
}

// The kernel exports them on x64, and the kit for Windows 8 and later declares them so. Older headers, mingw-w64's among them, have inline functions
// instead, which read and write CR8, and of which no bindings are made: hence the declarations. What the kernel does when the IRQL falls is its own
// business: it is called.
#[allow(
    clashing_extern_declarations,
    reason = "the bindings' own, where there are some, are the same"
)]
unsafe extern "C" {
    /// See [`KeGetCurrentIrql`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kegetcurrentirql).
    fn KeGetCurrentIrql() -> KIRQL;
    /// See [`KeRaiseIrqlToDpcLevel`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-keraiseirqltodpclevel).
    fn KeRaiseIrqlToDpcLevel() -> KIRQL;
    /// See [`KeLowerIrql`](https://learn.microsoft.com/windows-hardware/drivers/ddi/wdm/nf-wdm-kelowerirql~r1).
    fn KeLowerIrql(new_irql: KIRQL);
}
