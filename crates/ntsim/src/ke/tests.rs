//! The kernel's objects, driven by host flows.

use std::{cell::Cell, rc::Rc};

use ntlayout::kdpc;

use super::{
    Irql, dpc,
    event::{self, EventType},
    spin_lock,
    wait::{self, Timeout},
};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::{Machine, testing::Program},
    mm::Va,
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
    trace::Counter,
};

/// Runs `script` in a system thread on a machine whose driver is `program`.
fn run<F>(program: &Program, seed: u64, script: impl FnOnce(Kernel) -> F) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = program.machine(seed);
    machine.spawn(ThreadSpec::system("test"), script);
    let end = machine.run();
    assert_eq!(end, RunEnd::Idle, "{}", machine.crash_report(None).unwrap_or_default());
    machine
}

/// A driver whose only function returns at once: a DPC routine that does nothing.
fn idle() -> Program {
    Program::default().function(|_| {})
}

fn new_dpc(k: &Kernel) -> Outcome<Va> {
    let object = k.allocate_system(kdpc::SIZE, "KDPC")?;
    dpc::initialize(k, object, Program::address(0), Va::NULL)?;
    Ok(object)
}

#[test]
fn a_queued_dpc_coalesces_and_runs_once() {
    let machine = run(&idle(), 1, |k| async move {
        let object = new_dpc(&k)?;
        let old = k.raise_irql(Irql::DISPATCH);
        assert!(dpc::insert(&k, object, 1, 2)?);
        assert!(!dpc::insert(&k, object, 3, 4)?);
        assert_eq!(
            k.read::<u64>(object + kdpc::SYSTEM_ARGUMENT1)?,
            1,
            "the first arguments stay"
        );
        k.lower_irql(old);
        dpc::flush(&k).await?;
        assert!(dpc::insert(&k, object, 5, 6)?, "it can be queued again once it has run");
        dpc::flush(&k).await
    });
    let counters = &machine.kernel().recorded().counters;
    assert_eq!(counters.get(Counter::DpcsRun), 2);
    assert_eq!(counters.get(Counter::DpcsCoalesced), 1);
}

#[test]
fn a_removed_dpc_does_not_run() {
    let machine = run(&idle(), 1, |k| async move {
        let object = new_dpc(&k)?;
        let old = k.raise_irql(Irql::DISPATCH);
        dpc::insert(&k, object, 0, 0)?;
        assert!(dpc::remove(&k, object)?);
        assert!(!dpc::remove(&k, object)?);
        k.lower_irql(old);
        dpc::flush(&k).await
    });
    assert_eq!(machine.kernel().recorded().counters.get(Counter::DpcsRun), 0);
}

#[test]
fn a_dpc_runs_as_soon_as_its_processor_falls_below_dispatch() {
    for seed in 0..20 {
        run(&idle(), seed, |k| async move {
            let object = new_dpc(&k)?;
            let old = k.raise_irql(Irql::DISPATCH);
            dpc::insert(&k, object, 0, 0)?;
            let before = k.recorded().counters.get(Counter::DpcsRun);
            k.yield_now().await?;
            assert_eq!(
                k.recorded().counters.get(Counter::DpcsRun),
                before,
                "not at DISPATCH_LEVEL"
            );
            k.lower_irql(old);
            k.yield_now().await?;
            assert_eq!(k.recorded().counters.get(Counter::DpcsRun), before + 1, "at once below");
            Ok(())
        });
    }
}

#[test]
fn memory_with_a_queued_dpc_must_not_be_freed() {
    let machine = idle().machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        let object = new_dpc(&k)?;
        let _ = k.raise_irql(Irql::DISPATCH);
        dpc::insert(&k, object, 0, 0)?;
        crate::ex::pool::check_idle(&k, object, kdpc::SIZE as u64)
    });
    assert_eq!(machine.run(), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.rule, "queued-dpc-freed");
}

#[test]
fn waits_time_out_in_virtual_time() {
    run(&idle(), 1, |k| async move {
        let object = Program::data();
        event::initialize(&k, object, EventType::Notification, false)?;
        assert_eq!(
            wait::for_single_object(&k, object, Timeout::Poll).await?,
            NtStatus::TIMEOUT
        );
        let deadline = k.now() + 1_000_000;
        let timeout = Timeout::Until(deadline);
        assert_eq!(wait::for_single_object(&k, object, timeout).await?, NtStatus::TIMEOUT);
        assert!(k.now() >= deadline);
        Ok(())
    });
}

/// How many of `waiters` threads one `KeSetEvent` lets proceed.
fn released_by_one_set(kind: EventType, waiters: usize) -> usize {
    let released = Rc::new(Cell::new(0));
    let seen = released.clone();
    run(&idle(), 3, move |k| async move {
        let object = Program::data();
        event::initialize(&k, object, kind, false)?;
        for _ in 0..waiters {
            let seen = seen.clone();
            k.spawn(ThreadSpec::system("waiter"), |k| async move {
                let timeout = Timeout::Until(k.now() + 1_000_000);
                let status = wait::for_single_object(&k, object, timeout).await?;
                seen.set(seen.get() + usize::from(status == NtStatus::SUCCESS));
                Ok(())
            });
        }
        k.delay(1000).await?;
        event::set(&k, object)?;
        Ok(())
    });
    released.get()
}

#[test]
fn a_notification_event_releases_all_and_a_synchronization_event_one() {
    assert_eq!(released_by_one_set(EventType::Notification, 3), 3);
    assert_eq!(released_by_one_set(EventType::Synchronization, 3), 1);
}

#[test]
fn spin_locks_exclude_and_restore_the_irql() {
    for seed in 0..30 {
        run(&idle(), seed, |k| async move {
            let lock = k.allocate_system(8, "lock")?;
            let inside = Rc::new(Cell::new(false));
            let mut threads = Vec::new();
            for _ in 0..3 {
                let inside = inside.clone();
                threads.push(k.spawn(ThreadSpec::system("contender"), |k| async move {
                    for _ in 0..3 {
                        let old = spin_lock::acquire(&k, lock).await?;
                        assert_eq!(old, Irql::PASSIVE);
                        assert!(!inside.replace(true), "two are inside");
                        k.yield_now().await?;
                        assert_eq!(k.irql(), Irql::DISPATCH);
                        inside.set(false);
                        spin_lock::release(&k, lock, old)?;
                        k.yield_now().await?;
                        assert_eq!(k.irql(), Irql::PASSIVE);
                    }
                    Ok(())
                }));
            }
            for thread in threads {
                k.join(thread).await?;
            }
            Ok(())
        });
    }
}

#[test]
fn locks_taken_in_opposite_order_are_found_as_a_hang() {
    let crossed = |seed| {
        let machine = idle().machine(seed);
        let locks = [Program::data(), Program::data() + 8_u64];
        for order in [[0, 1], [1, 0]] {
            machine.spawn(ThreadSpec::system("crosser"), move |k| async move {
                let old = spin_lock::acquire(&k, locks[order[0]]).await?;
                k.yield_now().await?;
                spin_lock::acquire_raised(&k, locks[order[1]]).await?;
                spin_lock::release_raised(&k, locks[order[1]])?;
                spin_lock::release(&k, locks[order[0]], old)
            });
        }
        let _ = machine.run();
        let crash = machine.kernel().crash();
        crash.map(|crash| (crash.bugcheck.code.0, crash.bugcheck.rule))
    };
    let outcomes: Vec<_> = (0..40).map(crossed).collect();
    assert!(outcomes.contains(&None), "some seeds get through");
    assert!(
        outcomes.contains(&Some((0x133, "hang"))),
        "and some do not: {outcomes:?}"
    );
}
