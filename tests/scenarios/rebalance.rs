//! A device is given other resources while it is in use: another place in memory, another interrupt, another processor to take it.

use std::collections::BTreeSet;

use ntsim::{
    NtStatus,
    bus::InterruptMode,
    io::pnp,
    sched::ThreadSpec,
    trace::{Event, Record},
};
use scenarios::{
    boot::{Run, Setup},
    program::Program,
};

/// How often the device moves while a program uses it.
const MOVES: usize = 3;

/// The processors that service routines ran on.
fn interrupted(records: &[Record]) -> impl Iterator<Item = Option<usize>> + '_ {
    let isrs = records
        .iter()
        .filter(|record| matches!(record.event, Event::Entered { label: "ISR", .. }));
    isrs.map(|record| record.processor)
}

#[test]
fn requests_survive_that_their_device_moves() {
    for interrupts in [InterruptMode::Line, InterruptMode::Message] {
        let mut taken_by = BTreeSet::new();
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
                for processor in 0..MOVES {
                    pc.k.delay(5_000).await?;
                    let mut other = pc.k.bus().borrow().other_resources(pc.slot);
                    let processor = processor % 2;
                    other.affinity = Some(1 << processor);
                    let status = pnp::rebalance(&pc.k, pc.pdo, other.clone()).await?;
                    assert_eq!(status, NtStatus::SUCCESS);
                    assert_eq!(*pc.k.bus().borrow().function(pc.slot).resources(), other);
                    let moved = pc.k.recorded().records().len();
                    pc.k.delay(5_000).await?;
                    assert!(interrupted(&pc.k.recorded().records()[moved..]).all(|it| it == Some(processor)));
                }
                pc.k.join(program).await
            });
            taken_by.extend(interrupted(run.clean().records()));
        }
        assert_eq!(
            taken_by,
            BTreeSet::from([Some(0), Some(1)]),
            "both processors had their turn"
        );
    }
}
