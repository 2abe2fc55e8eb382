//! One step of an activity: a slice of guest instructions, or one poll of a host flow.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use super::{
    ActivityKind, Frame, ThreadId, calls,
    dispatch::switch_out,
    flow::Request,
    instructions,
    thread::{ThreadState, Wait},
    watchdog,
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    cpu::{self, Access, Divisor, Exit},
    ddi::Flow,
    exception::{self, MachineState},
    hal,
    ke::{self, Irql},
    kernel::Kernel,
    mm::{Va, fault, pageable},
    profile, ps,
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
    let raised = k.raised().borrow_mut().take();
    if let Some(raised) = raised {
        let _: Outcome<()> = exception::dispatch(k, *raised);
    }
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
        // A DPC has nobody to give the processor to.
        Request::Reschedule if !is_switchable(k, processor) => Ok(()),
        Request::Reschedule => {
            let (thread, activity) = switch_out(k, processor);
            let mut scheduler = k.scheduler().borrow_mut();
            scheduler.threads[thread.0].state = ThreadState::Ready(Box::new(activity));
            scheduler.ready.push(thread);
            Ok(())
        }
        Request::EndThread => {
            let Some(ActivityKind::Thread(thread)) = k.activity() else {
                return Err(cannot_switch(k, "its end, which only a thread has"));
            };
            k.with_activity(|activity| activity.frames.clear());
            end_thread(k, processor, thread)
        }
        Request::Spin(spin) => {
            k.with_activity(|activity| activity.spin = Some(spin));
            Ok(())
        }
        Request::Call(call) => calls::enter_guest(k, call),
        Request::Restore { frame, state } => {
            restore(k, frame, &state);
            Ok(())
        }
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

/// Leaves the frames above the guest frame `frame`.
fn restore(k: &Kernel, frame: usize, state: &MachineState) {
    let left = k.with_activity(|activity| {
        let left = activity.frames.split_off(frame + 1);
        if let Some(Frame::Guest(guest)) = activity.frames.last_mut() {
            let registers = &mut guest.registers;
            for (index, value) in state.registers.general.into_iter().enumerate() {
                registers.set_by_number(index, value);
            }
            registers.set_program_counter(Va(state.registers.rip));
            registers.set_flags(state.flags.into());
            k.engine()
                .borrow_mut()
                .set_vector_registers(registers, &state.registers.vector);
        }
        left
    });
    // What the flows held is given back by their destructors, which may need the scheduler.
    drop(left);
}

/// A thread may give up its processor below `DISPATCH_LEVEL` only; DPCs and interrupts never.
fn may_block(k: &Kernel, why: &str) -> Outcome<()> {
    if k.irql() < Irql::DISPATCH && is_switchable(k, k.processor()) {
        return Ok(());
    }
    Err(cannot_switch(k, why))
}

/// Whether a thread runs on the processor, with nothing over it. A DPC that has lowered the IRQL is none all the same.
fn is_switchable(k: &Kernel, processor: usize) -> bool {
    let scheduler = k.scheduler().borrow();
    let this = &scheduler.processors[processor];
    this.activities.len() == 1 && this.thread().is_some()
}

fn cannot_switch(k: &Kernel, why: &str) -> Halted {
    let irql = k.irql();
    let thread = k.current_thread().map_or(Va::NULL, |thread| k.thread_object(thread));
    k.bugcheck(BugCheck::new(
        Code::ATTEMPTED_SWITCH_FROM_DPC,
        [thread.get(), 0, 0, 0],
        "wait-at-dispatch",
        format!("the processor cannot wait for {why} at {irql}"),
    ))
}

fn run_slice(k: &Kernel, processor: usize) -> Outcome<()> {
    let raised = watchdog::raised(k, processor);
    let budget = {
        let mut random = k.random().borrow_mut();
        raised.slice(random.between(1, k.temperament().longest_slice))
    };
    let cpu::Ran {
        exit,
        steps,
        instructions,
    } = {
        let mut scheduler = k.scheduler().borrow_mut();
        let this = &mut scheduler.processors[processor];
        k.watch().irql.set(this.irql);
        k.watch().thread.set(this.thread());
        let kpcr = this.kpcr;
        let activity = this.activities.last_mut().expect("it has an activity");
        let Some(Frame::Guest(guest)) = activity.frames.last_mut() else {
            unreachable!("the step runs guest code");
        };
        let ran = k
            .engine()
            .borrow_mut()
            .run(&mut guest.registers, kpcr, budget, guest.last);
        guest.last = k.watch().program_counter();
        ran
    };
    // What the model carries out in the processor's place is an instruction of the driver's as well.
    let instructions = instructions + u64::from(matches!(exit, Exit::System(_)));
    watchdog::note_slice(
        k,
        processor,
        steps,
        instructions,
        !matches!(exit, Exit::Budget) || steps < budget,
    );
    profile::note_slice(k, processor, &exit);
    k.watch().clock.set(k.now() + raised.cost(steps));
    k.count_many(Counter::Instructions, instructions);
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
        Exit::System(instruction) => instructions::carry_out(k, &instruction),
        Exit::PageFault(page_fault) => {
            let kpcr = k.scheduler().borrow().processors[k.processor()].kpcr;
            let code = instruction_bytes(k);
            let (address, pc) = with_guest(k, |guest| {
                let address = page_fault.address(guest, kpcr, &code);
                (address, guest.program_counter())
            });
            // A jump into nowhere is its caller's doing; the instruction itself has no line.
            Err(exception::fault(
                k,
                fault::page_fault(k, address, page_fault.access, pc),
            ))
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
        Exit::Device { address, fault } => {
            let pc = k.watch().program_counter();
            with_guest(k, |guest| guest.set_program_counter(pc));
            Err(hal::fault::refused(k, address.0, &format!("{address} by {pc}"), &fault))
        }
        Exit::Exception(vector) => Err(processor_exception(k, vector)),
        Exit::InvalidInstruction => Err(exception::fault(
            k,
            unhandled(k, NtStatus::ILLEGAL_INSTRUCTION, "an invalid instruction"),
        )),
    }
}

pub(super) fn with_guest<T>(k: &Kernel, work: impl FnOnce(&mut crate::cpu::Registers) -> T) -> T {
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

fn processor_exception(k: &Kernel, vector: u32) -> Halted {
    /// `DbgRaiseAssertionFailure`: what `NT_ASSERT` of a checked build does.
    const ASSERTION: u32 = 0x2C;
    /// `__fastfail`.
    const FAST_FAIL: u32 = 0x29;
    let (status, what) = match vector {
        0 => (division_fault(k), "a division fault"),
        1 => (NtStatus::SINGLE_STEP, "a single step"),
        3 => {
            // The breakpoint itself is to blame, not the instruction behind it.
            with_guest(k, |guest| {
                let breakpoint = guest.program_counter() - 1_u64;
                guest.set_program_counter(breakpoint);
            });
            (NtStatus::BREAKPOINT, "a breakpoint")
        }
        6 => (NtStatus::ILLEGAL_INSTRUCTION, "an invalid instruction"),
        19 => (NtStatus::FLOAT_MULTIPLE_TRAPS, "a floating-point exception"),
        ASSERTION => (NtStatus::ASSERTION_FAILURE, "an assertion failure"),
        FAST_FAIL => {
            let reason = with_guest(k, |guest| guest.get(crate::cpu::Gpr::Rcx));
            return k.bugcheck(BugCheck::new(
                Code::KERNEL_SECURITY_CHECK_FAILURE,
                [reason, 0, 0, 0],
                "fast-fail",
                format!("the driver gave up by __fastfail({reason:#x})"),
            ));
        }
        vector => {
            return k.bugcheck(BugCheck::new(
                Code::UNEXPECTED_KERNEL_MODE_TRAP,
                [u64::from(vector), 0, 0, 0],
                "processor-exception",
                format!("processor exception {vector:#x}"),
            ));
        }
    };
    exception::fault(k, unhandled(k, status, what))
}

/// The processor has one vector for a divisor of 0 and a quotient that does not fit; the system tells them apart.
fn division_fault(k: &Kernel) -> NtStatus {
    let kpcr = k.scheduler().borrow().processors[k.processor()].kpcr;
    let code = instruction_bytes(k);
    let divisor = with_guest(k, |guest| cpu::divisor(guest, kpcr, &code));
    let overflow = match divisor {
        Some(Divisor::Register(value)) => value != 0,
        Some(Divisor::Memory { address, size }) => k
            .peek(address)
            .is_some_and(|value| value & (u64::MAX >> (64 - 8 * size)) != 0),
        None => false,
    };
    if overflow {
        NtStatus::INTEGER_OVERFLOW
    } else {
        NtStatus::INTEGER_DIVIDE_BY_ZERO
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
