//! `IoConnectInterruptEx` and `IoDisconnectInterruptEx`: by a description of the interrupt, or by the device that it was assigned to.
//!
//! Statuses are those of the routines' documentation; "Using the `CONNECT_MESSAGE_BASED` Version of
//! `IoConnectInterruptEx`" says what becomes of a device without messages.

use ntlayout::{
    io_connect_interrupt_parameters as layout, io_disconnect_interrupt_parameters as disconnect_layout,
    io_interrupt_message_info as info, io_interrupt_message_info_entry as entry,
};

use super::{
    Request, Version, assigned_processors, assigned_vector, connect_one, disconnect, lock_or_own, new_object, remember,
};
use crate::{
    bugcheck::Outcome,
    bus,
    ddi::{Contract, Registry},
    io::pnp,
    ke::{
        self, Irql,
        interrupt::{Interrupt, Routine, Source},
    },
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `CONNECT_FULLY_SPECIFIED`.
const CONNECT_FULLY_SPECIFIED: u32 = 1;
/// `CONNECT_LINE_BASED`.
const CONNECT_LINE_BASED: u32 = 2;
/// `CONNECT_MESSAGE_BASED`.
const CONNECT_MESSAGE_BASED: u32 = 3;
/// `CONNECT_FULLY_SPECIFIED_GROUP`.
const CONNECT_FULLY_SPECIFIED_GROUP: u32 = 4;

/// What a device writes to to interrupt the first processor: its local APIC.
const MESSAGE_ADDRESS: u64 = 0xFEE0_0000;
/// `InterruptActiveHigh` of `KINTERRUPT_POLARITY`, which is `InterruptRisingEdge` as well.
const RISING_EDGE: u32 = 1;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoConnectInterruptEx", 1, contract, |k, a| connect(k, a.va(0)));
    ddi.flow("IoDisconnectInterruptEx", 1, contract, |k, a| async move {
        disconnect_ex(&k, a.va(0)).await
    });
}

fn connect(k: &Kernel, parameters: Va) -> Outcome<NtStatus> {
    let version: u32 = k.read(parameters + layout::VERSION)?;
    if !(CONNECT_FULLY_SPECIFIED..=CONNECT_FULLY_SPECIFIED_GROUP).contains(&version) {
        return Ok(NtStatus::INVALID_PARAMETER_1);
    }
    let pdo: Va = k.read(parameters + layout::PHYSICAL_DEVICE_OBJECT)?;
    let Some(slot) = pnp::slot(k, pdo) else {
        // A device that is not on the PCI bus has no interrupt.
        return Ok(if pnp::is_pdo(k, pdo) {
            NtStatus::NOT_FOUND
        } else {
            NtStatus::INVALID_PARAMETER
        });
    };
    let assigned = k.bus().borrow().function(slot).resources().interrupt;
    let Some(assigned) = assigned else {
        return Ok(NtStatus::NOT_FOUND);
    };
    match (version, assigned) {
        (CONNECT_LINE_BASED, bus::Interrupt::Messages { count: 2.., .. }) => Ok(NtStatus::INVALID_DEVICE_REQUEST),
        (CONNECT_LINE_BASED, _) => connect_by_device(k, parameters, assigned, layout::SERVICE_ROUTINE),
        (CONNECT_MESSAGE_BASED, bus::Interrupt::Messages { vector, count }) => {
            connect_messages(k, parameters, Irql(assigned.irql()), vector, count.into())
        }
        (CONNECT_MESSAGE_BASED, bus::Interrupt::Line { .. }) => fall_back(k, parameters, assigned),
        _ => connect_fully_specified(k, parameters, version),
    }
}

fn connect_fully_specified(k: &Kernel, parameters: Va, version: u32) -> Outcome<NtStatus> {
    let group: u16 = k.read(parameters + layout::GROUP)?;
    let request = Request {
        routine: k.read(parameters + layout::SERVICE_ROUTINE)?,
        context: k.read(parameters + layout::SERVICE_CONTEXT)?,
        spin_lock: k.read(parameters + layout::SPIN_LOCK)?,
        vector: k.read(parameters + layout::VECTOR)?,
        irql: Irql(k.read(parameters + layout::IRQL)?),
        synchronize_irql: Irql(k.read(parameters + layout::SYNCHRONIZE_IRQL)?),
        mode: k.read(parameters + layout::INTERRUPT_MODE)?,
        share: k.read::<u8>(parameters + layout::SHARE_VECTOR)? != 0,
        processors: k.read(parameters + layout::PROCESSOR_ENABLE_MASK)?,
    };
    // This machine's processors are all in group 0.
    if request.processors == 0 || (version == CONNECT_FULLY_SPECIFIED_GROUP && group != 0) {
        return Ok(NtStatus::INVALID_PARAMETER_10);
    }
    let Some(assigned) = assigned_vector(k, request.vector) else {
        return Ok(NtStatus::NOT_FOUND);
    };
    let Some(source) = request.source(k, assigned) else {
        return Ok(NtStatus::INVALID_PARAMETER);
    };
    let variable = k.read(parameters + layout::INTERRUPT_OBJECT)?;
    connect_one(k, Version::FullySpecified, variable, &request, source)?;
    Ok(NtStatus::SUCCESS)
}

/// Connects the routine in the parameters' field `routine` to the one interrupt that the device was `assigned`.
fn connect_by_device(k: &Kernel, parameters: Va, assigned: bus::Interrupt, routine: usize) -> Outcome<NtStatus> {
    let irql = Irql(assigned.irql());
    let line = matches!(assigned, bus::Interrupt::Line { .. });
    let request = Request {
        routine: k.read(parameters + routine)?,
        context: k.read(parameters + layout::SERVICE_CONTEXT)?,
        spin_lock: k.read(parameters + layout::SPIN_LOCK)?,
        vector: assigned.vector(),
        irql,
        synchronize_irql: synchronize_irql(k, parameters, irql)?,
        mode: if line { super::LEVEL_SENSITIVE } else { super::LATCHED },
        share: line,
        processors: assigned_processors(k, assigned.vector()),
    };
    let Some(source) = request.source(k, assigned) else {
        return Ok(NtStatus::INVALID_PARAMETER);
    };
    let variable = k.read(parameters + layout::INTERRUPT_OBJECT)?;
    connect_one(k, Version::LineBased, variable, &request, source)?;
    Ok(NtStatus::SUCCESS)
}

/// The driver's minimum counts only where it is above that of the interrupts.
fn synchronize_irql(k: &Kernel, parameters: Va, irql: Irql) -> Outcome<Irql> {
    let minimum = Irql(k.read(parameters + layout::SYNCHRONIZE_IRQL)?);
    Ok(irql.max(minimum))
}

/// A device with a line and no messages: the fallback routine serves the line, and the driver is told.
fn fall_back(k: &Kernel, parameters: Va, assigned: bus::Interrupt) -> Outcome<NtStatus> {
    let routine: Va = k.read(parameters + layout::FALL_BACK_SERVICE_ROUTINE)?;
    if routine.is_null() {
        return Ok(NtStatus::NOT_FOUND);
    }
    // The service routine may run before this routine returns.
    k.write(parameters + layout::VERSION, CONNECT_LINE_BASED)?;
    connect_by_device(k, parameters, assigned, layout::FALL_BACK_SERVICE_ROUTINE)
}

/// One interrupt object for each message, all with one lock; the driver gets the table of them.
fn connect_messages(k: &Kernel, parameters: Va, irql: Irql, vector: u32, count: u32) -> Outcome<NtStatus> {
    let sources = (vector..vector + count).map(Source::Message);
    if sources.clone().any(|source| ke::interrupt::is_connected(k, source)) {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let routine: Va = k.read(parameters + layout::SERVICE_ROUTINE)?;
    let context: Va = k.read(parameters + layout::SERVICE_CONTEXT)?;
    let lock: Va = k.read(parameters + layout::SPIN_LOCK)?;
    let unified = synchronize_irql(k, parameters, irql)?;
    let processors = assigned_processors(k, vector);

    let objects = sources.clone().map(|_| new_object(k)).collect::<Outcome<Vec<Va>>>()?;
    let spin_lock = lock_or_own(lock, objects[0]);
    let size = info::MESSAGE_INFO + objects.len() * entry::SIZE;
    let table = k.allocate_system(size, "IO_INTERRUPT_MESSAGE_INFO")?;
    k.write(table + info::UNIFIED_IRQL, unified.0)?;
    k.write(table + info::MESSAGE_COUNT, count)?;
    for (index, (&object, vector)) in objects.iter().zip(vector..).enumerate() {
        let at = table + info::MESSAGE_INFO + index * entry::SIZE;
        k.write(at + entry::MESSAGE_ADDRESS, MESSAGE_ADDRESS)?;
        k.write(at + entry::TARGET_PROCESSOR_SET, processors)?;
        k.write(at + entry::INTERRUPT_OBJECT, object)?;
        k.write(at + entry::MESSAGE_DATA, vector)?;
        k.write(at + entry::VECTOR, vector)?;
        k.write(at + entry::IRQL, irql.0)?;
        k.write(at + entry::MODE, super::LATCHED)?;
        k.write(at + entry::POLARITY, RISING_EDGE)?;
    }
    // The service routine may run before this routine returns: what it may look at comes first.
    let variable: Va = k.read(parameters + layout::CONNECTION_CONTEXT)?;
    k.write(variable, table)?;
    remember(k, table, Version::MessageBased, objects.clone(), Some(table));
    for ((message, source), object) in (0..count).zip(sources).zip(objects) {
        ke::interrupt::connect(
            k,
            Interrupt {
                object,
                routine: Routine::MessageService(routine, message),
                context,
                source,
                irql,
                synchronize_irql: unified,
                spin_lock,
                processors,
            },
        );
    }
    Ok(NtStatus::SUCCESS)
}

async fn disconnect_ex(k: &Kernel, parameters: Va) -> Outcome<()> {
    let version: u32 = k.read(parameters + disconnect_layout::VERSION)?;
    let context: Va = k.read(parameters + disconnect_layout::CONNECTION_CONTEXT)?;
    let versions: &[Version] = match version {
        CONNECT_FULLY_SPECIFIED | CONNECT_FULLY_SPECIFIED_GROUP => &[Version::FullySpecified],
        CONNECT_LINE_BASED => &[Version::LineBased],
        CONNECT_MESSAGE_BASED => &[Version::MessageBased],
        _ => &[],
    };
    let how = match versions {
        [version] => version.disconnected_by(),
        _ => "IoDisconnectInterruptEx with an unknown version",
    };
    disconnect(k, context, versions, how).await
}
