//! `IOCTL_EDU_WAIT_INTERRUPT`: who waits learns of every interrupt that comes after, and of none that came before.

use std::collections::BTreeMap;

use ntsim::{
    NtStatus,
    io::pnp,
    sched::ThreadSpec,
    trace::{Event, Record},
};
use scenarios::{
    boot::{Run, Setup},
    program::{Program, arrival},
    seeds,
};

#[test]
fn every_wait_that_matches_ends() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let (both, one, other) = (
            program.wait_interrupt(0x6).await?,
            program.wait_interrupt(0x2).await?,
            program.wait_interrupt(0x4).await?,
        );
        program.raise(0x2).await?.wait(&pc.k).await?;
        let (both, one) = (arrival(&both.wait(&pc.k).await?), arrival(&one.wait(&pc.k).await?));
        assert_eq!((both.causes, both.sequence, both.reserved), (0x2, 1, 0));
        assert_eq!(one, both);
        assert_eq!(other.result(), None, "its cause has not come");
        program.raise(0x4).await?.wait(&pc.k).await?;
        let other = arrival(&other.wait(&pc.k).await?);
        assert_eq!((other.causes, other.sequence), (0x4, 2));
        assert!(other.interrupt_time >= one.interrupt_time);
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn an_interrupt_from_before_does_not_count() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        program.raise(0x2).await?.wait(&pc.k).await?;
        let wait = program.wait_interrupt(0x2).await?;
        pc.k.delay(1_000_000).await?;
        assert_eq!(wait.result(), None);
        program.cancel_request(&wait).await?;
        assert_eq!(wait.wait(&pc.k).await?.status, NtStatus::CANCELLED);
        program.close().await
    });
    let _ = run.clean();
}

/// However many interrupts one DPC stands for, each cause reaches the one that waits for it.
#[test]
fn no_event_is_lost_to_coalescing() {
    for seed in seeds::up_to(100) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let mut waits = Vec::new();
            for bit in 1..8 {
                waits.push(program.wait_interrupt(1 << bit).await?);
            }
            let mut raises = Vec::new();
            for bit in 1..8 {
                raises.push(pc.k.spawn(ThreadSpec::user(format!("raise {bit}")), {
                    let program = program.clone();
                    async move |k| {
                        let done = program.raise(1 << bit).await?.wait(&k).await?;
                        assert_eq!(done.status, NtStatus::SUCCESS);
                        Ok(())
                    }
                }));
            }
            for (wait, bit) in waits.iter().zip(1..) {
                assert_eq!(arrival(&wait.wait(&pc.k).await?).causes, 1 << bit);
            }
            for raise in raises {
                pc.k.join(raise).await?;
            }
            program.close().await
        });
        let _ = run.clean();
    }
}

/// A wait can be made while its interrupt is on the way: it ends, or the next interrupt ends it.
#[test]
fn a_wait_races_with_its_interrupt() {
    for seed in seeds::up_to(100) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let raise = program.raise(0x2).await?;
            let wait = program.wait_interrupt(0x2).await?;
            raise.wait(&pc.k).await?;
            program.raise(0x2).await?.wait(&pc.k).await?;
            let arrival = arrival(&wait.wait(&pc.k).await?);
            assert_eq!(arrival.causes, 0x2);
            assert!([1, 2].contains(&arrival.sequence), "{}", arrival.sequence);
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn waits_end_with_the_handle_and_with_the_device() {
    for seed in seeds::up_to(50) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let (closed, kept) = (Program::open(&pc).await?, Program::open(&pc).await?);
            let (of_closed, of_kept) = (closed.wait_interrupt(0x2).await?, kept.wait_interrupt(0x2).await?);
            closed.close().await?;
            assert_eq!(of_closed.wait(&pc.k).await?.status, NtStatus::CANCELLED);
            assert_eq!(of_kept.result(), None);
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            assert_eq!(of_kept.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
            kept.close().await
        });
        let _ = run.clean();
    }
}

/// Numbers go on, and waits wait on, over a stop and a start.
#[test]
fn waits_outlive_a_stop() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        program.raise(0x2).await?.wait(&pc.k).await?;
        let before = program.wait_interrupt(0x4).await?;
        assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
        pnp::stop_device(&pc.k, pc.pdo).await?;
        let meanwhile = program.wait_interrupt(0x4).await?;
        pc.start().await?;
        program.raise(0x4).await?.wait(&pc.k).await?;
        for wait in [before, meanwhile] {
            let arrival = arrival(&wait.wait(&pc.k).await?);
            assert_eq!((arrival.causes, arrival.sequence), (0x4, 2));
        }
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn an_empty_mask_is_refused() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let done = program.wait_interrupt(0).await?.wait(&pc.k).await?;
        assert_eq!(done.status, NtStatus::INVALID_PARAMETER);
        program.close().await
    });
    let _ = run.clean();
}

/// Virtual time is how many instructions were executed, so it says how much is looked at. Each waiter is looked at once, whether its interrupt has come
/// or not: twice as many are twice the work.
#[test]
fn the_work_of_the_doorbell_grows_with_its_waiters_only() {
    let work = |waiters: u32, wanted: fn(u32, u32) -> bool| {
        let mut setup = Setup::seed(1);
        setup.config.processors = 1;
        let run = Run::started(setup, async move |pc| {
            let program = Program::open(&pc).await?;
            for index in 0..waiters {
                let mask = if wanted(index, waiters) { 0x2 } else { 0x4 };
                program.wait_interrupt(mask).await?;
            }
            program.raise(0x2).await?.wait(&pc.k).await?;
            program.close().await
        });
        longest_dpc(run.clean().records())
    };
    let none = |_, _| false;
    let all = |_, _| true;
    let second_half = |index, waiters| index >= waiters / 2;
    for (what, wanted) in [
        ("none", none as fn(u32, u32) -> bool),
        ("all", all),
        ("the second half", second_half),
    ] {
        let (once, twice) = (work(64, wanted), work(128, wanted));
        println!("{what}: {once} ns for 64 waiters, {twice} ns for 128");
        assert!(
            twice < once * 23 / 10,
            "{what}: {once} ns for 64 waiters, {twice} ns for 128"
        );
    }
}

/// The longest time from the start of a DPC to its end.
fn longest_dpc(records: &[Record]) -> u64 {
    let (mut started, mut longest) = (BTreeMap::new(), 0);
    for record in records {
        match record.event {
            Event::DpcStarted { dpc, .. } => {
                started.insert(dpc, record.time);
            }
            Event::DpcFinished { dpc } => {
                let since = started.get(&dpc).copied().unwrap_or(record.time);
                longest = longest.max(record.time - since);
            }
            _ => {}
        }
    }
    longest
}
