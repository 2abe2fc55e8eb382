//! `CancelIoEx` and `CloseHandle` with requests under way.

use ntsim::{NtStatus, devices::EduProfile};
use scenarios::{
    boot::{Run, Setup},
    program::Program,
};

/// A device that takes a millisecond for each factorial: what is queued behind one stays queued.
fn slow(seed: u64) -> Setup {
    let mut setup = Setup::seed(seed);
    setup.profile = EduProfile {
        factorial_latency: 1_000_000..=1_000_000,
        ..setup.profile
    };
    setup
}

#[test]
fn a_queued_request_is_cancelled_and_the_others_are_served() {
    let run = Run::started(slow(1), async |pc| {
        let program = Program::open(&pc).await?;
        let first = program.factorial(5).await?;
        let second = program.factorial(6).await?;
        let third = program.factorial(7).await?;
        assert_eq!(program.cancel(&second).await?, NtStatus::SUCCESS);
        assert_eq!(
            second.request.result().map(|done| done.status),
            Some(NtStatus::CANCELLED),
            "at once"
        );
        assert_eq!(first.wait().await?, NtStatus::SUCCESS);
        assert_eq!(third.wait().await?, NtStatus::SUCCESS);
        assert_eq!(program.cancel(&third).await?, NtStatus::NOT_FOUND, "it has ended");
        program.close().await
    });
    let _ = run.clean();
}

/// The device computes on, and its late result must not go to the next request.
#[test]
fn a_request_in_flight_is_cancelled_and_the_next_gets_its_own_result() {
    let run = Run::started(slow(1), async |pc| {
        let program = Program::open(&pc).await?;
        let first = program.factorial(5).await?;
        pc.k.delay(100_000).await?;
        let second = program.factorial(6).await?;
        assert_eq!(program.cancel(&first).await?, NtStatus::SUCCESS);
        assert_eq!(first.wait().await?, NtStatus::CANCELLED);
        assert_eq!(second.wait().await?, NtStatus::SUCCESS);
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn closing_a_handle_cancels_its_requests_and_no_others() {
    let run = Run::started(slow(1), async |pc| {
        let (closed, kept) = (Program::open(&pc).await?, Program::open(&pc).await?);
        let mut of_closed = Vec::new();
        let mut of_kept = Vec::new();
        for n in 1..=3 {
            of_closed.push(closed.factorial(n).await?);
            of_kept.push(kept.factorial(n).await?);
        }
        closed.close().await?;
        for computation in &of_closed {
            assert_eq!(computation.wait().await?, NtStatus::CANCELLED);
        }
        for computation in &of_kept {
            assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
        }
        kept.close().await
    });
    let _ = run.clean();
}
