//! The queue of a device object and StartIo: `IoStartPacket`, `IoStartNextPacket`, `IoStartNextPacketByKey`,
//! `IoSetStartIoAttributes`.
//!
//! A packet that finds the device idle becomes its current IRP, and StartIo is called for it at `DISPATCH_LEVEL`; one that
//! finds it busy waits in the device queue, linked by its `Tail.Overlay.DeviceQueueEntry`. When packets can be cancelled, the
//! cancel spin lock guards `CurrentIrp` and the step from the queue to it. It is released before StartIo is called: an IRP can
//! be cancelled when StartIo is already on its way for it.
//!
//! With deferral a call of StartIo waits while the driver is inside the routine: who is inside makes the call when the routine has returned.
//! Which calls, and whether the packet waits as well, can be read in several ways: see [`deferral`].

mod deferral;

use ntlayout::{device_object, driver_object, irp as irp_layout};

pub(super) use deferral::{Caller, Deferral, Deferred, Waiting};

use super::{cancel, irp};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::{Irql, device_queue},
    kernel::Kernel,
    mm::Va,
    trace::Event,
    verifier::SyncObject,
};

/// What the I/O manager knows about a device's StartIo beside guest memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StartIo {
    deferred: bool,
    non_cancelable: bool,
    /// How many calls of the routine are under way, of those that others wait for.
    running: u32,
    /// A packet became current meanwhile, and waits for the routine to return.
    owed: bool,
    /// The next packet was asked for meanwhile.
    asked_for: Option<Next>,
}

impl StartIo {
    /// Whether the driver is inside the routine and wants no second call.
    fn must_wait(&self, caller: Caller, waiting: Waiting) -> bool {
        self.deferred && self.running > 0 && waiting.waits(caller)
    }
}

/// Which packet is asked for.
#[derive(Clone, Copy, Debug)]
struct Next {
    cancelable: bool,
    key: Option<u32>,
}

pub(super) fn register(ddi: &mut Registry) {
    let at_most = Contract::at_most(Irql::DISPATCH);
    let exactly = Contract::exactly(Irql::DISPATCH).by_rule(VerifierRule::IRQL_DISPATCH);
    ddi.function("IoSetStartIoAttributes", 3, Contract::ANY, |k, a| {
        set_attributes(k, a.va(0), a.bool(1), a.bool(2));
        Ok(())
    });
    ddi.flow("IoStartPacket", 4, at_most, |k, a| async move {
        let key = match a.va(2) {
            Va::NULL => None,
            pointer => Some(k.read(pointer)?),
        };
        start_packet(&k, a.va(0), a.va(1), key, a.va(3)).await
    });
    ddi.flow("IoStartNextPacket", 2, exactly, |k, a| async move {
        let (cancelable, key) = (a.bool(1), None);
        start_next_packet(&k, a.va(0), Next { cancelable, key }).await
    });
    ddi.flow("IoStartNextPacketByKey", 3, at_most, |k, a| async move {
        let (cancelable, key) = (a.bool(1), Some(a.u32(2)));
        let old = k.raise_irql(Irql::DISPATCH);
        start_next_packet(&k, a.va(0), Next { cancelable, key }).await?;
        k.lower_irql(old);
        Ok(())
    });
}

/// How this machine defers calls of StartIo.
fn reading(k: &Kernel) -> Deferral {
    Deferral::of(k.config().seed)
}

fn with<T>(k: &Kernel, device: Va, work: impl FnOnce(&mut StartIo) -> T) -> T {
    work(k.io().borrow_mut().start_io.entry(device).or_default())
}

/// `IoSetStartIoAttributes`.
pub(super) fn set_attributes(k: &Kernel, device: Va, deferred: bool, non_cancelable: bool) {
    with(k, device, |start_io| {
        start_io.deferred = deferred;
        start_io.non_cancelable = non_cancelable;
    });
}

/// `IoStartPacket`. A cancel routine, when there is one, is set before the IRP can be seen by anyone who might start it.
async fn start_packet(k: &Kernel, device: Va, irp: Va, key: Option<u32>, cancel_routine: Va) -> Outcome<()> {
    let old = k.raise_irql(Irql::DISPATCH);
    let cancelable = !cancel_routine.is_null();
    if cancelable {
        cancel::acquire(k).await?;
        irp::exchange_cancel_routine(k, irp, cancel_routine)?;
    }
    let queue = device + device_object::DEVICE_QUEUE;
    if device_queue::insert(k, queue, irp + irp_layout::DEVICE_QUEUE_ENTRY, key).await? {
        k.trace(Event::IrpHeld { irp, device });
        if cancelable {
            release_or_cancel(k, device, irp).await?;
        }
    } else {
        k.write(device + device_object::CURRENT_IRP, irp)?;
        if cancelable {
            release_started(k, device, irp)?;
        }
        call_or_owe(k, device, irp, Caller::StartPacket).await?;
    }
    k.lower_irql(old);
    Ok(())
}

/// A packet was queued under the cancel spin lock. One that was cancelled before it had a cancel routine is cancelled now:
/// nobody else will.
async fn release_or_cancel(k: &Kernel, device: Va, irp: Va) -> Outcome<()> {
    let cancelled: u8 = k.read(irp + irp_layout::CANCEL)?;
    if cancelled == 0 {
        return cancel::release(k, Irql::DISPATCH);
    }
    let routine = irp::exchange_cancel_routine(k, irp, Va::NULL)?;
    k.write(irp + irp_layout::CANCEL_IRQL, Irql::DISPATCH.0)?;
    cancel::call_routine(k, device, irp, routine, Irql::DISPATCH).await
}

/// A packet became the current one under the cancel spin lock.
fn release_started(k: &Kernel, device: Va, irp: Va) -> Outcome<()> {
    if with(k, device, |start_io| start_io.non_cancelable) {
        irp::exchange_cancel_routine(k, irp, Va::NULL)?;
    }
    cancel::release(k, Irql::DISPATCH)
}

async fn start_next_packet(k: &Kernel, device: Va, next: Next) -> Outcome<()> {
    let Deferral { waiting, deferred } = reading(k);
    let must_wait = with(k, device, |start_io| {
        let must_wait = deferred == Deferred::Packet && start_io.must_wait(Caller::StartNextPacket, waiting);
        if must_wait {
            start_io.asked_for = Some(next);
        }
        must_wait
    });
    if must_wait {
        return Ok(());
    }
    if let Some(irp) = next_packet(k, device, next).await? {
        call_or_owe(k, device, irp, Caller::StartNextPacket).await?;
    }
    Ok(())
}

/// A packet became the current one: calls StartIo for it, or leaves that to who is inside the routine.
async fn call_or_owe(k: &Kernel, device: Va, irp: Va, caller: Caller) -> Outcome<()> {
    let waiting = reading(k).waiting;
    let must_wait = with(k, device, |start_io| {
        let must_wait = start_io.must_wait(caller, waiting);
        start_io.owed |= must_wait;
        must_wait
    });
    if must_wait {
        return Ok(());
    }
    call_start_io(k, device, irp, caller).await
}

/// Makes a queued packet the current one, if there is any.
async fn next_packet(k: &Kernel, device: Va, next: Next) -> Outcome<Option<Va>> {
    if next.cancelable {
        cancel::acquire(k).await?;
    }
    k.write(device + device_object::CURRENT_IRP, Va::NULL)?;
    let entry = device_queue::remove(k, device + device_object::DEVICE_QUEUE, next.key).await?;
    let irp = (!entry.is_null()).then(|| entry - irp_layout::DEVICE_QUEUE_ENTRY);
    if let Some(irp) = irp {
        k.write(device + device_object::CURRENT_IRP, irp)?;
    }
    match irp {
        Some(irp) if next.cancelable => release_started(k, device, irp)?,
        None if next.cancelable => cancel::release(k, Irql::DISPATCH)?,
        _ => {}
    }
    Ok(irp)
}

/// Calls the driver's StartIo routine, and again for what had to wait meanwhile.
async fn call_start_io(k: &Kernel, device: Va, irp: Va, caller: Caller) -> Outcome<()> {
    let driver: Va = k.read(device + device_object::DRIVER_OBJECT)?;
    let routine: Va = k.read(driver + driver_object::DRIVER_START_IO)?;
    let waiting = reading(k).waiting;
    let (mut current, mut caller) = (Some(irp), caller);
    // A call that waits for others sees what they did. Nothing else orders them.
    let order = SyncObject::WorkItem(device.get());
    while let Some(irp) = current {
        let (waits, counts) = (waiting.waits(caller), waiting.counts(caller));
        let deferred = with(k, device, |start_io| {
            start_io.running += u32::from(counts);
            start_io.deferred
        });
        if deferred && waits {
            k.sync_acquire(order);
        }
        k.trace(Event::IrpStarted { irp, device });
        k.call(routine, &[device.get(), irp.get()]).label("StartIo").await?;
        if deferred && counts {
            k.sync_release(order);
        }
        let (asked_for, owed) = with(k, device, |start_io| {
            start_io.running -= u32::from(counts);
            if start_io.running > 0 {
                // Who is still inside makes the call.
                return (None, false);
            }
            (start_io.asked_for.take(), std::mem::take(&mut start_io.owed))
        });
        // What has waited is the next packet, or a first one that waits like a next.
        caller = Caller::StartNextPacket;
        current = match asked_for {
            Some(next) => next_packet(k, device, next).await?,
            None if owed => {
                let irp: Va = k.read(device + device_object::CURRENT_IRP)?;
                (!irp.is_null()).then_some(irp)
            }
            None => None,
        };
    }
    Ok(())
}
