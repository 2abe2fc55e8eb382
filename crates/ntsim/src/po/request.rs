//! `PoRequestPowerIrp`: power IRPs that a device's power policy owner asks for.
//!
//! One query or set-power IRP at a time is under way for a device; others wait for their turn.

use std::{cell::Cell, collections::VecDeque, rc::Rc};

use ntlayout::{io_stack_location as stack, irp as layout};

use super::{
    Action, Minor, PowerManager, device,
    irp::{self as power_irp, Spec, Target},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    bus::DevicePower,
    ddi::{Args, Contract, Registry},
    io::{
        self,
        irp::{self, Record},
        pnp,
        violation::{IoRule, violation},
    },
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::ThreadSpec,
    status::NtStatus,
    trace::Event,
};

/// The power manager's own completion routine.
const COMPLETION: &str = "PopRequestCompletion";
/// Percent of the requests that are sent before `PoRequestPowerIrp` returns, where that may be.
const AT_ONCE_SHARE: u64 = 50;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.flow("PoRequestPowerIrp", 6, contract, |k, a| async move {
        request_power_irp(&k, &a).await
    });
    ddi.flow(
        COMPLETION,
        3,
        contract,
        |k, a| async move { completion(&k, a.va(1)).await },
    );
}

/// Who asked for a power IRP, and is told of its end.
#[derive(Debug)]
pub(super) struct Requested {
    /// The device object that the request named.
    device: Va,
    minor: Minor,
    /// The state that the request named: the header's value.
    value: u32,
    /// `REQUEST_POWER_COMPLETE`; may be null.
    routine: Va,
    context: u64,
    /// The drivers have it, or have had it.
    sent: Cell<bool>,
    /// The drivers are done with it.
    answered: Cell<bool>,
    irp: Cell<Va>,
}

/// A request that waits for its turn, with its IRP.
type Waiting = (Spec, Rc<Record>, Rc<Requested>);

/// The requests for one device.
#[derive(Debug, Default)]
pub(super) struct Queue {
    active: Option<Rc<Requested>>,
    waiting: VecDeque<Waiting>,
    /// `IRP_MN_WAIT_WAKE` takes no turn.
    wake: Vec<Rc<Requested>>,
}

/// `PoRequestPowerIrp(DeviceObject, MinorFunction, PowerState, CompletionFunction, Context, Irp)`.
async fn request_power_irp(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (object, minor, value) = (a.va(0), Minor(a.u8(1)), a.u32(2));
    let (routine, context, out) = (a.va(3), a.u64(4), a.va(5));
    if !k.io().borrow().devices.exists(object) {
        let message = format!("PoRequestPowerIrp was given {object}, which is no device object");
        return Err(violation(k, IoRule::NOT_A_DEVICE, Va::NULL, object, message));
    }
    let target = match (minor, DevicePower::from_value(value)) {
        (Minor::SET_POWER | Minor::QUERY_POWER, Some(power)) => Target::Device(power),
        (Minor::SET_POWER | Minor::QUERY_POWER, None) => {
            let message = format!("PoRequestPowerIrp was given {value}, which is no device power state");
            return Err(device::misreported(k, object, message));
        }
        (Minor::WAIT_WAKE, _) => Target::Wake(value),
        _ => return Ok(NtStatus::INVALID_PARAMETER_2),
    };
    if minor != Minor::WAIT_WAKE && !out.is_null() {
        k.verify(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [VerifierRule::REQUESTED_POWER_IRP.subcode, 0, 0, 0],
            "requested-power-irp",
            "PoRequestPowerIrp was asked for the address of an IRP that may be gone when it returns",
        ))?;
    }
    let pdo = io::bottom_of_stack(k, object);
    let spec = Spec {
        pdo,
        minor,
        target,
        shutdown_type: shutdown_type(k, target),
        context: 0,
    };
    let requested = Rc::new(Requested {
        device: object,
        minor,
        value,
        routine,
        context,
        sent: Cell::new(false),
        answered: Cell::new(false),
        irp: Cell::new(Va::NULL),
    });
    let record = power_irp::make(k, spec, true)?;
    requested.irp.set(record.irp());
    if !out.is_null() {
        k.write(out, record.irp())?;
    }
    k.trace(Event::Note(format!(
        "{} requested for device {}: {target}",
        minor.name(),
        pnp::device_number(k, pdo)
    )));
    let first = {
        let manager = k.state::<PowerManager>();
        let mut manager = manager.borrow_mut();
        let queue = manager.requests.entry(pdo).or_default();
        if minor == Minor::WAIT_WAKE {
            queue.wake.push(requested);
            true
        } else if queue.active.is_none() {
            queue.active = Some(requested);
            true
        } else {
            queue.waiting.push_back((spec, record.clone(), requested));
            false
        }
    };
    if first {
        start(k, spec, record).await?;
    }
    Ok(NtStatus::PENDING)
}

/// `Parameters.Power.ShutdownType`: on the way down, what the system is doing.
fn shutdown_type(k: &Kernel, target: Target) -> u32 {
    let down = matches!(target, Target::Device(power) if power != DevicePower::D0);
    let action = if down {
        k.state::<PowerManager>().borrow().action
    } else {
        Action::None
    };
    action.value()
}

/// Sends a request, from here or from a thread of the power manager.
async fn start(k: &Kernel, spec: Spec, record: Rc<Record>) -> Outcome<()> {
    let allowed = k.irql() == Irql::PASSIVE || power_irp::at_dispatch_allowed(k, spec.pdo)?;
    if allowed && k.random().borrow_mut().chance(AT_ONCE_SHARE) {
        return send(k, spec, &record).await;
    }
    send_later(k, spec, record);
    Ok(())
}

fn send_later(k: &Kernel, spec: Spec, record: Rc<Record>) {
    k.spawn(ThreadSpec::system("power manager"), move |k| async move {
        send(&k, spec, &record).await
    });
}

async fn send(k: &Kernel, spec: Spec, record: &Record) -> Outcome<()> {
    if let Some(requested) = find(k, record.irp()) {
        requested.sent.set(true);
    }
    power_irp::send(k, spec, record).await
}

/// Whether it is a requested IRP that no driver has seen yet.
pub(crate) fn is_unsent(k: &Kernel, irp: Va) -> bool {
    let manager = k.state::<PowerManager>();
    let manager = manager.borrow();
    let mut all = manager.requests.values().flat_map(|queue| {
        let waiting = queue.waiting.iter().map(|(_, _, requested)| requested);
        queue.active.iter().chain(&queue.wake).chain(waiting)
    });
    all.any(|requested| requested.irp.get() == irp && !requested.sent.get())
}

/// Has the power manager told when the drivers have completed the IRP: `location` is that of the highest one.
pub(super) fn notify(k: &Kernel, request: Va, location: Va) -> Outcome<()> {
    let invoke = irp::SL_INVOKE_ON_SUCCESS | irp::SL_INVOKE_ON_ERROR | irp::SL_INVOKE_ON_CANCEL;
    k.write(location + stack::COMPLETION_ROUTINE, k.routine_address(COMPLETION))?;
    k.write(location + stack::CONTEXT, request)?;
    k.write(location + stack::CONTROL, invoke)
}

/// The drivers have completed the IRP: tells who asked for it, wherever that was.
async fn completion(k: &Kernel, irp: Va) -> Outcome<NtStatus> {
    let pending: u8 = k.read(irp + layout::PENDING_RETURNED)?;
    if pending != 0 {
        irp::mark_pending(k, irp)?;
    }
    let Some(requested) = find(k, irp) else {
        return Err(k.not_modelled(format!(
            "the power manager's completion routine was called for {irp}, which is no power IRP of its own: that is not modelled"
        )));
    };
    requested.answered.set(true);
    if !requested.routine.is_null() {
        let arguments = [
            requested.device.get(),
            u64::from(requested.minor.0),
            u64::from(requested.value),
            requested.context,
            (irp + layout::IO_STATUS).get(),
        ];
        k.call(requested.routine, &arguments).label("PowerCompletion").await?;
    }
    Ok(NtStatus::SUCCESS)
}

fn find(k: &Kernel, irp: Va) -> Option<Rc<Requested>> {
    let manager = k.state::<PowerManager>();
    let manager = manager.borrow();
    let mut all = manager
        .requests
        .values()
        .flat_map(|queue| queue.active.iter().chain(&queue.wake));
    all.find(|requested| requested.irp.get() == irp).cloned()
}

/// Whether the drivers of the device have a requested IRP still, or will get one.
pub(super) fn is_active(k: &Kernel, pdo: Va) -> bool {
    let manager = k.state::<PowerManager>();
    let manager = manager.borrow();
    let queue = manager.requests.get(&pdo);
    queue.is_some_and(|queue| {
        let active = queue.active.as_ref().is_some_and(|active| !active.answered.get());
        active || !queue.waiting.is_empty()
    })
}

/// A requested IRP has ended: the next one's turn.
pub(super) fn ended(k: &Kernel, spec: Spec) {
    let manager = k.state::<PowerManager>();
    let next = {
        let mut manager = manager.borrow_mut();
        let queue = manager.requests.entry(spec.pdo).or_default();
        if spec.minor == Minor::WAIT_WAKE {
            queue.wake.retain(|requested| !requested.answered.get());
            None
        } else {
            queue.active = None;
            let next = queue.waiting.pop_front();
            queue.active = next.as_ref().map(|(_, _, requested)| requested.clone());
            next
        }
    };
    if let Some((spec, record, _)) = next {
        send_later(k, spec, record);
    }
}
