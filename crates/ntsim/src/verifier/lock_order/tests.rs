//! Orders of locks that are let pass, and one that is not, on one processor where no run can deadlock.

use super::{acquires, freed, initialized, releases, tried};
use crate::{
    bugcheck::Outcome,
    kernel::{Config, Kernel},
    machine::{Machine, testing::Program},
    mm::Va,
    sched::ThreadSpec,
    verifier::Settings,
};

const A: Va = Va(0xFFFF_9000_0000_1000);
const B: Va = Va(0xFFFF_9000_0000_2000);
const C: Va = Va(0xFFFF_9000_0000_3000);

/// Acquires the locks one after another, and releases them in the opposite order.
fn nested(k: &Kernel, locks: &[Va]) -> Outcome<()> {
    for &lock in locks {
        acquires(k, lock)?;
    }
    for &lock in locks.iter().rev() {
        releases(k, lock);
    }
    Ok(())
}

/// The rule and the first two parameters, if the script breaks one.
fn broken(
    verifier: Settings,
    script: impl FnOnce(&Kernel) -> Outcome<()> + 'static,
) -> Option<(&'static str, [u64; 2])> {
    let config = Config {
        processors: 1,
        verifier,
        ..Config::default()
    };
    let machine: Machine = Program::default().function(|_| {}).machine_of(config);
    machine.spawn(ThreadSpec::system("test"), |k| async move { script(&k) });
    let _ = machine.run();
    let crash = machine.kernel().crash()?;
    let [first, second, ..] = crash.bugcheck.parameters;
    Some((crash.bugcheck.rule, [first, second]))
}

#[test]
fn two_locks_in_both_orders_are_a_violation_without_a_deadlock() {
    let found = broken(Settings::STANDARD, |k| {
        nested(k, &[A, B])?;
        nested(k, &[B, A])
    });
    assert_eq!(found, Some(("lock-order", [0x1001, A.get()])));
}

#[test]
fn a_circle_of_three_is_a_violation() {
    let found = broken(Settings::STANDARD, |k| {
        nested(k, &[A, B])?;
        nested(k, &[B, C])?;
        nested(k, &[C, A])
    });
    assert_eq!(found, Some(("lock-order", [0x1001, A.get()])));
}

#[test]
fn one_order_everywhere_is_let_pass() {
    let found = broken(Settings::STANDARD, |k| {
        for _ in 0..3 {
            nested(k, &[A, B, C])?;
            nested(k, &[A, C])?;
            nested(k, &[B, C])?;
        }
        // One after another is no order.
        nested(k, &[C])?;
        nested(k, &[A])
    });
    assert_eq!(found, None);
}

#[test]
fn a_lock_that_was_only_tried_for_is_no_arrows_end() {
    let found = broken(Settings::STANDARD, |k| {
        nested(k, &[A, B])?;
        acquires(k, B)?;
        tried(k, A);
        releases(k, A);
        releases(k, B);
        Ok(())
    });
    assert_eq!(found, None);
}

#[test]
fn a_lock_that_is_initialized_anew_or_freed_is_another_lock() {
    let found = broken(Settings::STANDARD, |k| {
        nested(k, &[A, B])?;
        initialized(k, A);
        nested(k, &[B, A])?;
        freed(k, B, 8);
        nested(k, &[A, B])
    });
    assert_eq!(found, None);
}

#[test]
fn the_rule_can_be_let_pass() {
    let script = |k: &Kernel| {
        nested(k, &[A, B])?;
        nested(k, &[B, A])
    };
    assert_eq!(broken(Settings::STANDARD.allow("lock-order").unwrap(), script), None);
    assert_eq!(broken(Settings::NONE, script), None);
}

/// A thread that waits for a lock does not lose it to the thread that has it.
#[test]
fn a_release_is_the_holders_own() {
    let found = broken(Settings::STANDARD, |k| {
        nested(k, &[B, A])?;
        let waiting = k.spawn(ThreadSpec::system("waiting"), |k| async move {
            acquires(&k, A)?;
            k.delay(1_000_000).await?;
            releases(&k, A);
            Ok(())
        });
        k.spawn(ThreadSpec::system("holding"), move |k| async move {
            k.delay(1_000).await?;
            acquires(&k, A)?;
            releases(&k, A);
            nested(&k, &[B])?;
            k.join(waiting).await
        });
        Ok(())
    });
    assert_eq!(found, None);
}
