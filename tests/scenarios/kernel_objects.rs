//! What the system has of a driver's kernel objects is not the driver's to drop; by the driver `reuses-the-place-of-a-timer`, which drops them.

#[path = "../drivers/reuses-the-place-of-a-timer/src/protocol.rs"]
mod protocol;

use ntsim::{NtStatus, io::pnp};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
    program::Program,
};

use protocol::{SET_AND_DROP, TICKS, TIME_MS};

const MILLISECOND: u64 = 1_000_000;

#[test]
fn a_timer_that_was_dropped_and_overwritten_runs_out_all_the_same() {
    let run = Run::of(
        &test_driver("reuses-the-place-of-a-timer"),
        Setup::seed(1),
        async |pc: Pc| {
            pc.start().await?;
            let program = Program::open(&pc).await?;
            assert_eq!(program.call(SET_AND_DROP, &[], 0).await?.status, NtStatus::SUCCESS);
            pc.k.delay((TIME_MS + 20) * MILLISECOND).await?;
            let ticks = program.call(TICKS, &[], 4).await?;
            assert_eq!(
                (ticks.status, &ticks.output[..]),
                (NtStatus::SUCCESS, &[1, 0, 0, 0][..])
            );
            program.close().await
        },
    );
    let _ = run.clean();
}

#[test]
fn a_timer_that_was_dropped_and_overwritten_is_cancelled_when_the_device_goes() {
    let run = Run::of(
        &test_driver("reuses-the-place-of-a-timer"),
        Setup::seed(1),
        async |pc: Pc| {
            pc.start().await?;
            let program = Program::open(&pc).await?;
            assert_eq!(program.call(SET_AND_DROP, &[], 0).await?.status, NtStatus::SUCCESS);
            program.close().await
        },
    );
    let _ = run.clean();
}

/// What is dropped half way queues a DPC, which is refused.
#[test]
fn an_add_device_that_fails_leaves_nothing_behind() {
    let run = Run::of(
        &test_driver("reuses-the-place-of-a-timer"),
        Setup::seed(1),
        async |pc: Pc| {
            let driver = pc.driver;
            let status = pnp::add_device(&pc.k, pc.pdo, driver).await?;
            assert_eq!(status, NtStatus::NO_SUCH_DEVICE);
            pc.k.delay(MILLISECOND).await
        },
    );
    let _ = run.clean();
}
