//! `IOCTL_EDU_RAISE_INTERRUPT`: StartIo, the ISR, the DpcForIsr.

use ntsim::{NtStatus, io::pnp, sched::ThreadSpec, trace::Counter};
use scenarios::{
    boot::{Run, Setup},
    program::{Program, assert_served_or_removed},
    seeds,
};

#[test]
fn a_raise_ends_when_its_interrupt_has_come() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        for causes in [0x2, 0x4000_0000, 0x7FFF_FEFE] {
            let done = program.raise(causes).await?.wait(&pc.k).await?;
            assert_eq!((done.status, done.information), (NtStatus::SUCCESS, 0));
        }
        program.close().await
    });
    let _ = run.clean();
    assert_eq!(run.count(Counter::InterruptsClaimed), 3);
}

#[test]
fn causes_that_are_not_software_s_are_refused() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        for causes in [0, 0x1, 0x100, 0x8000_0000, u32::MAX, 0x3] {
            let done = program.raise(causes).await?.wait(&pc.k).await?;
            assert_eq!(done.status, NtStatus::INVALID_PARAMETER, "{causes:#x}");
        }
        program.close().await
    });
    let _ = run.clean();
    assert_eq!(run.count(Counter::InterruptsDelivered), 0);
}

/// Requests of several programs, cancelled at random, in many interleavings: each ends, those after a cancelled one are served.
#[test]
fn raises_and_cancels() {
    for seed in seeds::up_to(100) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let others = pc.k.spawn(ThreadSpec::user("another program"), {
                let pc = pc.clone();
                async move |_| {
                    let program = Program::open(&pc).await?;
                    let mut under_way = Vec::new();
                    for causes in [0x2, 0x10, 0x2] {
                        under_way.push(program.raise(causes).await?);
                    }
                    for request in &under_way {
                        assert_eq!(request.wait(&pc.k).await?.status, NtStatus::SUCCESS);
                    }
                    program.close().await
                }
            });
            let mut under_way = Vec::new();
            for causes in [0x2, 0x4, 0x8, 0x10] {
                under_way.push(program.raise(causes).await?);
            }
            for request in [&under_way[2], &under_way[0]] {
                program.cancel_request(request).await?;
            }
            for request in &under_way {
                let status = request.wait(&pc.k).await?.status;
                assert!([NtStatus::SUCCESS, NtStatus::CANCELLED].contains(&status), "{status}");
            }
            pc.k.join(others).await?;
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn closing_a_handle_cancels_its_raises_and_no_others() {
    for seed in seeds::up_to(50) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let (closed, kept) = (Program::open(&pc).await?, Program::open(&pc).await?);
            let mut of_closed = Vec::new();
            let mut of_kept = Vec::new();
            for bit in 1..4 {
                of_closed.push(closed.raise(1 << bit).await?);
                of_kept.push(kept.raise(1 << bit).await?);
            }
            closed.close().await?;
            for request in &of_closed {
                let status = request.wait(&pc.k).await?.status;
                assert!([NtStatus::SUCCESS, NtStatus::CANCELLED].contains(&status), "{status}");
            }
            for request in &of_kept {
                assert_eq!(request.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            }
            kept.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn a_stopped_device_raises_when_it_runs_again() {
    for seed in seeds::up_to(50) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let early = program.raise(0x2).await?;
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;
            let (late, cancelled) = (program.raise(0x4).await?, program.raise(0x8).await?);
            assert_eq!(late.result(), None, "the device is stopped");
            program.cancel_request(&cancelled).await?;
            assert_eq!(cancelled.wait(&pc.k).await?.status, NtStatus::CANCELLED);
            pc.start().await?;
            assert_eq!(early.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert_eq!(late.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn surprise_removal_ends_raises() {
    for seed in seeds::up_to(50) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let mut under_way = Vec::new();
            for bit in 1..6 {
                under_way.push(program.raise(1 << bit).await?);
            }
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            for request in &under_way {
                assert_served_or_removed(request.wait(&pc.k).await?.status);
            }
            let late = program.raise(0x2).await?.wait(&pc.k).await?;
            assert_eq!(late.status, NtStatus::DEVICE_REMOVED);
            program.close().await
        });
        let _ = run.clean();
    }
}
