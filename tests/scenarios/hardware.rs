//! A device that does not behave.

use ntsim::{NtStatus, io::pnp, trace::Counter};
use scenarios::{
    boot::{Run, Setup},
    program::Program,
};

/// Anybody can raise the interrupt of a finished factorial. The CustomDpc asks the device.
#[test]
fn a_spurious_factorial_interrupt_does_no_harm() {
    for seed in 1..=100 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            pc.with_device(|device| device.raise(0x1));
            let first = program.factorial(5).await?;
            pc.with_device(|device| device.raise(0x101));
            let second = program.factorial(6).await?;
            pc.with_device(|device| device.raise(0x1));
            assert_eq!(first.wait().await?, NtStatus::SUCCESS);
            assert_eq!(second.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Stopping looks at the device itself, so a lost interrupt does not keep the request, nor the device.
#[test]
fn stopping_ends_a_request_whose_interrupt_was_lost() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().lose_factorial_interrupts = 1);
        let lost = program.factorial(5).await?;
        pc.k.delay(1_000_000).await?;
        assert_eq!(lost.request.result(), None, "nothing tells the driver");
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        assert_eq!(lost.wait().await?, NtStatus::SUCCESS);
        pc.start().await?;
        assert_eq!(
            program.factorial(6).await?.wait().await?,
            NtStatus::SUCCESS,
            "it works on"
        );
        program.close().await
    });
    let _ = run.clean();
}

/// Ten seconds, then the request ends, and the device is not used again before it has finished.
#[test]
fn stopping_does_not_wait_for_ever_for_a_stuck_device() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().stuck = true);
        let stuck = program.factorial(5).await?;
        let held = program.factorial(6).await?;
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        assert_eq!(stuck.wait().await?, NtStatus::IO_TIMEOUT);
        pc.start().await?;
        pc.k.delay(1_000_000).await?;
        assert_eq!(held.request.result(), None, "the device computes the other one still");
        pc.with_device(|device| device.faults_mut().stuck = false);
        assert_eq!(held.wait().await?, NtStatus::SUCCESS);
        program.close().await
    });
    let _ = run.clean();
}

/// The ISR of a device that is gone claims nothing and writes nothing.
#[test]
fn a_device_that_reads_all_ones_is_not_touched() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let before = pc.k.recorded().counters.get(Counter::RegisterWrites);
        pnp::surprise_remove(&pc.k, pc.pdo).await?;
        let after = pc.k.recorded().counters.get(Counter::RegisterWrites);
        assert_eq!(after, before, "surprise removal touches no register");
        Ok(())
    });
    let _ = run.clean();
}
