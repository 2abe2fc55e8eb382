//! `IOCTL_EDU_QUERY_STATISTICS` and `IOCTL_EDU_RESET_STATISTICS`.

use edu::ioctl::{ResetStatistics, Statistics};
use ntsim::{NtStatus, trace::Counter};
use scenarios::{
    boot::{Run, Setup},
    program::Program,
    seeds,
};

#[test]
fn what_happens_is_counted() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(program.statistics().await?, Statistics::default(), "nothing yet");
        for n in 1..=3 {
            assert_eq!(program.factorial(n).await?.wait().await?, NtStatus::SUCCESS);
        }
        program.raise(0x2).await?.wait(&pc.k).await?;
        let wait = program.wait_interrupt(0x4).await?;
        program.cancel_request(&wait).await?;
        wait.wait(&pc.k).await?;
        let cancelled = program.factorial(20).await?;
        program.cancel(&cancelled).await?;
        let ended = cancelled.wait().await?;
        pc.k.delay(1_000_000).await?;

        let counted = program.statistics().await?;
        let success = u64::from(ended == NtStatus::SUCCESS);
        assert_eq!(counted.compute.completed, 3 + success);
        assert_eq!(counted.compute.cancelled, 1 - success);
        assert_eq!((counted.compute.failed, counted.factorials_started), (0, 4));
        assert_eq!((counted.raise.completed, counted.raise.dpcs_run), (1, 1));
        assert_eq!((counted.doorbell.completed, counted.doorbell.cancelled), (0, 1));
        let seen = pc.k.recorded().counters.get(Counter::InterruptsClaimed);
        assert_eq!(
            counted.interrupts_claimed, seen,
            "the driver counts what the machine saw"
        );

        program.request::<ResetStatistics>(()).await?;
        assert_eq!(program.statistics().await?, Statistics::default());
        program.close().await
    });
    let _ = run.clean();
}

/// Every request is in one counter, whichever way it ended.
#[test]
fn every_request_is_counted_once() {
    for seed in seeds::up_to(50) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let mut computations = Vec::new();
            let mut raises = Vec::new();
            for n in 1..=6 {
                computations.push(program.factorial(n).await?);
                raises.push(program.raise(1 << n).await?);
            }
            program.cancel(&computations[0]).await?;
            program.cancel(&computations[4]).await?;
            program.cancel_request(&raises[1]).await?;
            program.cancel_request(&raises[5]).await?;
            for computation in &computations {
                computation.wait().await?;
            }
            for raise in &raises {
                raise.wait(&pc.k).await?;
            }
            let counted = program.statistics().await?;
            for queue in [counted.compute, counted.raise] {
                assert_eq!(queue.completed + queue.cancelled + queue.failed, 6, "{queue:?}");
            }
            program.close().await
        });
        let _ = run.clean();
    }
}
