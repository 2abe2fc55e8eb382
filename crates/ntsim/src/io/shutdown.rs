//! `IRP_MJ_SHUTDOWN`: `IoRegisterShutdownNotification`, `IoRegisterLastChanceShutdownNotification`, `IoUnregisterShutdownNotification`.

use ntlayout::device_object;

use super::{
    device,
    file::send_and_wait,
    irp::{self, Major},
};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::Mode,
    status::NtStatus,
    trace::Event,
};

/// `DO_SHUTDOWN_REGISTERED`.
const SHUTDOWN_REGISTERED: u32 = 0x0000_0800;

/// The devices that want to know, in the order in which they were registered.
#[derive(Debug, Default)]
struct Registered {
    first: Vec<Va>,
    last_chance: Vec<Va>,
}

pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE);
    let contract = passive.by_rule(VerifierRule::IRQL_IO_PASSIVE_5);
    ddi.function("IoRegisterShutdownNotification", 1, contract, |k, a| {
        k.state::<Registered>().borrow_mut().first.push(a.va(0));
        note(k, a.va(0))
    });
    ddi.function("IoRegisterLastChanceShutdownNotification", 1, passive, |k, a| {
        k.state::<Registered>().borrow_mut().last_chance.push(a.va(0));
        note(k, a.va(0))
    });
    ddi.function("IoUnregisterShutdownNotification", 1, contract, |k, a| {
        forget(k, a.va(0));
        let flags: u32 = k.read(a.va(0) + device_object::FLAGS)?;
        k.write(a.va(0) + device_object::FLAGS, flags & !SHUTDOWN_REGISTERED)
    });
}

fn note(k: &Kernel, device: Va) -> Outcome<NtStatus> {
    let flags: u32 = k.read(device + device_object::FLAGS)?;
    k.write(device + device_object::FLAGS, flags | SHUTDOWN_REGISTERED)?;
    Ok(NtStatus::SUCCESS)
}

/// A device is deleted, which unregisters it, or unregistered.
pub(super) fn forget(k: &Kernel, device: Va) {
    let state = k.state::<Registered>();
    let mut state = state.borrow_mut();
    state.first.retain(|&other| other != device);
    state.last_chance.retain(|&other| other != device);
}

/// The system is shut down: the drivers of the registered devices are told, one after the other, before devices lose their power.
///
/// # Errors
/// When a driver breaks a rule.
pub(crate) async fn tell(k: &Kernel) -> Outcome<()> {
    let state = k.state::<Registered>();
    loop {
        let next = {
            let mut state = state.borrow_mut();
            // The last one registered comes first.
            state.first.pop().or_else(|| state.last_chance.pop())
        };
        let Some(device) = next else {
            return Ok(());
        };
        let top = device::top_of_stack(k, device)?;
        let spec = irp::Spec {
            major: Major::SHUTDOWN,
            minor: 0,
            stack_size: k.read(top + device_object::STACK_SIZE)?,
            file: None,
            status: None,
            mode: Mode::Kernel,
            finish: None,
        };
        let record = irp::allocate(k, spec)?;
        k.trace(Event::Note(format!("IRP_MJ_SHUTDOWN sent to device {device}")));
        send_and_wait(k, top, &record).await?;
    }
}
