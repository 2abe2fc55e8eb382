//! Interrupts: who is connected to what. `delivery` brings them to processors, `synchronize` keeps service routines out.
//!
//! Lines are level-triggered, as PCI's are: a line that is still asserted after its service routines have run interrupts
//! again. Messages are edges: each one sent interrupts once, unless the same one is pending already. While one processor
//! services a line or a message no other is interrupted by it.

mod delivery;
mod fault;
mod synchronize;

use std::{collections::BTreeMap, fmt};

pub(super) use delivery::below_nested;
pub(crate) use delivery::{deliver, deliverable, note_device_access};
pub(super) use synchronize::register;
pub use synchronize::synchronize_execution;

use super::Irql;
use crate::{
    bugcheck::Outcome, kernel::Kernel, mm::Va, report::StackEntry, sched::WaitQueue, trace::Event, verifier::SyncObject,
};

/// What interrupts a processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A line: an input of the interrupt controller.
    Line(u32),
    /// A message, by its vector.
    Message(u32),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "line {line}"),
            Self::Message(vector) => write!(f, "message {vector:#x}"),
        }
    }
}

/// How a service routine is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routine {
    /// `KSERVICE_ROUTINE`: with the interrupt object and the context.
    Service(Va),
    /// `KMESSAGE_SERVICE_ROUTINE`: with the message's number as well.
    MessageService(Va, u32),
}

impl Routine {
    /// Its address.
    #[must_use]
    pub const fn address(self) -> Va {
        match self {
            Self::Service(address) | Self::MessageService(address, _) => address,
        }
    }
}

/// A connected interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt {
    /// The KINTERRUPT.
    pub object: Va,
    /// The service routine.
    pub routine: Routine,
    /// What it is given.
    pub context: Va,
    /// What it services.
    pub source: Source,
    /// The IRQL that interrupts come at.
    pub irql: Irql,
    /// The IRQL the service routine runs at: that of the highest interrupt it shares a lock with.
    pub synchronize_irql: Irql,
    /// The lock that is held around the service routine.
    pub spin_lock: Va,
    /// The processors that may be interrupted, one bit each.
    pub processors: u64,
}

/// What is known of a source that somebody is, or was, connected to.
#[derive(Debug)]
struct Input {
    chain: Vec<Interrupt>,
    /// Who connected last: to blame for what comes when nobody is connected any more.
    latest: Interrupt,
    in_service: Option<usize>,
    /// Deliveries since the source was last seen quiet after service.
    in_a_row: u32,
    /// Where the driver last looked at its device in the delivery that makes it a storm.
    last_look: Option<Vec<StackEntry>>,
}

/// All sources that somebody has connected to.
#[derive(Debug, Default)]
pub struct Interrupts {
    inputs: BTreeMap<Source, Input>,
    /// Threads that wait for a service routine to return.
    disconnecting: WaitQueue,
}

impl Interrupts {
    fn find(&self, object: Va) -> Option<Interrupt> {
        let mut all = self.inputs.values().flat_map(|input| &input.chain);
        all.find(|interrupt| interrupt.object == object).copied()
    }

    /// Whether a source may interrupt `processor`. Who connected to it first has decided.
    fn reaches(&self, source: Source, processor: usize) -> bool {
        let first = self.inputs.get(&source).and_then(|input| input.chain.first());
        first.is_none_or(|first| first.processors >> processor & 1 != 0)
    }

    fn in_service(&self, source: Source) -> bool {
        let input = self.inputs.get(&source);
        input.is_some_and(|input| input.in_service.is_some())
    }
}

/// The IRQL that `source` interrupts at.
pub(crate) fn source_irql(k: &Kernel, source: Source) -> Irql {
    match source {
        // On x64 a vector's upper half is its IRQL.
        Source::Message(vector) => Irql((vector >> 4 & 0xF) as u8),
        Source::Line(_) => {
            let ke = k.ke().borrow();
            let input = ke.interrupts.inputs.get(&source);
            input.map_or(Irql::PASSIVE, |input| input.latest.irql)
        }
    }
}

/// Whether anybody is connected to `source`.
pub(crate) fn is_connected(k: &Kernel, source: Source) -> bool {
    let ke = k.ke().borrow();
    let input = ke.interrupts.inputs.get(&source);
    input.is_some_and(|input| !input.chain.is_empty())
}

/// Connects an interrupt: from now on, even before this returns to the driver, its routine may run.
pub fn connect(k: &Kernel, interrupt: Interrupt) {
    k.sync_release(SyncObject::Interrupt(interrupt.spin_lock.get()));
    {
        let mut ke = k.ke().borrow_mut();
        let input = ke.interrupts.inputs.entry(interrupt.source).or_insert(Input {
            chain: Vec::new(),
            latest: interrupt,
            in_service: None,
            in_a_row: 0,
            last_look: None,
        });
        input.chain.push(interrupt);
        input.latest = interrupt;
    }
    k.trace(Event::InterruptConnected {
        source: interrupt.source,
        irql: interrupt.irql,
    });
}

/// Disconnects an interrupt, and returns when its routine does not run any more and will not run again.
///
/// A message that the device sent before this was called is delivered first. One that comes later meets nobody.
///
/// # Errors
/// When the current activity may not wait, or the device still asserts the line that nobody serves any more.
pub async fn disconnect(k: &Kernel, object: Va) -> Outcome<()> {
    let Some(interrupt) = connected(k, object) else {
        return Ok(());
    };
    let source = interrupt.source;
    if let Source::Message(vector) = source {
        wait_while(k, move |k| {
            let pending = k.watch().hardware.borrow().messages_pending().contains(&vector);
            pending || k.ke().borrow().interrupts.in_service(source)
        })
        .await?;
    }
    if let Some(input) = k.ke().borrow_mut().interrupts.inputs.get_mut(&source) {
        input.chain.retain(|other| other.object != object);
    }
    wait_while(k, move |k| k.ke().borrow().interrupts.in_service(source)).await?;
    k.sync_acquire(SyncObject::Interrupt(interrupt.spin_lock.get()));
    k.trace(Event::InterruptDisconnected { source });
    let left = {
        let ke = k.ke().borrow();
        ke.interrupts.inputs.get(&source).map_or(0, |input| input.chain.len())
    };
    match source {
        Source::Line(line) if left == 0 && k.watch().hardware.borrow().line_asserted(line) => {
            Err(k.bugcheck(fault::unserved_line(k, line, &interrupt)))
        }
        _ => Ok(()),
    }
}

/// Waits, looking whenever a service routine has returned.
async fn wait_while(k: &Kernel, busy: impl Fn(&Kernel) -> bool) -> Outcome<()> {
    let waiters = k.ke().borrow().interrupts.disconnecting.clone();
    while busy(k) {
        waiters.wait(k, "an interrupt service routine to return").await?;
    }
    Ok(())
}

/// The connected interrupt whose KINTERRUPT lies at `object`.
fn connected(k: &Kernel, object: Va) -> Option<Interrupt> {
    k.ke().borrow().interrupts.find(object)
}
