//! What a function driver on the safe layer cannot pass down: `careless-storey` tries to, above the driver `bare-storey`, which relies on what
//! the drivers above owe it.

use ntsim::{NtStatus, Outcome};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
    program::Program,
    seeds,
};

use crate::storeys::{
    bare::{IN_THREAD, IN_THREAD_LATER, SEEN, UNKNOWN_LATER, VOUCHED_LATER},
    careless::OPEN_BELOW,
};

/// Runs `script` on a started device of both drivers.
fn carelessly<F>(seed: u64, script: impl FnOnce(Pc) -> F + 'static) -> Run
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let images = ["bare-storey", "careless-storey"].map(test_driver);
    Run::stacked(&images, Setup::by_line(seed), async move |pc: Pc| {
        pc.start().await?;
        script(pc).await
    })
}

#[test]
fn a_read_comes_as_the_lower_driver_expects_it_or_not_at_all() {
    let run = carelessly(1, async |pc| {
        let program = Program::open(&pc).await?;
        let done = program.read(0, 16).await?.wait(&pc.k).await?;
        assert_eq!(done.status, NtStatus::INVALID_DEVICE_REQUEST);
        assert_eq!(program.numbers(SEEN).await?, [0; 4]);
        program.close().await
    });
    let _ = run.clean();
}

/// Each request is passed down in the thread of its program, and refused when the driver has queued it before.
pub async fn in_its_thread_or_not_at_all(pc: Pc) -> Outcome<()> {
    let program = Program::open(&pc).await?;
    for (at_once, later) in IN_THREAD.into_iter().zip(IN_THREAD_LATER) {
        let done = program.call(at_once, &[1, 2, 3, 4], 4).await?;
        assert_eq!(done.status, NtStatus::SUCCESS, "{at_once:#x}");
        let refused = program.call(later, &[1, 2, 3, 4], 4).await?;
        assert_eq!(refused.status, NtStatus::INVALID_DEVICE_REQUEST, "{later:#x}");
    }
    program.close().await
}

#[test]
fn a_request_that_needs_its_thread_is_passed_down_in_it_or_not_at_all() {
    for seed in seeds::up_to(10) {
        let _ = carelessly(seed, in_its_thread_or_not_at_all).clean();
    }
}

#[test]
fn a_request_that_is_the_same_in_every_thread_is_passed_down_in_any() {
    for seed in seeds::up_to(10) {
        let run = carelessly(seed, async |pc| {
            let program = Program::open(&pc).await?;
            let input = [1, 2, 3, 4];
            let cases: [(u32, &[u8], NtStatus); 4] = [
                (VOUCHED_LATER, &input, NtStatus::SUCCESS),
                (VOUCHED_LATER, &[], NtStatus::SUCCESS),
                (UNKNOWN_LATER, &input, NtStatus::INVALID_DEVICE_REQUEST),
                // The program has put nothing into it.
                (UNKNOWN_LATER, &[], NtStatus::SUCCESS),
            ];
            for (code, input, expected) in cases {
                let done = program.call(code, input, 4).await?;
                assert_eq!(done.status, expected, "{code:#x} with {input:?}");
            }
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn an_open_is_not_passed_down_without_its_end() {
    let run = carelessly(1, async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(program.call(OPEN_BELOW, &[], 0).await?.status, NtStatus::SUCCESS);
        let refused = Program::try_open(&pc).await?;
        assert_eq!(refused.err(), Some(NtStatus::INVALID_DEVICE_REQUEST));
        assert_eq!(program.numbers(SEEN).await?, [0; 4]);
        program.close().await
    });
    let _ = run.clean();
}
