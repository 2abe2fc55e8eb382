//! Forwarding in the safe layer, on the filter `upper-storey` above the function driver `lower-storey`: it passes requests on in every way there is.

use ntsim::{NtStatus, Outcome, io::pnp, user::Request};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
    program::{Program, assert_served_or_removed},
    seeds,
};

use crate::storeys::upper::{
    ANSWER, ASK, CONTINUE, COUNTS, FAIL, FORWARD, KEEP, KEEP_IN_QUEUE, LATER, NEVER, QUEUE_AND_CONTINUE,
    QUEUE_AND_FORWARD, SEND_TWICE,
};

/// The ways in which a request is passed on, and how often a completion routine hears of it.
const WAYS: [(u32, u32); 7] = [
    (FORWARD, 0),
    (CONTINUE, 1),
    (KEEP, 1),
    (KEEP_IN_QUEUE, 1),
    (QUEUE_AND_FORWARD, 0),
    (QUEUE_AND_CONTINUE, 1),
    (SEND_TWICE, 2),
];

/// Runs `script` on a started device with both storeys.
fn on_both_storeys<F>(seed: u64, script: impl FnOnce(Pc) -> F + 'static) -> Run
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let images = ["lower-storey", "upper-storey"].map(test_driver);
    Run::stacked(&images, Setup::seed(seed), async move |pc: Pc| {
        pc.start().await?;
        script(pc).await
    })
}

async fn send(program: &Program, way: u32, input: u32) -> Outcome<Request> {
    program.send(way, &input.to_le_bytes(), 4).await
}

/// What the completion routines have seen: successes and failures.
async fn counts(program: &Program) -> Outcome<(u32, u32)> {
    let [succeeded, failed] = program.numbers(COUNTS).await?;
    Ok((succeeded, failed))
}

#[test]
fn every_way_brings_the_answer_back() {
    for seed in seeds::up_to(40) {
        let run = on_both_storeys(seed, async |pc| {
            let program = Program::open(&pc).await?;
            let (mut succeeded, mut failed) = (0, 0);
            for (way, heard) in WAYS {
                for input in [0x1230, 0x1230 | LATER, FAIL, FAIL | LATER] {
                    let done = send(&program, way, input).await?.wait(&pc.k).await?;
                    if input & FAIL == 0 && way == SEND_TWICE {
                        // Its input is overwritten by the answer, which the lower driver must not take for something that the program has sent.
                        let refused = (NtStatus::INVALID_DEVICE_REQUEST, 0);
                        assert_eq!((done.status, done.information), refused, "{way:#x}");
                        succeeded += 1;
                    } else if input & FAIL == 0 {
                        assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 4), "{way:#x}");
                        assert_eq!(done.output, (input ^ ANSWER).to_le_bytes(), "{way:#x}");
                        succeeded += heard;
                    } else {
                        assert_eq!((done.status, done.information), (NtStatus::IO_TIMEOUT, 0), "{way:#x}");
                        failed += heard;
                    }
                }
            }
            assert_eq!(counts(&program).await?, (succeeded, failed));
            program.close().await
        });
        let _ = run.clean();
    }
}

/// The upper storey waits in its dispatch routine until the lower one has answered.
#[test]
fn a_request_of_the_drivers_own_is_waited_for() {
    for seed in seeds::up_to(40) {
        let run = on_both_storeys(seed, async |pc| {
            let program = Program::open(&pc).await?;
            for input in [0x1230, 0x1230 | LATER] {
                let done = send(&program, ASK, input).await?.wait(&pc.k).await?;
                assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 4));
                assert_eq!(done.output, (input ^ ANSWER).to_le_bytes());
            }
            for input in [FAIL, FAIL | LATER] {
                let done = send(&program, ASK, input).await?.wait(&pc.k).await?;
                assert_eq!((done.status, done.information), (NtStatus::IO_TIMEOUT, 0));
            }
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn a_cancelled_request_comes_back_through_its_completion_routine() {
    for seed in seeds::up_to(20) {
        let run = on_both_storeys(seed, async |pc| {
            let program = Program::open(&pc).await?;
            let mut failed = 0;
            for (way, heard) in WAYS {
                let request = send(&program, way, NEVER).await?;
                pc.k.delay(50_000).await?;
                assert!(request.result().is_none(), "{way:#x}");
                assert_eq!(program.cancel_request(&request).await?, NtStatus::SUCCESS);
                assert_eq!(request.wait(&pc.k).await?.status, NtStatus::CANCELLED, "{way:#x}");
                // Sent down again after it was cancelled, it is cancelled again.
                failed += heard;
            }
            assert_eq!(counts(&program).await?, (0, failed));
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn removal_waits_for_what_was_passed_on() {
    for seed in seeds::up_to(20) {
        let run = on_both_storeys(seed, async |pc| {
            let program = Program::open(&pc).await?;
            let mut requests = Vec::new();
            for (way, _) in WAYS {
                requests.push(send(&program, way, NEVER).await?);
                // An answered request is not sent twice.
                if way != SEND_TWICE {
                    requests.push(send(&program, way, LATER).await?);
                }
            }
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            for request in &requests {
                assert_served_or_removed(request.wait(&pc.k).await?.status);
            }
            program.close().await
        });
        let _ = run.clean();
    }
}
