//! Power IRPs: how they are made and sent, and what must have become of them.

use std::rc::Rc;

use ntlayout::{device_object, io_stack_location as stack, irp as layout};

use super::{Minor, SystemState, device, power_type, request, state::Action, watchdog};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    bus::DevicePower,
    io::{
        self,
        irp::{self, IoStatus, Major, Record},
        pnp,
        violation::{IoRule, violation},
    },
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    sched::Mode,
    status::NtStatus,
    trace::Event,
};

/// Percent of the power IRPs that come at `DISPATCH_LEVEL` where they may.
const DISPATCH_SHARE: u64 = 50;

/// What a power IRP is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// The system goes to a state, or asks whether it can.
    System(SystemState),
    /// The device goes to a state, or is asked whether it can.
    Device(DevicePower),
    /// The device is to wake the system from this state, which is the header's value.
    Wake(u32),
}

impl Target {
    fn kind_and_value(self) -> (u32, u32) {
        match self {
            Self::System(state) => (power_type::SYSTEM, state.value()),
            Self::Device(power) => (power_type::DEVICE, power.value()),
            Self::Wake(value) => (power_type::SYSTEM, value),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System(state) => write!(f, "system {state}"),
            Self::Device(power) => write!(f, "device {power}"),
            Self::Wake(value) => write!(f, "wake from S{}", value.saturating_sub(1)),
        }
    }
}

/// What is to be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spec {
    /// The device, by its physical device object.
    pub pdo: Va,
    pub minor: Minor,
    pub target: Target,
    /// `Parameters.Power.ShutdownType`.
    pub shutdown_type: u32,
    /// `Parameters.Power.SystemContext`.
    pub context: u32,
}

/// Makes a power IRP. It has a stack location for the power manager, above the drivers'. One that a driver has requested tells of its end.
///
/// It keeps the physical device object, which so is there to be sent to, and to answer, even if the device is removed meanwhile.
pub(super) fn make(k: &Kernel, spec: Spec, requested: bool) -> Outcome<Rc<Record>> {
    let top = io::top_of_stack(k, spec.pdo)?;
    let drivers: u8 = k.read(top + device_object::STACK_SIZE)?;
    let finish = move |k: &Kernel, irp, io_status: IoStatus| {
        ended(k, irp, top, spec, requested, io_status.status)?;
        Ok(io_status)
    };
    let record = irp::allocate(
        k,
        irp::Spec {
            major: Major::POWER,
            minor: spec.minor.0,
            stack_size: drivers + 1,
            file: None,
            status: Some(NtStatus::NOT_SUPPORTED),
            mode: Mode::Kernel,
            finish: Some(Box::new(finish)),
        },
    )?;
    io::device::reference(k, spec.pdo)?;
    let irp = record.irp();
    let own = irp::location(irp, drivers + 1);
    k.write(irp + layout::CURRENT_LOCATION, drivers + 1)?;
    k.write(irp + layout::CURRENT_STACK_LOCATION, own)?;
    k.write(own + stack::DEVICE_OBJECT, top)?;
    let location = irp::next_location(k, irp)?;
    let (kind, value) = spec.target.kind_and_value();
    k.write(location + stack::MAJOR_FUNCTION, Major::POWER.0)?;
    k.write(location + stack::MINOR_FUNCTION, spec.minor.0)?;
    k.write(location + stack::POWER_SYSTEM_CONTEXT, spec.context)?;
    k.write(location + stack::POWER_TYPE, kind)?;
    k.write(location + stack::POWER_STATE, value)?;
    k.write(location + stack::POWER_SHUTDOWN_TYPE, spec.shutdown_type)?;
    if requested {
        request::notify(k, irp, location)?;
    }
    Ok(record)
}

/// Whether a device's drivers may be called at `DISPATCH_LEVEL` with power IRPs: those that cannot be paged, and those of a device that needs
/// inrush current.
pub(super) fn at_dispatch_allowed(k: &Kernel, pdo: Va) -> Outcome<bool> {
    let flags: u32 = k.read(pdo + device_object::FLAGS)?;
    Ok(flags & io::DO_POWER_PAGABLE == 0 || flags & io::DO_POWER_INRUSH != 0)
}

/// Sends the IRP to the top of its device's stack, at an IRQL that its drivers must be ready for.
pub(super) async fn send(k: &Kernel, spec: Spec, record: &Record) -> Outcome<()> {
    if spec.minor != Minor::WAIT_WAKE {
        watchdog::watch(k, record.irp(), spec.pdo);
    }
    let device = pnp::device_number(k, spec.pdo);
    let (name, target) = (spec.minor.name(), spec.target);
    k.trace(Event::Note(format!("{name} sent to device {device}: {target}")));
    let top = io::top_of_stack(k, spec.pdo)?;
    let raised = at_dispatch_allowed(k, spec.pdo)? && k.random().borrow_mut().chance(DISPATCH_SHARE);
    let old = if raised { k.raise_irql(Irql::DISPATCH) } else { k.irql() };
    // The device may be removed meanwhile, and turn the IRP away: its object, and with it the driver, is there until it has.
    io::device::reference(k, top)?;
    io::call_driver(k, top, record.irp()).await?;
    k.lower_irql(old);
    io::device::dereference(k, top)
}

/// Everyone has completed the IRP.
fn ended(k: &Kernel, irp: Va, top: Va, spec: Spec, requested: bool, status: NtStatus) -> Outcome<()> {
    let Spec { pdo, minor, target, .. } = spec;
    k.trace(Event::Note(format!(
        "{} of device {} ended: {target}, {status}",
        minor.name(),
        pnp::device_number(k, pdo)
    )));
    watchdog::release(k, irp);
    check_handled(k, irp, top, spec, status)?;
    if status.is_success() && minor == Minor::SET_POWER {
        match target {
            // Of one that is not there any more the bus driver has reported D3: "Handling an IRP_MN_SURPRISE_REMOVAL Request".
            // Nor is it for one that has the hibernation file, which keeps its power: "IRP_MN_DEVICE_USAGE_NOTIFICATION". Which that is is not known here.
            Target::Device(power) if !is_gone(k, pdo) && spec.shutdown_type != Action::Hibernate.value() => {
                check_reported(k, top, power)?;
            }
            Target::System(state) => check_device_followed(k, pdo, state)?,
            Target::Device(_) | Target::Wake(_) => {}
        }
    }
    if requested {
        request::ended(k, spec);
    }
    io::device::dereference(k, pdo)
}

/// Whether the device is not there, or the system has told its drivers that it is not.
fn is_gone(k: &Kernel, pdo: Va) -> bool {
    !pnp::is_present(k, pdo) || pnp::state(k, pdo) >= Some(pnp::DeviceState::SurpriseRemoved)
}

/// Power IRPs are passed down to the bus driver; only a query may be failed on the way.
fn check_handled(k: &Kernel, irp: Va, top: Va, spec: Spec, status: NtStatus) -> Outcome<()> {
    let name = spec.minor.name();
    let gone = is_gone(k, spec.pdo);
    // A driver whose device is being removed turns power IRPs away: "DispatchPower Routines".
    let removed = status == NtStatus::DELETE_PENDING;
    if spec.minor == Minor::SET_POWER && !status.is_success() && !gone && !removed {
        let message = format!("{name} ({}) ended with {status}, but must not fail", spec.target);
        return Err(violation(k, IoRule::CANNOT_BE_FAILED, irp, top, message));
    }
    let record = k.io().borrow().irps.find(irp);
    if record.is_none_or(|record| record.reached_bottom.get()) {
        return Ok(());
    }
    let (rule, how) = if status.is_success() {
        (IoRule::POWER_COMPLETED, "completed without being passed down")
    } else if status == NtStatus::NOT_SUPPORTED {
        (
            IoRule::POWER_COMPLETED_UNTOUCHED,
            "completed instead of being passed down",
        )
    } else {
        return Ok(());
    };
    let message = format!("{name} ({}) was {how}, with {status}", spec.target);
    Err(violation(k, rule, irp, top, message))
}

/// A driver that reports its device's power must have said what the device has now.
fn check_reported(k: &Kernel, top: Va, power: DevicePower) -> Outcome<()> {
    let mut device = Some(top);
    while let Some(this) = device {
        if let Some(reported) = device::reported(k, this)
            && reported != power
        {
            let message =
                format!("device {this} went to {power}, but its driver's last PoSetPowerState says {reported}");
            return Err(device::misreported(k, this, message));
        }
        device = k.io().borrow().devices.below(this);
    }
    Ok(())
}

/// On the way to sleep a device's power policy owner ends the system's IRP after the device's.
fn check_device_followed(k: &Kernel, pdo: Va, state: SystemState) -> Outcome<()> {
    if state == SystemState::Working || !request::is_active(k, pdo) {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::SYSTEM_IRP_EARLY.subcode, pdo.get(), 0, 0],
        "system-power-irp-early",
        format!("the system's IRP_MN_SET_POWER ({state}) was completed before the device's that it led to"),
    )))
}
