//! The system goes to sleep, wakes up, shuts down: system power IRPs to every device.
//!
//! While the system is on its way to another state, or in one, the PnP manager does nothing: it takes turns with the power manager, as on
//! Windows. Programs' threads go on; a driver must hold what they ask for.

use std::{cell::RefCell, rc::Rc};

use super::{
    Action, Minor, PowerManager, SystemState,
    irp::{self as power_irp, Spec, Target},
    state::transition_context,
    watchdog,
};
use crate::{
    bugcheck::Outcome,
    bus::{ConfigSpace, DevicePower, Slot},
    ex::callback,
    io::pnp,
    kernel::Kernel,
    mm::Va,
    sched::ThreadSpec,
    status::NtStatus,
    trace::Event,
};

/// The first argument that the callback object `\Callback\PowerState` is notified with when the system leaves or enters S0.
const PO_CB_SYSTEM_STATE_LOCK: u64 = 3;
/// The second one.
const LEAVING_S0: u64 = 0;
/// The same.
const BACK_IN_S0: u64 = 1;

/// A device's drivers have refused to let the system sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The device, by its physical device object.
    pub pdo: Va,
    /// What they answered to `IRP_MN_QUERY_POWER`.
    pub status: NtStatus,
}

/// The state that the system is in, or on the way to.
#[must_use]
pub fn state(k: &Kernel) -> SystemState {
    k.state::<PowerManager>().borrow().system
}

/// Sends the system to `state`: asks every device and, when none refuses, tells every device. It sleeps when this returns; [`wake`] wakes it.
/// After a refusal it works as before.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn sleep(k: &Kernel, state: SystemState) -> Outcome<Result<(), Refusal>> {
    begin(k, state).await?;
    let answers = tell_all(k, Minor::QUERY_POWER, SystemState::Working, state).await?;
    let refusal = answers.into_iter().find(|(_, status)| !status.is_success());
    if let Some((pdo, status)) = refusal {
        let number = pnp::device_number(k, pdo);
        k.trace(Event::Note(format!(
            "device {number} refuses: {status}; the system stays in S0"
        )));
        tell_all(k, Minor::SET_POWER, SystemState::Working, SystemState::Working).await?;
        end(k);
        return Ok(Err(Refusal { pdo, status }));
    }
    enter(k, state).await?;
    Ok(Ok(()))
}

/// As [`sleep`], without asking: the battery is about to fail.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn sleep_at_once(k: &Kernel, state: SystemState) -> Outcome<()> {
    begin(k, state).await?;
    enter(k, state).await
}

/// Wakes the system up. Devices may still be on their way to D0 when this returns.
///
/// # Errors
/// When a driver breaks a rule.
///
/// # Panics
/// When it does not sleep.
pub async fn wake(k: &Kernel) -> Outcome<()> {
    let from = state(k);
    let asleep = !matches!(from, SystemState::Working | SystemState::Shutdown);
    assert!(asleep, "the system is in {from} and cannot wake up");
    k.trace(Event::Note(format!("the system wakes up from {from}")));
    k.state::<PowerManager>().borrow_mut().system = SystemState::Working;
    tell_all(k, Minor::SET_POWER, from, SystemState::Working).await?;
    callback::notify_system(k, "\\Callback\\PowerState", [PO_CB_SYSTEM_STATE_LOCK, BACK_IN_S0]).await?;
    end(k);
    Ok(())
}

/// Shuts the system down and switches it off. Nothing is removed or unloaded.
///
/// # Errors
/// When a driver breaks a rule.
pub async fn shut_down(k: &Kernel) -> Outcome<()> {
    crate::io::shutdown::tell(k).await?;
    begin(k, SystemState::Shutdown).await?;
    enter(k, SystemState::Shutdown).await
}

async fn begin(k: &Kernel, to: SystemState) -> Outcome<()> {
    if !pnp::manager::begin_before(k, Some(k.now() + watchdog::TIMEOUT)).await? {
        return Err(k.bugcheck(watchdog::pnp_timed_out()));
    }
    k.trace(Event::Note(format!("the system is to go to {to}")));
    k.state::<PowerManager>().borrow_mut().action = to.action();
    Ok(())
}

fn end(k: &Kernel) {
    k.state::<PowerManager>().borrow_mut().action = Action::None;
    pnp::manager::end(k);
}

async fn enter(k: &Kernel, to: SystemState) -> Outcome<()> {
    k.state::<PowerManager>().borrow_mut().system = to;
    callback::notify_system(k, "\\Callback\\PowerState", [PO_CB_SYSTEM_STATE_LOCK, LEAVING_S0]).await?;
    tell_all(k, Minor::SET_POWER, SystemState::Working, to).await?;
    if to >= SystemState::S3 {
        cut_power(k);
    }
    k.trace(Event::Note(format!("the system is in {to}")));
    Ok(())
}

/// Devices that nobody has sent to D3 lose their power all the same. Firmware configures them again; what was in them is gone.
fn cut_power(k: &Kernel) {
    let mut bus = k.bus().borrow_mut();
    let on: Vec<(Slot, ConfigSpace)> = bus
        .functions()
        .iter()
        .filter(|function| function.power() != DevicePower::D3)
        .map(|function| (function.slot(), function.config().clone()))
        .collect();
    for (slot, config) in on {
        let function = bus.function_mut(slot);
        function.set_power(DevicePower::D3);
        function.set_power(DevicePower::D0);
        function.restore(config);
        k.trace(Event::Note(format!("device {} lost its power in D0", slot.0)));
    }
}

/// Sends a system power IRP to every device that has drivers, to all at a time, and waits for the end of all of them: how they ended.
async fn tell_all(k: &Kernel, minor: Minor, from: SystemState, to: SystemState) -> Outcome<Vec<(Va, NtStatus)>> {
    let answers: Rc<RefCell<Vec<(Va, NtStatus)>>> = Rc::default();
    let threads: Vec<_> = pnp::with_drivers(k)
        .into_iter()
        .map(|pdo| {
            let answers = answers.clone();
            k.spawn(ThreadSpec::system("power manager"), move |k| async move {
                let spec = Spec {
                    pdo,
                    minor,
                    target: Target::System(to),
                    shutdown_type: to.action().value(),
                    context: transition_context(from, to),
                };
                let record = power_irp::make(&k, spec, false)?;
                power_irp::send(&k, spec, &record).await?;
                let status = record.wait(&k).await?.status;
                answers.borrow_mut().push((pdo, status));
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        k.join(thread).await?;
    }
    k.running()?;
    Ok(answers.take())
}
