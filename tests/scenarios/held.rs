//! Handles that are closed while the driver has their requests outside of its queues, on `holds-requests`, and on the filter `upper-storey`: each
//! request ends as if it had been in the queue, since nobody comes back for it.

use std::{cell::Cell, rc::Rc};

use ntsim::{
    NtStatus, Outcome,
    sched::{ThreadId, ThreadSpec},
    trace::Counter,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
    program::Program,
    seeds,
};

use crate::storeys::{
    holder::{
        ANSWER, ANSWER_BY_START_IO, HOLD_FOR_START_IO, HOLD_FOR_THE_LOWER_DRIVER, HOLD_FOR_THE_QUEUE, HOLD_ITSELF, WAIT,
    },
    upper::{KEEP_AND_WAIT, NEVER},
};

/// Longer than the driver holds a request when it has been told that a handle was closed.
const MEANWHILE: u64 = 50_000_000;

/// Runs `script` on a started device of these drivers.
fn on<F, const N: usize>(drivers: [&str; N], seed: u64, script: impl FnOnce(Pc) -> F + 'static) -> Run
where
    F: Future<Output = Outcome<()>> + 'static,
{
    Run::stacked(&drivers.map(test_driver), Setup::by_line(seed), async move |pc: Pc| {
        pc.start().await?;
        let k = pc.k.clone();
        script(pc).await?;
        // A file object goes when its last request has: IRP_MJ_CLOSE comes after that, in a thread of its own.
        k.delay(MEANWHILE).await
    })
}

/// Has the driver hold whatever waits, in a thread of its own, which asks for that by `program`.
fn hold(pc: &Pc, program: &Program, how: u32) -> ThreadId {
    let program = program.clone();
    pc.k.spawn(ThreadSpec::user("holder"), async move |_| {
        assert_eq!(program.call(how, &[], 0).await?.status, NtStatus::SUCCESS);
        Ok(())
    })
}

/// Has a request held in the way that `how` names, closes its handle, and looks how it ends.
fn its_handle_is_closed_while_it_is_held(how: u32) {
    for seed in seeds::up_to(10) {
        let run = on(["holds-requests"], seed, async move |pc| {
            let [closed, kept] = [Program::open(&pc).await?, Program::open(&pc).await?];
            let held = closed.send(WAIT, &[], 0).await?;
            let holder = hold(&pc, &kept, how);
            pc.k.delay(MEANWHILE).await?;
            assert!(held.result().is_none(), "it is held");
            closed.close().await?;
            pc.k.join(holder).await?;
            let ended = held.result().map(|done| done.status);
            assert_eq!(ended, Some(NtStatus::CANCELLED), "{how:#x}");
            kept.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn a_request_that_was_taken_out_is_not_queued_again() {
    its_handle_is_closed_while_it_is_held(HOLD_FOR_THE_QUEUE);
}

#[test]
fn a_request_that_was_taken_out_is_not_given_to_start_io() {
    its_handle_is_closed_while_it_is_held(HOLD_FOR_START_IO);
}

#[test]
fn a_request_that_was_taken_out_is_not_passed_down() {
    its_handle_is_closed_while_it_is_held(HOLD_FOR_THE_LOWER_DRIVER);
}

/// One thread sends it, another closes the handle while the dispatch routine has it.
#[test]
fn a_request_in_its_dispatch_routine_is_not_queued() {
    for seed in seeds::up_to(10) {
        let run = on(["holds-requests"], seed, async |pc| {
            let program = Program::open(&pc).await?;
            let sender = pc.k.spawn(ThreadSpec::user("sender"), {
                let program = program.clone();
                async move |_| {
                    let held = program.call(HOLD_ITSELF, &[], 0).await?;
                    assert_eq!(held.status, NtStatus::CANCELLED);
                    Ok(())
                }
            });
            pc.k.delay(MEANWHILE).await?;
            program.close().await?;
            pc.k.join(sender).await
        });
        let _ = run.clean();
    }
}

/// The filter's cleanup does not find it, the lower driver's ends it, and the filter gets it back when its own cleanup is over.
#[test]
fn a_request_that_came_back_from_the_lower_driver_is_not_queued() {
    for seed in seeds::up_to(10) {
        let run = on(["lower-storey", "upper-storey"], seed, async |pc| {
            let program = Program::open(&pc).await?;
            let below = program.send(KEEP_AND_WAIT, &NEVER.to_le_bytes(), 4).await?;
            pc.k.delay(MEANWHILE).await?;
            program.close().await?;
            let ended = below.result().map(|done| done.status);
            assert_eq!(ended, Some(NtStatus::CANCELLED));
            Ok(())
        });
        let _ = run.clean();
    }
}

/// Where there is no memory to remember a file object, whatever is held just then ends. A device can remember a few without.
#[test]
fn a_request_that_was_taken_out_ends_without_memory_too() {
    let calls = Rc::new(Cell::new(0));
    for failing_call in [None, Some(())] {
        let failing_call = failing_call.map(|()| calls.get());
        let mut setup = Setup::by_line(1);
        setup.config.failing_call = failing_call;
        let counted = calls.clone();
        let run = Run::stacked(&[test_driver("holds-requests")], setup, async move |pc: Pc| {
            pc.start().await?;
            let kept = Program::open(&pc).await?;
            let (mut closed, mut held) = (Vec::new(), Vec::new());
            for _ in 0..12 {
                let program = Program::open(&pc).await?;
                held.push(program.send(WAIT, &[], 0).await?);
                closed.push(program);
            }
            let holder = hold(&pc, &kept, HOLD_FOR_THE_QUEUE);
            pc.k.delay(MEANWHILE).await?;
            // The driver goes on with the request first that it has taken last. So when the sixth handle is closed it holds the requests of the five before.
            for (index, program) in closed.into_iter().enumerate() {
                if index == 5 {
                    counted.set(pc.k.recorded().counters.get(Counter::FallibleCalls));
                }
                program.close().await?;
            }
            pc.k.join(holder).await?;
            for request in &held {
                assert_eq!(request.wait(&pc.k).await?.status, NtStatus::CANCELLED);
            }
            kept.close().await?;
            pc.k.delay(MEANWHILE).await
        });
        let trace = run.clean();
        let told = format!(
            "ExAllocatePool2 fails, as this run was told: fallible call {}",
            calls.get()
        );
        let failed = trace.records().iter().any(|record| record.event.to_string() == told);
        assert_eq!(failed, failing_call.is_some());
    }
}

/// A handle says nothing about the requests of another, whenever they come.
#[test]
fn requests_of_other_handles_are_queued_as_ever() {
    let run = on(["holds-requests"], 1, async |pc| {
        let [closed, kept, another] = [
            Program::open(&pc).await?,
            Program::open(&pc).await?,
            Program::open(&pc).await?,
        ];
        let held = kept.send(WAIT, &[], 0).await?;
        let holder = hold(&pc, &another, HOLD_FOR_THE_QUEUE);
        pc.k.delay(MEANWHILE).await?;
        closed.close().await?;
        pc.k.join(holder).await?;
        assert!(held.result().is_none(), "its handle is open");
        let reopened = Program::open(&pc).await?;
        let later = reopened.send(WAIT, &[], 0).await?;
        assert!(later.result().is_none(), "its handle is open");
        for program in [reopened, kept, another] {
            program.close().await?;
        }
        for request in [held, later] {
            assert_eq!(request.wait(&pc.k).await?.status, NtStatus::CANCELLED);
        }
        Ok(())
    });
    let _ = run.clean();
}

/// The queue of the device object keeps what was written, as every queue does.
#[test]
fn what_was_written_before_start_io_is_returned() {
    let run = on(["holds-requests"], 1, async |pc| {
        let program = Program::open(&pc).await?;
        let answered = program.call(ANSWER_BY_START_IO, &[], 4).await?;
        assert_eq!(answered.status, NtStatus::SUCCESS);
        assert_eq!(answered.output, ANSWER.to_le_bytes());
        program.close().await
    });
    let _ = run.clean();
}
