//! I/O request packets: their memory, their stack locations, and the books that the I/O manager keeps on each.
//!
//! An IRP lives in guest memory, laid out as the WDK has it, because drivers read and write it by inline functions. What
//! drivers must not see or could not be trusted with is in its [`Record`] on the host's side: who waits for it, and what went
//! past each stack location.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    fmt,
    rc::Rc,
};

use ntlayout::{io_stack_location as stack, irp};

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::Va,
    named::named_constants,
    sched::{Mode, VirtualTime, WaitQueue},
    status::NtStatus,
    trace::{Counter, Event},
};

/// `IO_TYPE_IRP`.
const IO_TYPE_IRP: u16 = 6;

/// `SL_PENDING_RETURNED` of a stack location's `Control`.
pub(crate) const SL_PENDING_RETURNED: u8 = 0x01;
/// `SL_INVOKE_ON_CANCEL`.
pub(crate) const SL_INVOKE_ON_CANCEL: u8 = 0x20;
/// `SL_INVOKE_ON_SUCCESS`.
pub(crate) const SL_INVOKE_ON_SUCCESS: u8 = 0x40;
/// `SL_INVOKE_ON_ERROR`.
pub(crate) const SL_INVOKE_ON_ERROR: u8 = 0x80;

/// `IRP_MJ_xxx`: what an IRP asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Major(pub u8);

named_constants! {
    Major;
    CREATE = 0x00 "IRP_MJ_CREATE";
    CLOSE = 0x02 "IRP_MJ_CLOSE";
    READ = 0x03 "IRP_MJ_READ";
    WRITE = 0x04 "IRP_MJ_WRITE";
    QUERY_INFORMATION = 0x05 "IRP_MJ_QUERY_INFORMATION";
    SET_INFORMATION = 0x06 "IRP_MJ_SET_INFORMATION";
    FLUSH_BUFFERS = 0x09 "IRP_MJ_FLUSH_BUFFERS";
    QUERY_VOLUME_INFORMATION = 0x0A "IRP_MJ_QUERY_VOLUME_INFORMATION";
    DIRECTORY_CONTROL = 0x0C "IRP_MJ_DIRECTORY_CONTROL";
    DEVICE_CONTROL = 0x0E "IRP_MJ_DEVICE_CONTROL";
    INTERNAL_DEVICE_CONTROL = 0x0F "IRP_MJ_INTERNAL_DEVICE_CONTROL";
    SHUTDOWN = 0x10 "IRP_MJ_SHUTDOWN";
    CLEANUP = 0x12 "IRP_MJ_CLEANUP";
    POWER = 0x16 "IRP_MJ_POWER";
    SYSTEM_CONTROL = 0x17 "IRP_MJ_SYSTEM_CONTROL";
    PNP = 0x1B "IRP_MJ_PNP";
}

impl Major {
    /// How many major functions a driver object has entries for.
    pub const COUNT: u8 = 0x1C;

    /// The header's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.known_name() {
            Some(name) => name,
            None => "IRP_MJ_?",
        }
    }
}

/// `IO_STATUS_BLOCK`: how a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IoStatus {
    /// The status.
    pub status: NtStatus,
    /// Bytes transferred, as a rule.
    pub information: u64,
}

/// What the I/O manager does when an IRP has been completed by everyone, before its memory is freed: how the request has ended for
/// who asked.
pub(crate) type Finish = Box<dyn FnOnce(&Kernel, Va, IoStatus) -> Outcome<IoStatus>>;

/// What went past a stack location when the IRP was completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// With which status.
    pub status: NtStatus,
    /// Whether the driver had marked it pending.
    pub pending: bool,
}

/// Who made an IRP, and so who ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The I/O manager, or a driver that had it do so for a thread: freed by the I/O manager when everyone has completed it.
    IoManager,
    /// A driver, from the I/O manager's memory: freed by `IoFreeIrp`.
    Driver,
    /// A driver, in memory of its own.
    DriverMemory,
}

/// What is known of a stack location.
#[derive(Clone, Copy, Debug, Default)]
struct Location {
    /// How often a driver was called with it.
    calls: u32,
    /// What went past it since the last call.
    passed: Option<Passed>,
    /// The driver that it belongs to has called a lower driver since the last call.
    passed_on: bool,
    /// The IRP was marked pending there before its driver was called: by a driver above that has skipped its stack location.
    marked_above: bool,
    /// The driver has returned `STATUS_PENDING`; whether it has marked the IRP pending shows when it is completed.
    to_be_marked: bool,
}

/// The I/O manager's books on an IRP. They outlive its memory.
pub struct Record {
    irp: Va,
    origin: Origin,
    stack_count: u8,
    what: Cell<&'static str>,
    file: Option<Va>,
    /// By number, 1 being the lowest driver's.
    locations: RefCell<Vec<Location>>,
    /// The stack location that the driver that made it has sent it off with, until it has it back.
    sent_from: Cell<Option<u8>>,
    /// Whether it has come down to the bus driver.
    pub(crate) reached_bottom: Cell<bool>,
    /// How often a driver has begun to complete it. More than one at a time is one too many.
    pub(crate) completions: Cell<u32>,
    /// A completion routine has it.
    pub(crate) in_routine: Cell<bool>,
    /// What its maker has set `IoStatus.Status` to, where its major function asks for that.
    initial_status: Option<NtStatus>,
    /// The drivers whose completion routines `IoSetCompletionRoutineEx` has registered, by the number of the stack location.
    pub(super) kept_drivers: RefCell<BTreeMap<u8, Va>>,
    result: Cell<Option<IoStatus>>,
    waiters: WaitQueue,
    finish: RefCell<Option<Finish>>,
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("irp", &self.irp)
            .field("what", &self.what.get())
            .field("result", &self.result.get())
            .finish_non_exhaustive()
    }
}

impl Record {
    /// The IRP. Its memory is gone once [`Record::result`] is there.
    #[must_use]
    pub fn irp(&self) -> Va {
        self.irp
    }

    /// Its major function's name.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what.get()
    }

    pub(super) fn origin(&self) -> Origin {
        self.origin
    }

    /// Whether the driver that made it has sent it off and not got it back.
    pub(super) fn is_under_way(&self) -> bool {
        self.sent_from.get().is_some()
    }

    /// A driver is about to be called with a stack location; how often that has happened.
    pub(super) fn sent(&self, location: u8, major: Major, marked_above: bool) -> u32 {
        if self.origin != Origin::IoManager && self.sent_from.get().is_none() {
            self.sent_from.set(Some(location));
            self.what.set(major.name());
        }
        let mut locations = self.locations.borrow_mut();
        let at = &mut locations[usize::from(location)];
        *at = Location {
            calls: at.calls + 1,
            marked_above,
            ..Location::default()
        };
        let calls = at.calls;
        if let Some(above) = locations.get_mut(usize::from(location) + 1) {
            above.passed_on = true;
        }
        calls
    }

    /// Whether the IRP was marked pending in a stack location before its driver was called.
    pub(super) fn was_marked_above(&self, location: u8) -> bool {
        self.locations.borrow()[usize::from(location)].marked_above
    }

    /// Whether a driver was ever called with a stack location.
    pub(super) fn was_used(&self, location: u8) -> bool {
        self.locations.borrow()[usize::from(location)].calls != 0
    }

    /// Whether the driver of a stack location has passed the IRP on with another one.
    pub(super) fn passed_on(&self, location: u8) -> bool {
        self.locations.borrow()[usize::from(location)].passed_on
    }

    /// The driver of a stack location has returned `STATUS_PENDING`, and must have marked the IRP pending by the time it goes past.
    pub(super) fn expect_pending(&self, location: u8) {
        self.locations.borrow_mut()[usize::from(location)].to_be_marked = true;
    }

    /// Whether the driver of a stack location must have marked the IRP pending by now.
    pub(super) fn expects_pending(&self, location: u8) -> bool {
        self.locations.borrow()[usize::from(location)].to_be_marked
    }

    /// What its maker has set the status to, where its major function asks for that.
    pub(super) fn initial_status(&self) -> Option<NtStatus> {
        self.initial_status
    }

    /// Whether a driver was called with the stack location again after the `calls`th time.
    pub(super) fn sent_again(&self, location: u8, calls: u32) -> bool {
        self.locations.borrow()[usize::from(location)].calls != calls
    }

    /// The completion routine of a stack location is about to be called: the driver that made the IRP may have it back.
    /// Says whether it does.
    pub(super) fn comes_back(&self, location: u8) -> bool {
        let back = self.sent_from.get() == Some(location);
        if back {
            self.sent_from.set(None);
        }
        back
    }

    /// How many stack locations it has.
    #[must_use]
    pub fn stack_count(&self) -> u8 {
        self.stack_count
    }

    /// The file object it was sent for.
    #[must_use]
    pub fn file(&self) -> Option<Va> {
        self.file
    }

    /// How it ended, when it has.
    #[must_use]
    pub fn result(&self) -> Option<IoStatus> {
        self.result.get()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// When the current activity may not wait.
    pub async fn wait(&self, k: &Kernel) -> Outcome<IoStatus> {
        loop {
            if let Some(result) = self.result.get() {
                return Ok(result);
            }
            let why = format!("the completion of IRP {} ({})", self.irp, self.what());
            self.waiters.wait(k, why).await?;
        }
    }

    /// What went past stack location `location`, when something has.
    pub(crate) fn passed(&self, location: u8) -> Option<Passed> {
        self.locations.borrow()[usize::from(location)].passed
    }

    pub(crate) fn set_passed(&self, location: u8, passed: Passed) {
        self.locations.borrow_mut()[usize::from(location)].passed = Some(passed);
    }

    /// Everyone has completed the IRP: tells who waits and frees it.
    ///
    /// # Errors
    /// When it is not the I/O manager's to free.
    pub(crate) fn finish(&self, k: &Kernel) -> Outcome<()> {
        if self.origin != Origin::IoManager {
            return Err(super::driver_irp::not_reclaimed(k, self));
        }
        let completed = read_status(k, self.irp)?;
        super::mdl::release(k, self.irp)?;
        let finish = self.finish.take();
        let io_status = match finish {
            Some(finish) => finish(k, self.irp, completed)?,
            None => completed,
        };
        k.count(Counter::IrpsCompleted);
        if io_status.status == NtStatus::CANCELLED {
            k.count(Counter::IrpsCancelled);
        }
        k.trace(Event::IrpCompleted {
            irp: self.irp,
            what: self.what(),
            status: io_status.status,
            information: io_status.information,
        });
        k.io().borrow_mut().irps.retire(self.irp, k.caller());
        crate::ex::pool::check_idle(k, self.irp, size(self.stack_count) as u64)?;
        k.free_system(self.irp)?;
        self.result.set(Some(io_status));
        self.waiters.wake_all(k);
        Ok(())
    }
}

/// All IRPs.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    live: BTreeMap<Va, Rc<Record>>,
    /// Who completed the ones that are gone. IRP memory is never reused in a run, so an address names one IRP for ever.
    retired: BTreeMap<Va, Va>,
    /// The live ones that were cancelled, with when.
    pub(super) cancelled: BTreeMap<Va, VirtualTime>,
}

impl Ledger {
    /// The books on the IRP at `irp`, while it is live.
    pub(crate) fn find(&self, irp: Va) -> Option<Rc<Record>> {
        self.live.get(&irp).cloned()
    }

    /// Who completed the IRP that was at `irp`.
    pub(crate) fn completed_by(&self, irp: Va) -> Option<Va> {
        self.retired.get(&irp).copied()
    }

    /// The live IRPs, by address.
    pub(crate) fn live(&self) -> impl Iterator<Item = &Rc<Record>> {
        self.live.values()
    }

    pub(super) fn retire(&mut self, irp: Va, by: Va) {
        self.live.remove(&irp);
        self.cancelled.remove(&irp);
        self.retired.insert(irp, by);
    }
}

/// What a new IRP is for.
pub(crate) struct Spec {
    /// The major function.
    pub major: Major,
    /// The minor function.
    pub minor: u8,
    /// How many drivers it will pass: the `StackSize` of the device it is sent to.
    pub stack_size: u8,
    /// The file object it is sent for, if any.
    pub file: Option<Va>,
    /// What `IoStatus.Status` starts as, for those major functions that document it.
    pub status: Option<NtStatus>,
    /// Who asks.
    pub mode: Mode,
    /// What to do when everyone has completed it.
    pub finish: Option<Finish>,
}

/// Bytes of an IRP.
pub(super) fn size(stack_size: u8) -> usize {
    irp::SIZE + usize::from(stack_size) * stack::SIZE
}

/// Fills in what every IRP begins with.
pub(super) fn initialize(k: &Kernel, va: Va, stack_size: u8) -> Outcome<()> {
    let size = size(stack_size);
    k.fill(va, 0, size)?;
    k.write(va + irp::TYPE, IO_TYPE_IRP)?;
    k.write(
        va + irp::SIZE_FIELD,
        u16::try_from(size).expect("at most 255 stack locations"),
    )?;
    k.write(va + irp::THREAD_LIST_ENTRY, va + irp::THREAD_LIST_ENTRY)?;
    k.write(va + irp::THREAD_LIST_ENTRY + 8_u64, va + irp::THREAD_LIST_ENTRY)?;
    k.write(va + irp::STACK_COUNT, stack_size)?;
    // A `CCHAR`, which wraps.
    k.write(va + irp::CURRENT_LOCATION, stack_size.wrapping_add(1))?;
    k.write(va + irp::CURRENT_STACK_LOCATION, location(va, stack_size) + stack::SIZE)
}

/// Opens the books on an IRP.
pub(super) fn enter(
    k: &Kernel,
    va: Va,
    stack_count: u8,
    origin: Origin,
    file: Option<Va>,
    finish: Option<Finish>,
    initial_status: Option<NtStatus>,
) -> Rc<Record> {
    let record = Rc::new(Record {
        irp: va,
        origin,
        stack_count,
        what: Cell::new("IRP"),
        file,
        locations: RefCell::new(vec![Location::default(); usize::from(stack_count) + 1]),
        sent_from: Cell::new(None),
        reached_bottom: Cell::new(false),
        completions: Cell::new(0),
        in_routine: Cell::new(false),
        initial_status,
        result: Cell::new(None),
        kept_drivers: RefCell::default(),
        waiters: WaitQueue::default(),
        finish: RefCell::new(finish),
    });
    k.io().borrow_mut().irps.live.insert(va, record.clone());
    record
}

/// Allocates an IRP. The caller fills in the parameters of its [first stack location](next_location).
pub(crate) fn allocate(k: &Kernel, spec: Spec) -> Outcome<Rc<Record>> {
    let va = k.allocate_system(size(spec.stack_size), "IRP")?;
    initialize(k, va, spec.stack_size)?;
    let thread = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
    k.write(va + irp::REQUESTOR_MODE, u8::from(spec.mode == Mode::User))?;
    k.write(va + irp::THREAD, thread)?;
    k.write(va + irp::ORIGINAL_FILE_OBJECT, spec.file.unwrap_or(Va::NULL))?;
    if let Some(status) = spec.status {
        k.write(va + irp::IO_STATUS, status)?;
    }

    let first = location(va, spec.stack_size);
    k.write(first + stack::MAJOR_FUNCTION, spec.major.0)?;
    k.write(first + stack::MINOR_FUNCTION, spec.minor)?;
    k.write(first + stack::FILE_OBJECT, spec.file.unwrap_or(Va::NULL))?;

    let record = enter(
        k,
        va,
        spec.stack_size,
        Origin::IoManager,
        spec.file,
        spec.finish,
        spec.status,
    );
    record.what.set(spec.major.name());
    k.count(Counter::IrpsCreated);
    k.trace(Event::IrpCreated {
        irp: va,
        what: spec.major.name(),
    });
    Ok(record)
}

/// The address of a stack location by its number, 1 being the lowest driver's. There is none with the number 0: its address is in the IRP
/// itself.
pub(crate) fn location(irp: Va, number: u8) -> Va {
    irp + irp::SIZE + usize::from(number) * stack::SIZE - stack::SIZE
}

/// The stack location of the driver that is called next.
pub(crate) fn next_location(k: &Kernel, irp: Va) -> Outcome<Va> {
    let current: Va = k.read(irp + irp::CURRENT_STACK_LOCATION)?;
    Ok(current - stack::SIZE)
}

/// The stack location of the driver that has the IRP.
pub(crate) fn current_location(k: &Kernel, irp: Va) -> Outcome<Va> {
    k.read(irp + irp::CURRENT_STACK_LOCATION)
}

/// The device whose driver has the IRP, for reports; none before it was sent and after it came back.
pub(crate) fn holder(k: &Kernel, irp: Va) -> Option<Va> {
    let location = Va(k.peek(irp + irp::CURRENT_STACK_LOCATION)?);
    let device = Va(k.peek(location + stack::DEVICE_OBJECT)?);
    (!device.is_null()).then_some(device)
}

/// What the header's inline `IoMarkIrpPending` does.
pub(crate) fn mark_pending(k: &Kernel, irp: Va) -> Outcome<()> {
    let control = current_location(k, irp)? + stack::CONTROL;
    let flags: u8 = k.read(control)?;
    k.write(control, flags | SL_PENDING_RETURNED)
}

/// What the header's inline `IoSetCancelRoutine` does: the routine that was set before.
pub(crate) fn exchange_cancel_routine(k: &Kernel, irp: Va, routine: Va) -> Outcome<Va> {
    let before = k.read(irp + irp::CANCEL_ROUTINE)?;
    k.write(irp + irp::CANCEL_ROUTINE, routine)?;
    Ok(before)
}

/// `IoStatus`.
pub(crate) fn read_status(k: &Kernel, irp: Va) -> Outcome<IoStatus> {
    Ok(IoStatus {
        status: k.read(irp + irp::IO_STATUS)?,
        information: k.read(irp + irp::IO_STATUS_INFORMATION)?,
    })
}

/// Sets `IoStatus`.
pub(crate) fn write_status(k: &Kernel, irp: Va, io_status: IoStatus) -> Outcome<()> {
    k.write(irp + irp::IO_STATUS, io_status.status)?;
    k.write(irp + irp::IO_STATUS_INFORMATION, io_status.information)
}
