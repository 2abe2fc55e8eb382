//! An upper filter fails `IRP_MN_START_DEVICE` after the driver has succeeded in it: the driver has started a device that the system then removes.

use ntsim::{NtStatus, Outcome, bus::InterruptMode, io::pnp};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::customdpc,
    program::{Program, assert_served_or_removed},
    seeds,
};

/// What the filter answers.
const FAILURE: NtStatus = NtStatus::INSUFFICIENT_RESOURCES;
/// A millisecond, in nanoseconds.
const MS: u64 = 1_000_000;

/// Runs `script` on a device that has not been started, by line and by message, with one and with two processors.
fn each(script: impl AsyncFn(Pc) -> Outcome<()> + Copy + 'static) {
    for interrupts in [InterruptMode::Line, InterruptMode::Message] {
        for processors in [1, 2] {
            for seed in seeds::up_to(10) {
                println!("{interrupts:?}, {processors} processors, seed {seed}");
                let mut setup = Setup::seed(seed);
                setup.config.processors = processors;
                setup.interrupts = interrupts;
                let run = Run::of(&customdpc(), setup, async move |pc: Pc| script(pc).await);
                let _ = run.clean();
            }
        }
    }
}

/// `IRP_MN_REMOVE_DEVICE` alone follows.
#[test]
fn a_first_start_fails() {
    each(async |pc| {
        let started = pnp::start_device_failed_above(&pc.k, pc.pdo, FAILURE).await?;
        assert_eq!(started, FAILURE);
        assert_eq!(pc.interfaces(), [""; 0]);
        assert_eq!(pnp::state(&pc.k, pc.pdo), Some(pnp::DeviceState::Removed));
        Ok(())
    });
}

/// `IRP_MN_SURPRISE_REMOVAL` follows, for a device that is there. What was asked for while it was stopped has been begun.
#[test]
fn a_restart_fails() {
    each(async |pc| {
        pc.start().await?;
        let program = Program::open(&pc).await?;
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        let mut under_way = Vec::new();
        for n in 0..6 {
            under_way.push(program.factorial(n).await?);
        }
        let read = program.read(0, 100).await?;
        let started = pnp::start_device_failed_above(&pc.k, pc.pdo, FAILURE).await?;
        assert_eq!(started, FAILURE);
        for computation in &under_way {
            assert_served_or_removed(computation.wait().await?);
        }
        assert_served_or_removed(read.wait(&pc.k).await?.status);
        assert_eq!(pc.interfaces(), [""; 0]);
        pc.k.delay(200 * MS).await?;
        program.close().await
    });
}
