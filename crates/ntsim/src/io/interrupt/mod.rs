//! Connecting to interrupts: `IoConnectInterrupt` and `IoDisconnectInterrupt` here, their successors in [`extended`].
//!
//! Delivery is [`ke::interrupt`]'s business; here is what a driver may connect to.

mod extended;

use std::collections::BTreeMap;

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    bus,
    ddi::{Args, Contract, Registry},
    ke::{
        self, Irql,
        interrupt::{Interrupt, Routine, Source},
    },
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `LevelSensitive` of `KINTERRUPT_MODE`.
const LEVEL_SENSITIVE: u32 = 0;
/// `Latched` of `KINTERRUPT_MODE`.
const LATCHED: u32 = 1;
/// Bytes of a KINTERRUPT; its contents are the system's own business.
const KINTERRUPT_SIZE: usize = 0x120;
/// Where this machine keeps the lock of an interrupt whose driver brought none.
const OWN_LOCK: usize = 0x80;

/// By which routine, and how, an interrupt was connected: it is disconnected likewise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// `IoConnectInterrupt`.
    Plain,
    /// `IoConnectInterruptEx` with `CONNECT_FULLY_SPECIFIED` or `CONNECT_FULLY_SPECIFIED_GROUP`.
    FullySpecified,
    /// `IoConnectInterruptEx` with `CONNECT_LINE_BASED`, or with `CONNECT_MESSAGE_BASED` where it fell back to a line.
    LineBased,
    /// `IoConnectInterruptEx` with `CONNECT_MESSAGE_BASED`.
    MessageBased,
}

impl Version {
    /// Who disconnects it.
    const fn disconnected_by(self) -> &'static str {
        match self {
            Self::Plain => "IoDisconnectInterrupt",
            Self::FullySpecified => "IoDisconnectInterruptEx with CONNECT_FULLY_SPECIFIED",
            Self::LineBased => "IoDisconnectInterruptEx with CONNECT_LINE_BASED",
            Self::MessageBased => "IoDisconnectInterruptEx with CONNECT_MESSAGE_BASED",
        }
    }
}

/// What a driver has connected by one call.
#[derive(Debug)]
pub(super) struct Connection {
    version: Version,
    /// The KINTERRUPTs: one, or one for each message.
    objects: Vec<Va>,
    /// The table of messages, for a message-based connection.
    table: Option<Va>,
}

/// All connections, by what the driver was given to know them by: a KINTERRUPT or a table of messages.
pub(super) type Connections = BTreeMap<Va, Connection>;

pub(super) fn register(ddi: &mut Registry) {
    extended::register(ddi);
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoConnectInterrupt", 11, contract, connect);
    ddi.flow("IoDisconnectInterrupt", 1, contract, |k, a| async move {
        disconnect(&k, a.va(0), &[Version::Plain], Version::Plain.disconnected_by()).await
    });
}

/// `IoConnectInterrupt(InterruptObject, ServiceRoutine, ServiceContext, SpinLock, Vector, Irql, SynchronizeIrql,
/// InterruptMode, ShareVector, ProcessorEnableMask, FloatingSave)`. For lines only: messages are the business of
/// `IoConnectInterruptEx`.
fn connect(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let request = Request {
        routine: a.va(1),
        context: a.va(2),
        spin_lock: a.va(3),
        vector: a.u32(4),
        irql: Irql(a.u8(5)),
        synchronize_irql: Irql(a.u8(6)),
        mode: a.u32(7),
        share: a.bool(8),
        processors: a.u64(9),
    };
    let assigned = assigned_vector(k, request.vector);
    match assigned.and_then(|assigned| request.source(k, assigned)) {
        Some(source @ Source::Line(_)) => {
            connect_one(k, Version::Plain, a.va(0), &request, source)?;
            Ok(NtStatus::SUCCESS)
        }
        _ => Ok(NtStatus::INVALID_PARAMETER),
    }
}

/// What a driver that describes the interrupt itself asks to be connected to.
struct Request {
    routine: Va,
    context: Va,
    spin_lock: Va,
    vector: u32,
    irql: Irql,
    synchronize_irql: Irql,
    mode: u32,
    share: bool,
    processors: u64,
}

impl Request {
    /// The source, when the description fits the interrupt that was `assigned`.
    fn source(&self, k: &Kernel, assigned: bus::Interrupt) -> Option<Source> {
        let someone = processor_mask(k);
        let fits = self.irql.0 == assigned.irql()
            && self.synchronize_irql >= self.irql
            && self.processors & someone != 0
            && assigned.has_vector(self.vector);
        match assigned {
            // PCI's lines are level-triggered and may always be shared, so a driver must be ready to share them.
            bus::Interrupt::Line { line, .. } => {
                (fits && self.mode == LEVEL_SENSITIVE && self.share).then_some(Source::Line(line))
            }
            // Whether messages can be shared is the driver's choice, but nobody else has its vector.
            bus::Interrupt::Messages { .. } => {
                let source = Source::Message(self.vector);
                (fits && self.mode == LATCHED && !ke::interrupt::is_connected(k, source)).then_some(source)
            }
        }
    }
}

/// The processors that take interrupts.
fn processor_mask(k: &Kernel) -> u64 {
    (1 << k.config().processors) - 1
}

/// The processors that take the interrupts with a vector of the translated resources.
fn assigned_processors(k: &Kernel, vector: u32) -> u64 {
    let bus = k.bus().borrow();
    let mut functions = bus.functions().iter().map(bus::PciFunction::resources);
    let assigned = functions.find(|resources| resources.interrupt.is_some_and(|assigned| assigned.has_vector(vector)));
    let affinity = assigned.and_then(|resources| resources.affinity);
    affinity.unwrap_or_else(|| processor_mask(k))
}

/// The interrupt that a vector of the translated resources belongs to.
fn assigned_vector(k: &Kernel, vector: u32) -> Option<bus::Interrupt> {
    let bus = k.bus().borrow();
    let mut assigned = bus
        .functions()
        .iter()
        .filter_map(|function| function.resources().interrupt);
    assigned.find(|interrupt| interrupt.has_vector(vector))
}

/// Connects one service routine to one source; its KINTERRUPT goes to the driver's `variable`.
fn connect_one(k: &Kernel, version: Version, variable: Va, request: &Request, source: Source) -> Outcome<()> {
    let object = new_object(k)?;
    // The service routine may run before this routine returns: the driver's variable comes first.
    k.write(variable, object)?;
    remember(k, object, version, vec![object], None);
    ke::interrupt::connect(
        k,
        Interrupt {
            object,
            routine: Routine::Service(request.routine),
            context: request.context,
            source,
            irql: request.irql,
            synchronize_irql: request.synchronize_irql,
            spin_lock: lock_or_own(request.spin_lock, object),
            processors: request.processors,
        },
    );
    Ok(())
}

fn new_object(k: &Kernel) -> Outcome<Va> {
    k.allocate_system(KINTERRUPT_SIZE, "KINTERRUPT")
}

/// The driver's lock, or that of the interrupt object.
fn lock_or_own(lock: Va, object: Va) -> Va {
    if lock.is_null() { object + OWN_LOCK } else { lock }
}

fn remember(k: &Kernel, context: Va, version: Version, objects: Vec<Va>, table: Option<Va>) {
    let connection = Connection {
        version,
        objects,
        table,
    };
    k.io().borrow_mut().interrupts.insert(context, connection);
}

/// Disconnects what was connected by one of `versions`, and frees its objects. `how` says how the driver asks for it.
async fn disconnect(k: &Kernel, context: Va, versions: &[Version], how: &str) -> Outcome<()> {
    let found = k.io().borrow().interrupts.get(&context).map(|found| found.version);
    let problem = match found {
        None => Some(format!(
            "{how} was given {context}, which is no connected interrupt, or no longer"
        )),
        Some(version) if !versions.contains(&version) => Some(format!(
            "{how} was given {context}, which is to be disconnected by {}",
            version.disconnected_by()
        )),
        Some(_) => None,
    };
    if let Some(message) = problem {
        return Err(k.bugcheck(BugCheck::new(
            Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [VerifierRule::NOT_CONNECTED.subcode, context.get(), 0, 0],
            "interrupt-not-connected",
            message,
        )));
    }
    // Gone from the books before the first wait: a second call on the same interrupt is one too many from now on.
    let connection = k.io().borrow_mut().interrupts.remove(&context);
    if let Some(Connection { objects, table, .. }) = connection {
        for &object in &objects {
            ke::interrupt::disconnect(k, object).await?;
        }
        // They may share a lock that lies in the first of them.
        for object in objects.into_iter().chain(table) {
            k.free_system(object)?;
        }
    }
    Ok(())
}
