//! A device is given other resources while it is in use: another place in memory, another interrupt.

use ntsim::{NtStatus, bus::InterruptMode, io::pnp, sched::ThreadSpec};
use scenarios::{
    boot::{Run, Setup},
    program::Program,
};

/// How often the device moves while a program uses it.
const MOVES: usize = 3;

#[test]
fn requests_survive_that_their_device_moves() {
    for interrupts in [InterruptMode::Line, InterruptMode::Message] {
        for seed in 1..=25 {
            let mut setup = Setup::seed(seed);
            setup.interrupts = interrupts;
            let run = Run::started(setup, async |pc| {
                let user = pc.clone();
                let program = pc.k.spawn(ThreadSpec::user("program"), async move |_| {
                    let program = Program::open(&user).await?;
                    for _ in 0..4 {
                        let mut under_way = Vec::new();
                        for n in 1..=4 {
                            under_way.push(program.factorial(n).await?);
                        }
                        for computation in &under_way {
                            assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
                        }
                    }
                    program.close().await
                });
                for _ in 0..MOVES {
                    pc.k.delay(5_000).await?;
                    let other = pc.k.bus().borrow().other_resources(pc.slot);
                    let status = pnp::rebalance(&pc.k, pc.pdo, other.clone()).await?;
                    assert_eq!(status, NtStatus::SUCCESS);
                    assert_eq!(*pc.k.bus().borrow().function(pc.slot).resources(), other);
                }
                pc.k.join(program).await
            });
            let _ = run.clean();
        }
    }
}
