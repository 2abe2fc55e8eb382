//! A device is given other resources while it is in use: another place in memory, another interrupt, another processor to take it.

use std::collections::BTreeSet;

use ntsim::{
    NtStatus,
    bus::{Interrupt, InterruptMode},
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

/// The length of a range decides how it is described: a driver is to find one of 4 GiB and more in its place all the same.
#[test]
fn registers_in_a_large_range_are_found() {
    for length in [1 << 32, 1 << 40, 1 << 50] {
        let run = Run::started(Setup::seed(1), async move |pc| {
            let mut other = pc.k.bus().borrow().other_resources(pc.slot);
            other.memory[0].length = length;
            assert_eq!(pnp::rebalance(&pc.k, pc.pdo, other).await?, NtStatus::SUCCESS);
            let program = Program::open(&pc).await?;
            assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// An ISR for an interrupt of `PASSIVE_LEVEL` would run in a thread, without the lock that it is promised: the safe layer connects none.
#[test]
fn an_interrupt_of_passive_level_is_refused() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let mut other = pc.k.bus().borrow().other_resources(pc.slot);
        other.interrupt = Some(Interrupt::Line { line: 16, vector: 0x01 });
        assert_eq!(pnp::rebalance(&pc.k, pc.pdo, other).await?, NtStatus::NOT_SUPPORTED);
        Ok(())
    });
    let _ = run.clean();
}
