//! One step of an activity: a slice of guest instructions, or one poll of a host flow.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{
    ActivityKind, Frame, ThreadId, calls,
    dispatch::switch_out,
    flow::Request,
    thread::{ThreadState, Wait},
    watchdog,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    cpu::{Access, Exit},
    ddi::Flow,
    image::SystemInstructionKind,
    ke::{self, Irql},
    kernel::Kernel,
    mm::{Va, fault, pageable},
    ps,
    status::NtStatus,
    trace::{Counter, Event},
    verifier::SyncObject,
};

/// What a device access costs, in virtual nanoseconds: a trip over the bus and back.
const DEVICE_ACCESS_TIME: u64 = 500;

/// Lets the processor's current activity take a step.
pub(super) fn advance(k: &Kernel, processor: usize) {
    let flow = {
        let mut scheduler = k.scheduler().borrow_mut();
        let activity = scheduler.processors[processor]
            .activities
            .last_mut()
            .expect("a processor that can proceed has an activity");
        activity.spin = None;
        match activity.frames.last_mut().expect("an activity has a frame") {
            Frame::Guest(_) => None,
            Frame::Host(host) => Some(host.flow.take().expect("the flow is not being polled")),
        }
    };
    let begin = k.now();
    // A bug check ends the run whoever notices it.
    let _: Outcome<()> = match flow {
        Some(flow) => poll(k, processor, flow),
        None => run_slice(k, processor),
    }
    .and_then(|()| watchdog::charge(k, processor, k.now() - begin));
}

fn poll(k: &Kernel, processor: usize, mut flow: Flow) -> Outcome<()> {
    let polled = Pin::as_mut(&mut flow).poll(&mut Context::from_waker(Waker::noop()));
    match polled {
        Poll::Ready(result) => {
            drop(flow);
            let value = result?;
            k.with_activity(|activity| activity.frames.pop());
            finish_flow(k, processor, value)
        }
        Poll::Pending => {
            k.with_activity(|activity| {
                if let Some(Frame::Host(host)) = activity.frames.last_mut() {
                    host.flow = Some(flow);
                }
            });
            k.running()?;
            let request = k.take_request().expect("a pending flow has filed a request");
            serve(k, processor, request)
        }
    }
}

/// A flow is done: the guest code that called it goes on, or the activity ends.
fn finish_flow(k: &Kernel, processor: usize, value: u64) -> Outcome<()> {
    let in_guest = k.with_activity(|activity| !activity.frames.is_empty()).unwrap_or(false);
    if in_guest {
        return calls::return_to_guest(k, value);
    }
    let kind = k.activity().expect("a flow ran in an activity");
    match kind {
        ActivityKind::Thread(thread) => return end_thread(k, processor, thread),
        ActivityKind::Dpc | ActivityKind::Ipi | ActivityKind::Interrupt { .. } => {
            let mut scheduler = k.scheduler().borrow_mut();
            let this = &mut scheduler.processors[processor];
            let ended = this.activities.pop().expect("it ran");
            this.irql = ended.resume_irql;
            if this.irql < Irql::DISPATCH {
                this.raised = watchdog::Raised::default();
            }
        }
    }
    Ok(())
}

/// A thread has run to its end, or ends in the middle.
fn end_thread(k: &Kernel, processor: usize, thread: ThreadId) -> Outcome<()> {
    ke::thread::ending(k, thread)?;
    k.trace(Event::ThreadEnded);
    let _ended = switch_out(k, processor);
    let joiners = {
        let mut scheduler = k.scheduler().borrow_mut();
        let thread = &mut scheduler.threads[thread.0];
        thread.state = ThreadState::Terminated;
        std::mem::take(&mut thread.joiners)
    };
    for joiner in joiners {
        k.wake(joiner);
    }
    ke::thread::ended(k, thread)?;
    ps::process::thread_ended(k, thread)
}

fn serve(k: &Kernel, processor: usize, request: Request) -> Outcome<()> {
    match request {
        Request::Yield => Ok(()),
        Request::Reschedule => {
            let (thread, activity) = switch_out(k, processor);
            let mut scheduler = k.scheduler().borrow_mut();
            scheduler.threads[thread.0].state = ThreadState::Ready(Box::new(activity));
            scheduler.ready.push(thread);
            Ok(())
        }
        Request::EndThread => {
            let Some(ActivityKind::Thread(thread)) = k.activity() else {
                unreachable!("a thread asks to end itself");
            };
            k.with_activity(|activity| activity.frames.clear());
            end_thread(k, processor, thread)
        }
        Request::Spin(spin) => {
            k.with_activity(|activity| activity.spin = Some(spin));
            Ok(())
        }
        Request::Call(call) => calls::enter_guest(k, call),
        Request::Block { why, deadline, reply } => {
            may_block(k, &why)?;
            k.trace(Event::ThreadWaits { why: why.clone() });
            let (thread, activity) = switch_out(k, processor);
            let wait = Wait { why, deadline, reply };
            k.scheduler().borrow_mut().threads[thread.0].state = ThreadState::Waiting(Box::new(activity), wait);
            Ok(())
        }
    }
}

/// A thread may give up its processor below `DISPATCH_LEVEL` only; DPCs and interrupts never.
fn may_block(k: &Kernel, why: &str) -> Outcome<()> {
    let irql = k.irql();
    if irql < Irql::DISPATCH {
        return Ok(());
    }
    let thread = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
    Err(k.bugcheck(BugCheck::new(
        Code::ATTEMPTED_SWITCH_FROM_DPC,
        [thread.get(), 0, 0, 0],
        "wait-at-dispatch",
        format!("the processor cannot wait for {why} at {irql}"),
    )))
}

fn run_slice(k: &Kernel, processor: usize) -> Outcome<()> {
    let raised = watchdog::raised(k, processor);
    let budget = {
        let mut random = k.random().borrow_mut();
        raised.slice(random.between(1, k.temperament().longest_slice))
    };
    let (exit, executed) = {
        let mut scheduler = k.scheduler().borrow_mut();
        let this = &mut scheduler.processors[processor];
        k.watch().irql.set(this.irql);
        k.watch().thread.set(this.thread());
        let kpcr = this.kpcr;
        let activity = this.activities.last_mut().expect("it has an activity");
        let Some(Frame::Guest(guest)) = activity.frames.last_mut() else {
            unreachable!("the step runs guest code");
        };
        k.engine().borrow_mut().run(&mut guest.registers, kpcr, budget)
    };
    watchdog::note_slice(
        k,
        processor,
        executed,
        !matches!(exit, Exit::Budget) || executed < budget,
    );
    k.watch().clock.set(k.now() + raised.cost(executed));
    k.count_many(Counter::Instructions, executed);
    note_device_accesses(k);
    handle(k, exit)
}

fn note_device_accesses(k: &Kernel) {
    let accesses = k.watch().device_accesses.take();
    if !accesses.is_empty() {
        ke::interrupt::note_device_access(k);
    }
    for access in accesses {
        k.watch().clock.set(k.now() + DEVICE_ACCESS_TIME);
        let (address, width, value) = (access.address, access.width, access.value);
        if access.write {
            if let Some((slot, ..)) = k.bus().borrow().decode(address.0) {
                k.sync_release(SyncObject::Device(slot.0.into()));
            }
            k.count(Counter::RegisterWrites);
            k.trace(Event::RegisterWritten { address, width, value });
        } else {
            k.count(Counter::RegisterReads);
            k.trace(Event::RegisterRead { address, width, value });
        }
    }
}

fn handle(k: &Kernel, exit: Exit) -> Outcome<()> {
    match exit {
        Exit::Budget => Ok(()),
        Exit::Export(address) => calls::export_reached(k, address),
        Exit::System(instruction) => {
            let length = u64::from(instruction.length);
            carry_out(k, &instruction.kind)?;
            with_guest(k, |guest| {
                let next = guest.program_counter() + length;
                guest.set_program_counter(next);
            });
            Ok(())
        }
        Exit::PageFault(page_fault) => {
            let kpcr = k.scheduler().borrow().processors[k.processor()].kpcr;
            let code = instruction_bytes(k);
            let (address, pc) = with_guest(k, |guest| {
                let address = page_fault.address(guest, kpcr, &code);
                (address, guest.program_counter())
            });
            // A jump into nowhere is its caller's doing; the instruction itself has no line.
            Err(k.bugcheck(fault::page_fault(k, address, page_fault.access, pc)))
        }
        Exit::Pool {
            address,
            access,
            fault: what,
        } => {
            let pc = k.watch().program_counter();
            with_guest(k, |guest| guest.set_program_counter(pc));
            Err(k.bugcheck(fault::pool_fault(k, address, access, &what, pc)))
        }
        Exit::Paged { address, access } => {
            let pc = match access {
                Access::Execute => address,
                _ => k.watch().program_counter(),
            };
            with_guest(k, |guest| guest.set_program_counter(pc));
            Err(k.bugcheck(pageable::touched(k, address, access, pc, true)))
        }
        Exit::Sharing(violation) => {
            let pc = k.watch().program_counter();
            with_guest(k, |guest| guest.set_program_counter(pc));
            Err(k.bugcheck(ke::sharing::bugcheck(k, &violation)))
        }
        Exit::Device { address, message } => {
            let pc = k.watch().program_counter();
            with_guest(k, |guest| guest.set_program_counter(pc));
            Err(k.bugcheck(BugCheck::new(
                Code::MANUALLY_INITIATED_CRASH,
                [address.0, 0, 0, 0],
                "device-access",
                format!("device access at {address} by {pc}: {message}"),
            )))
        }
        Exit::Exception(vector) => Err(k.bugcheck(exception(k, vector))),
        Exit::InvalidInstruction => {
            Err(k.bugcheck(unhandled(k, NtStatus::ILLEGAL_INSTRUCTION, "an invalid instruction")))
        }
    }
}

fn with_guest<T>(k: &Kernel, work: impl FnOnce(&mut crate::cpu::Registers) -> T) -> T {
    k.with_activity(|activity| match activity.frames.last_mut() {
        Some(Frame::Guest(guest)) => work(&mut guest.registers),
        _ => unreachable!("guest code ran"),
    })
    .expect("guest code ran")
}

fn instruction_bytes(k: &Kernel) -> Vec<u8> {
    /// The longest x86 instruction.
    const LONGEST: usize = 15;
    let pc = with_guest(k, |guest| guest.program_counter());
    let words = (0..2_u64).map_while(|index| k.peek(pc + index * 8));
    let mut bytes: Vec<u8> = words.flat_map(u64::to_le_bytes).collect();
    bytes.truncate(LONGEST);
    bytes
}

fn carry_out(k: &Kernel, instruction: &SystemInstructionKind) -> Outcome<()> {
    match instruction {
        SystemInstructionKind::ReadCr8 { register } => {
            let irql = u64::from(k.irql().0);
            with_guest(k, |guest| guest.set_by_number(usize::from(*register), irql));
        }
        SystemInstructionKind::WriteCr8 { register } => {
            let value = with_guest(k, |guest| guest.by_number(usize::from(*register)));
            let irql = u8::try_from(value).unwrap_or(u8::MAX);
            ke::irql::write_cr8(k, Irql(irql))?;
        }
        SystemInstructionKind::Rdtsc => time_stamp(k, false),
        SystemInstructionKind::Rdtscp => time_stamp(k, true),
        SystemInstructionKind::Other { mnemonic } => {
            let message = format!("the instruction {mnemonic}, which a driver has no business with");
            return Err(k.bugcheck(unhandled(k, NtStatus::PRIVILEGED_INSTRUCTION, &message)));
        }
    }
    Ok(())
}

/// The time stamp counts virtual nanoseconds, the same on every processor.
fn time_stamp(k: &Kernel, with_processor: bool) {
    use crate::cpu::Gpr;
    let (now, processor) = (k.now(), k.processor() as u64);
    with_guest(k, |guest| {
        guest.set(Gpr::Rax, now & 0xFFFF_FFFF);
        guest.set(Gpr::Rdx, now >> 32);
        if with_processor {
            guest.set(Gpr::Rcx, processor);
        }
    });
}

fn exception(k: &Kernel, vector: u32) -> BugCheck {
    /// `__fastfail`.
    const FAST_FAIL: u32 = 0x29;
    match vector {
        0 => unhandled(k, NtStatus::INTEGER_DIVIDE_BY_ZERO, "a division by zero"),
        3 => unhandled(k, NtStatus::BREAKPOINT, "a breakpoint"),
        6 => unhandled(k, NtStatus::ILLEGAL_INSTRUCTION, "an invalid instruction"),
        FAST_FAIL => {
            let reason = with_guest(k, |guest| guest.get(crate::cpu::Gpr::Rcx));
            BugCheck::new(
                Code::KERNEL_SECURITY_CHECK_FAILURE,
                [reason, 0, 0, 0],
                "fast-fail",
                format!("the driver gave up by __fastfail({reason:#x})"),
            )
        }
        vector => BugCheck::new(
            Code::UNEXPECTED_KERNEL_MODE_TRAP,
            [u64::from(vector), 0, 0, 0],
            "processor-exception",
            format!("processor exception {vector:#x}"),
        ),
    }
}

fn unhandled(k: &Kernel, status: NtStatus, what: &str) -> BugCheck {
    let pc = with_guest(k, |guest| guest.program_counter());
    BugCheck::new(
        Code::KMODE_EXCEPTION_NOT_HANDLED,
        [u64::from(status.0), pc.get(), 0, 0],
        "unhandled-exception",
        format!("{what} at {pc}"),
    )
}
