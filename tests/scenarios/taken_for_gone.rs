//! The system surprise-removes a device that is there: it must be silent before its driver lets go of it.

use ntsim::{NtStatus, Outcome, bus::InterruptMode, io::pnp};
use scenarios::{
    boot::{Pc, Run, Setup},
    program::{Program, assert_served_or_removed},
    seeds,
};

fn each(neighbour: bool, script: impl AsyncFn(Pc) -> Outcome<()> + Copy + 'static) {
    for mode in [InterruptMode::Line, InterruptMode::Message] {
        for processors in [1, 2] {
            for seed in seeds::up_to(10) {
                let mut setup = Setup::seed(seed);
                setup.config.processors = processors;
                setup.interrupts = mode;
                setup.neighbour = neighbour && mode == InterruptMode::Line;
                let run = Run::started(setup, async move |pc: Pc| script(pc).await);
                println!("{mode:?}, {processors} processors, seed {seed}");
                let _ = run.clean();
            }
        }
    }
}

/// Waits for what the device may do still.
async fn later(pc: &Pc, nanoseconds: u64) -> Outcome<()> {
    pc.k.delay(nanoseconds).await
}

/// Found in review: the factorial ended after the driver had let go, and its interrupt was nobody's: a storm on the line.
#[test]
fn while_it_computes() {
    each(false, async |pc| {
        let program = Program::open(&pc).await?;
        pc.with_device(|device| device.faults_mut().extra_latency = 30_000);
        let computation = program.factorial(5).await?;
        pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
        later(&pc, 1_000_000).await?;
        assert_served_or_removed(computation.wait().await?);
        program.close().await
    });
}

/// One comes after the other; what waits for its turn ends with the removal.
#[test]
fn while_there_are_many_requests() {
    each(true, async |pc| {
        let program = Program::open(&pc).await?;
        if pc.k.bus().borrow().functions().len() > 1 {
            pc.connect_neighbour()?;
        }
        let mut all = Vec::new();
        for n in 0..6 {
            all.push(program.factorial(n).await?);
        }
        let raised = program.raise(0x6).await?;
        let doorbell = program.wait_interrupt(0x8).await?;
        later(&pc, 2_000).await?;
        pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
        later(&pc, 1_000_000).await?;
        for one in &all {
            assert_served_or_removed(one.wait().await?);
        }
        assert_served_or_removed(raised.wait(&pc.k).await?.status);
        assert_eq!(doorbell.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
}

#[test]
fn while_it_moves_bytes() {
    each(false, async |pc| {
        let program = Program::open(&pc).await?;
        let read = program.read(0, 100).await?;
        let echo = program.echo(&[7; 9_000]).await?;
        later(&pc, 50_000_000).await?;
        pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
        later(&pc, 200_000_000).await?;
        assert_served_or_removed(read.wait(&pc.k).await?.status);
        assert_served_or_removed(echo.wait(&pc.k).await?.status);
        program.close().await
    });
}

/// It is stopped: it was silenced by that.
#[test]
fn while_it_is_stopped() {
    each(false, async |pc| {
        let program = Program::open(&pc).await?;
        let first = program.factorial(5).await?;
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        let held = program.factorial(6).await?;
        pnp::surprise_remove_present(&pc.k, pc.pdo).await?;
        assert_served_or_removed(first.wait().await?);
        assert_eq!(held.wait().await?, NtStatus::DEVICE_REMOVED);
        program.close().await
    });
}
