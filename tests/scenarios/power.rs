//! The system sleeps and wakes; the device does as it does, and loses nothing that it was asked for.

use edu::ioctl::{Liveness, Request as _};
use ntsim::{
    NtStatus,
    bus::DevicePower,
    io::pnp::{self, DeviceState},
    po::{self, SystemState},
    trace::Counter,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    program::Program,
};

/// How much power the device has.
fn power(pc: &Pc) -> DevicePower {
    pc.k.bus().borrow().function(pc.slot).power()
}

/// How often its registers have been touched.
fn accesses(pc: &Pc) -> u64 {
    let counters = &pc.k.recorded().counters;
    counters.get(Counter::RegisterReads) + counters.get(Counter::RegisterWrites)
}

async fn wait_for_d0(pc: &Pc) -> ntsim::Outcome<()> {
    while power(pc) != DevicePower::D0 {
        pc.k.delay(100).await?;
    }
    Ok(())
}

#[test]
fn the_device_sleeps_with_the_system() {
    for state in [
        SystemState::S1,
        SystemState::S2,
        SystemState::S3,
        SystemState::Hibernate,
    ] {
        for seed in 1..=10 {
            let run = Run::started(Setup::seed(seed), async move |pc| {
                let program = Program::open(&pc).await?;
                assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
                assert!(po::sleep(&pc.k, state).await?.is_ok(), "nobody refuses");
                assert_ne!(power(&pc), DevicePower::D0);
                po::wake(&pc.k).await?;
                wait_for_d0(&pc).await?;
                assert_eq!(program.factorial(6).await?.wait().await?, NtStatus::SUCCESS);
                let raised = program.raise(0x2).await?;
                assert_eq!(raised.wait(&pc.k).await?.status, NtStatus::SUCCESS);
                program.close().await
            });
            let _ = run.clean();
        }
    }
}

/// What is in flight is finished first; what waits, and what comes meanwhile, is served afterwards. No register is touched in between.
#[test]
fn requests_wait_while_the_device_sleeps() {
    for seed in 1..=50 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let mut under_way = Vec::new();
            for n in 1..=5 {
                under_way.push(program.factorial(n).await?);
            }
            let doorbell = program.wait_interrupt(0x4).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let before = accesses(&pc);
            for n in 6..=8 {
                under_way.push(program.factorial(n).await?);
            }
            let raised = program.raise(0x4).await?;
            let liveness = program.send(Liveness::CODE.raw(), &7_u32.to_le_bytes(), 4).await?;
            pc.k.delay(1_000_000).await?;
            let waiting = under_way.iter().filter(|one| one.request.result().is_none()).count();
            assert!(waiting >= 3, "those that came after it fell asleep wait");
            assert_eq!((raised.result(), liveness.result()), (None, None), "and so do these");
            assert_eq!(accesses(&pc), before, "a register was touched without power");

            po::wake(&pc.k).await?;
            for computation in &under_way {
                assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
            }
            assert_eq!(raised.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert_eq!(liveness.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            assert_eq!(
                doorbell.wait(&pc.k).await?.status,
                NtStatus::SUCCESS,
                "waits since before"
            );
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A request that waits for the device to wake can be cancelled, and ends with its handle.
#[test]
fn requests_of_a_sleeping_device_can_be_cancelled() {
    for seed in 1..=20 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let [program, other] = [Program::open(&pc).await?, Program::open(&pc).await?];
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let cancelled = program.factorial(5).await?;
            let closed = other.factorial(6).await?;
            program.cancel(&cancelled).await?;
            assert_eq!(cancelled.wait().await?, NtStatus::CANCELLED);
            other.close().await?;
            assert_eq!(closed.wait().await?, NtStatus::CANCELLED);
            po::wake(&pc.k).await?;
            assert_eq!(program.factorial(7).await?.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A device that is taken out while it sleeps ends what waits for it.
#[test]
fn surprise_removal_while_the_device_sleeps() {
    for seed in 1..=50 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let held = program.factorial(5).await?;
            po::wake(&pc.k).await?;
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            let status = held.wait().await?;
            assert!(
                [NtStatus::SUCCESS, NtStatus::DEVICE_REMOVED].contains(&status),
                "{status}"
            );
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A device that does not answer when it has its power back has failed. It is removed, and nothing is left waiting for it.
#[test]
fn a_device_that_does_not_wake_is_removed() {
    for seed in 1..=20 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let held = program.factorial(5).await?;
            pc.with_device(|device| device.faults_mut().dead = true);
            po::wake(&pc.k).await?;
            assert_eq!(held.wait().await?, NtStatus::DEVICE_REMOVED);
            assert_eq!(pnp::state(&pc.k, pc.pdo), Some(DeviceState::SurpriseRemoved));
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Nobody asks, and nobody needs to: the device could always have slept.
#[test]
fn the_system_shuts_down_and_sleeps_without_asking() {
    for seed in 1..=10 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let computation = program.factorial(5).await?;
            po::sleep_at_once(&pc.k, SystemState::Hibernate).await?;
            po::wake(&pc.k).await?;
            assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}
