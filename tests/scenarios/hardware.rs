//! A device that does not behave.

use edu::ioctl::{DeviceInfo, Liveness, QueryInfo, Request as _};
use ntsim::{NtStatus, io::pnp, sched::ThreadSpec, trace::Counter};
use scenarios::{
    boot::{Pc, Run, Setup},
    program::{Program, assert_served_or_removed},
    seeds,
};

/// Anybody can raise the interrupt of a finished factorial. The CustomDpc asks the device.
#[test]
fn a_spurious_factorial_interrupt_does_no_harm() {
    for seed in seeds::up_to(50) {
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

/// Stopping does not wait for an interrupt that was lost, and begins nothing again: the request goes on when the device is started.
#[test]
fn a_request_whose_interrupt_was_lost_outlives_a_stop() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().lose_factorial_interrupts = 1);
        let lost = program.factorial(5).await?;
        pc.k.delay(1_000_000).await?;
        assert_eq!(lost.request.result(), None, "nothing tells the driver");
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        assert_eq!(lost.request.result(), None, "the device is stopped");
        pc.start().await?;
        assert_eq!(lost.wait().await?, NtStatus::SUCCESS);
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

/// Found by ntsim: the device went between the CustomDpc's look at the COMPUTING bit and its read of the result, and a request succeeded
/// with all ones.
#[test]
fn a_device_pulled_out_between_two_reads_gives_no_result() {
    const READS: [u64; 3] = [1, 2, 3];
    for reads in READS {
        for seed in seeds::up_to(50) {
            let run = Run::started(Setup::seed(seed), async move |pc| {
                let program = Program::open(&pc).await?;
                let count = |pc: &Pc| pc.k.recorded().counters.get(Counter::RegisterReads);
                let before = count(&pc);
                let computation = program.factorial(5).await?;
                while count(&pc) < before + reads {
                    pc.k.delay(10).await?;
                }
                pnp::surprise_remove(&pc.k, pc.pdo).await?;
                assert_served_or_removed(computation.wait().await?);
                program.close().await
            });
            let _ = run.clean();
        }
    }
}

/// The same for a request that is answered at once from the device; one that is answered from what was read before knows nothing of it.
#[test]
fn a_device_that_does_not_answer_fails_a_liveness_check() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().dead = true);
        let done = program
            .call(QueryInfo::CODE.raw(), &[], size_of::<DeviceInfo>())
            .await?;
        assert_eq!(done.status, NtStatus::SUCCESS);
        let done = program.call(Liveness::CODE.raw(), &7_u32.to_le_bytes(), 4).await?;
        assert_eq!(done.status, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
    let _ = run.clean();
}

/// Found in review: a device that finishes at once can be finished, and its request be cancelled, while its starter is still on the way out of
/// the start. The starter must not take the engine for its own any more: requests got each other's results.
///
/// Found by this scenario: a CustomDpc that looked for requests as long as its queue was not empty ran for ever over one that was being
/// cancelled by the thread that it had interrupted.
#[test]
fn a_device_that_finishes_at_once() {
    for seed in seeds::up_to(100) {
        let mut setup = Setup::seed(seed);
        setup.profile.factorial_latency = 0..=100;
        setup.profile.step_latency = 0..=50;
        let run = Run::started(setup, async |pc| {
            let programs = (0..3).map(|number| {
                let pc = pc.clone();
                pc.k.clone()
                    .spawn(ThreadSpec::user(format!("program {number}")), async move |_| {
                        let program = Program::open(&pc).await?;
                        let mut under_way = Vec::new();
                        for n in 0..4 {
                            under_way.push(program.factorial(3 * n + number).await?);
                        }
                        program.cancel(&under_way[0]).await?;
                        for computation in &under_way {
                            let status = computation.wait().await?;
                            assert!([NtStatus::SUCCESS, NtStatus::CANCELLED].contains(&status), "{status}");
                        }
                        program.close().await
                    })
            });
            for program in programs.collect::<Vec<_>>() {
                pc.k.join(program).await?;
            }
            Ok(())
        });
        let _ = run.clean();
    }
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
