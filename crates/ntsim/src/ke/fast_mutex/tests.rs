//! Fast and guarded mutexes.

use std::{cell::Cell, rc::Rc};

use ntlayout::fast_mutex as layout;

use super::initialize;
use crate::{
    bugcheck::{BugCheck, Outcome},
    kernel::Kernel,
    machine::testing::script::{beside, crash, crash_in, export, idle, memory, run},
    mm::Va,
    sched::ThreadSpec,
};

fn new(k: &Kernel) -> Outcome<Va> {
    let mutex = memory(k, layout::SIZE)?;
    initialize(k, mutex)?;
    Ok(mutex)
}

#[test]
fn a_fast_mutex_is_held_at_apc_level_and_gives_back_the_irql() {
    run(&idle(), 1, |k| async move {
        let mutex = new(&k)?;
        export(&k, "ExAcquireFastMutex", &[mutex.get()]).await?;
        assert_eq!(export(&k, "KeGetCurrentIrql", &[]).await?, 1);
        assert_eq!(k.read::<i32>(mutex + layout::COUNT)?, 0);
        let thread = k.current_thread().unwrap();
        assert_eq!(k.read::<Va>(mutex + layout::OWNER)?, k.thread_object(thread));
        export(&k, "ExReleaseFastMutex", &[mutex.get()]).await?;
        assert_eq!(export(&k, "KeGetCurrentIrql", &[]).await?, 0);
        assert_eq!(k.read::<i32>(mutex + layout::COUNT)?, 1);
        assert_eq!(export(&k, "ExTryToAcquireFastMutex", &[mutex.get()]).await?, 1);
        assert_eq!(export(&k, "KeGetCurrentIrql", &[]).await?, 1);
        export(&k, "ExReleaseFastMutex", &[mutex.get()]).await.map(|_| ())
    });
}

/// Three threads contend for a mutex by the given routines.
fn contend(seed: u64, acquire: &'static str, release: &'static str) {
    run(&idle(), seed, move |k| async move {
        let mutex = new(&k)?;
        let inside = Rc::new(Cell::new(false));
        let mut threads = Vec::new();
        for _ in 0..3 {
            let inside = inside.clone();
            threads.push(beside(&k, "contender", move |k| async move {
                export(&k, acquire, &[mutex.get()]).await?;
                assert!(!inside.replace(true), "two are inside");
                k.delay(100).await?;
                inside.set(false);
                export(&k, release, &[mutex.get()]).await.map(|_| ())
            }));
        }
        for thread in threads {
            k.join(thread).await?;
        }
        Ok(())
    });
}

#[test]
fn fast_and_guarded_mutexes_exclude() {
    for seed in 0..20 {
        contend(seed, "ExAcquireFastMutex", "ExReleaseFastMutex");
        contend(seed, "KeAcquireGuardedMutex", "KeReleaseGuardedMutex");
        contend(
            seed,
            "ExEnterCriticalRegionAndAcquireFastMutexUnsafe",
            "ExReleaseFastMutexUnsafeAndLeaveCriticalRegion",
        );
    }
}

#[test]
fn trying_for_a_held_mutex_changes_nothing() {
    run(&idle(), 1, |k| async move {
        let mutex = new(&k)?;
        let other = beside(&k, "owner", move |k| async move {
            export(&k, "KeAcquireGuardedMutex", &[mutex.get()]).await?;
            k.delay(1_000_000).await?;
            export(&k, "KeReleaseGuardedMutex", &[mutex.get()]).await.map(|_| ())
        });
        k.delay(500_000).await?;
        assert_eq!(export(&k, "ExTryToAcquireFastMutex", &[mutex.get()]).await?, 0);
        assert_eq!(export(&k, "KeGetCurrentIrql", &[]).await?, 0);
        assert_eq!(export(&k, "KeTryToAcquireGuardedMutex", &[mutex.get()]).await?, 0);
        assert_eq!(export(&k, "KeAreAllApcsDisabled", &[]).await?, 0);
        k.join(other).await?;
        assert_eq!(export(&k, "KeTryToAcquireGuardedMutex", &[mutex.get()]).await?, 1);
        assert_eq!(export(&k, "KeAreAllApcsDisabled", &[]).await?, 1);
        export(&k, "KeReleaseGuardedMutex", &[mutex.get()]).await.map(|_| ())
    });
}

#[test]
fn a_guarded_mutex_is_held_in_a_guarded_region() {
    run(&idle(), 1, |k| async move {
        let mutex = memory(&k, layout::SIZE)?;
        export(&k, "KeInitializeGuardedMutex", &[mutex.get()]).await?;
        export(&k, "KeAcquireGuardedMutex", &[mutex.get()]).await?;
        assert_eq!(export(&k, "KeAreAllApcsDisabled", &[]).await?, 1);
        assert_eq!(
            export(&k, "KeGetCurrentIrql", &[]).await?,
            0,
            "at the IRQL of the caller"
        );
        export(&k, "KeReleaseGuardedMutex", &[mutex.get()]).await?;
        assert_eq!(export(&k, "KeAreAllApcsDisabled", &[]).await?, 0);
        export(&k, "KeEnterGuardedRegion", &[]).await?;
        export(&k, "KeAcquireGuardedMutexUnsafe", &[mutex.get()]).await?;
        export(&k, "KeReleaseGuardedMutexUnsafe", &[mutex.get()]).await?;
        export(&k, "KeLeaveGuardedRegion", &[]).await.map(|_| ())
    });
}

/// What calling these routines on one mutex stops with.
fn calls(routines: &'static [(&'static str, bool)]) -> BugCheck {
    crash(move |k| async move {
        let mutex = new(&k)?;
        for &(name, with_mutex) in routines {
            let argument = if with_mutex { mutex.get() } else { 2 };
            export(&k, name, &[argument]).await?;
        }
        Ok(())
    })
}

#[test]
fn misuse_of_a_fast_mutex_is_told_by_kind() {
    let recursion = calls(&[("ExAcquireFastMutex", true), ("ExAcquireFastMutex", true)]);
    assert_eq!(
        (recursion.parameters[0], recursion.rule),
        (0x1000, "fast-mutex-recursion")
    );
    let free = calls(&[("KeReleaseGuardedMutex", true)]);
    assert_eq!((free.parameters[0], free.rule), (0x1007, "fast-mutex-not-held"));
    let too_high = calls(&[("KfRaiseIrql", false), ("ExAcquireFastMutex", true)]);
    assert_eq!(
        (too_high.code.0, too_high.parameters[0], too_high.parameters[1]),
        (0xC4, 0x33, 2)
    );
    let lowered = calls(&[("ExAcquireFastMutexUnsafe", true), ("ExReleaseFastMutex", true)]);
    assert_eq!((lowered.parameters[0], lowered.parameters[1]), (0x34, 0));
    let kept = calls(&[("ExAcquireFastMutexUnsafe", true)]);
    assert_eq!((kept.parameters[0], kept.rule), (0x100A, "fast-mutex-held-at-end"));
    let raw = crash(|k| async move {
        let mutex = memory(&k, layout::SIZE)?;
        export(&k, "ExAcquireFastMutex", &[mutex.get()]).await.map(|_| ())
    });
    assert_eq!((raw.parameters[0], raw.rule), (0x1002, "fast-mutex-not-initialized"));
}

#[test]
fn a_mutex_of_another_thread_cannot_be_released() {
    let bugcheck = crash(|k| async move {
        let mutex = new(&k)?;
        beside(&k, "owner", move |k| async move {
            export(&k, "ExAcquireFastMutex", &[mutex.get()]).await?;
            k.delay(1_000_000).await
        });
        k.delay(500_000).await?;
        export(&k, "KfRaiseIrql", &[1]).await?;
        export(&k, "ExReleaseFastMutex", &[mutex.get()]).await.map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0xC4, 0x1004));
}

#[test]
fn a_programs_thread_takes_an_unsafe_mutex_in_a_critical_region_only() {
    let bugcheck = crash_in(&idle(), ThreadSpec::user("program"), |k| async move {
        let mutex = new(&k)?;
        export(&k, "KeEnterCriticalRegion", &[]).await?;
        export(&k, "ExAcquireFastMutexUnsafe", &[mutex.get()]).await?;
        export(&k, "ExReleaseFastMutexUnsafe", &[mutex.get()]).await?;
        export(&k, "KeLeaveCriticalRegion", &[]).await?;
        export(&k, "ExAcquireFastMutexUnsafe", &[mutex.get()]).await.map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0xC4, 0x39));
}

/// Two locks that are taken in one order, and then in the other.
fn crossed(acquire: &'static str, release: &'static str) -> BugCheck {
    crash(move |k| async move {
        let locks = [new(&k)?, new(&k)?];
        for [first, second] in [[0, 1], [1, 0]] {
            let [first, second] = [locks[first].get(), locks[second].get()];
            for (name, lock) in [(acquire, first), (acquire, second), (release, second), (release, first)] {
                export(&k, name, &[lock]).await?;
            }
        }
        Ok(())
    })
}

#[test]
fn mutexes_take_part_in_the_order_of_locks() {
    for (acquire, release) in [
        ("ExAcquireFastMutexUnsafe", "ExReleaseFastMutexUnsafe"),
        ("KeAcquireGuardedMutex", "KeReleaseGuardedMutex"),
    ] {
        let bugcheck = crossed(acquire, release);
        assert_eq!(
            (bugcheck.code.0, bugcheck.parameters[0], bugcheck.rule),
            (0xC4, 0x1001, "lock-order")
        );
    }
}
