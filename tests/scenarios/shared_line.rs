//! A line that another device interrupts on as well.

use ntsim::{NtStatus, io::pnp, trace::Counter};
use scenarios::{
    boot::{Run, Setup},
    program::Program,
    seeds,
};

fn setup(seed: u64) -> Setup {
    Setup {
        neighbour: true,
        ..Setup::seed(seed)
    }
}

/// The ISR disowns what is not its device's, and misses nothing of its own that comes at the same time.
#[test]
fn a_neighbours_interrupts_do_no_harm() {
    const ROUNDS: u32 = 5;
    for seed in seeds::up_to(50) {
        let run = Run::started(setup(seed), async |pc| {
            let program = Program::open(&pc).await?;
            pc.connect_neighbour()?;
            for n in 0..ROUNDS {
                pc.raise_neighbour();
                let computation = program.factorial(n).await?;
                pc.raise_neighbour();
                assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
            }
            pc.k.delay(100_000).await?;
            program.close().await
        });
        let _ = run.clean();
        let (delivered, claimed) = (
            run.count(Counter::InterruptsDelivered),
            run.count(Counter::InterruptsClaimed),
        );
        assert!(
            claimed > u64::from(ROUNDS),
            "the neighbour's were among them: {claimed} of {delivered}"
        );
    }
}

/// A device that is gone reads all ones. If its ISR claimed that, the neighbour's would never get its turn, and the line never fall.
#[test]
fn a_neighbour_interrupts_while_the_device_is_pulled_out() {
    for seed in seeds::up_to(50) {
        let run = Run::started(setup(seed), async |pc| {
            pc.connect_neighbour()?;
            pc.k.bus().borrow_mut().function_mut(pc.slot).unplug();
            pc.raise_neighbour();
            pc.k.delay(10_000).await?;
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            pc.raise_neighbour();
            pc.k.delay(10_000).await
        });
        let _ = run.clean();
        assert_eq!(run.count(Counter::InterruptsClaimed), 2);
    }
}
