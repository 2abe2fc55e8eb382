//! Executive resources.

use std::{cell::Cell, rc::Rc};

use ntlayout::eresource;

use crate::{
    bugcheck::{BugCheck, Outcome},
    kernel::Kernel,
    machine::testing::script::{beside, crash, crash_in, export, idle, memory, run},
    mm::Va,
    sched::ThreadSpec,
};

async fn new(k: &Kernel) -> Outcome<Va> {
    let resource = memory(k, eresource::SIZE)?;
    assert_eq!(export(k, "ExInitializeResourceLite", &[resource.get()]).await?, 0);
    Ok(resource)
}

const EXCLUSIVE: &str = "ExAcquireResourceExclusiveLite";
const SHARED: &str = "ExAcquireResourceSharedLite";
const RELEASE: &str = "ExReleaseResourceLite";

async fn acquire(k: &Kernel, how: &str, resource: Va, wait: bool) -> Outcome<bool> {
    Ok(export(k, how, &[resource.get(), u64::from(wait)]).await? != 0)
}

async fn release(k: &Kernel, resource: Va) -> Outcome<()> {
    export(k, RELEASE, &[resource.get()]).await.map(|_| ())
}

#[test]
fn many_readers_or_one_writer() {
    for seed in 0..30 {
        run(&idle(), seed, |k| async move {
            let resource = new(&k).await?;
            let (reading, writing, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
            let mut threads = Vec::new();
            for number in 0..5 {
                let (reading, writing, most) = (reading.clone(), writing.clone(), most.clone());
                threads.push(beside(&k, "user", move |k| async move {
                    for round in 0..2 {
                        let writes = (number + round) % 3 == 0;
                        let how = if writes { EXCLUSIVE } else { SHARED };
                        assert!(acquire(&k, how, resource, true).await?);
                        let inside = if writes { &writing } else { &reading };
                        inside.set(inside.get() + 1);
                        assert!(writing.get() == 0 || (writing.get() == 1 && reading.get() == 0));
                        most.set(most.get().max(reading.get()));
                        k.delay(500).await?;
                        inside.set(inside.get() - 1);
                        release(&k, resource).await?;
                    }
                    Ok(())
                }));
            }
            for thread in threads {
                k.join(thread).await?;
            }
            assert!(most.get() > 1, "readers share");
            export(&k, "ExDeleteResourceLite", &[resource.get()]).await.map(|_| ())
        });
    }
}

#[test]
fn holders_acquire_again_and_are_counted() {
    run(&idle(), 1, |k| async move {
        let resource = new(&k).await?;
        assert!(acquire(&k, EXCLUSIVE, resource, true).await?);
        assert!(acquire(&k, EXCLUSIVE, resource, true).await?);
        assert!(acquire(&k, SHARED, resource, true).await?);
        assert_eq!(
            export(&k, "ExIsResourceAcquiredExclusiveLite", &[resource.get()]).await?,
            1
        );
        assert_eq!(
            export(&k, "ExIsResourceAcquiredSharedLite", &[resource.get()]).await?,
            3
        );
        assert_eq!(k.read::<u16>(resource + eresource::FLAG)? & 0x80, 0x80);
        let thread = k.thread_object(k.current_thread().unwrap());
        assert_eq!(k.read::<Va>(resource + eresource::OWNER_THREAD)?, thread);
        release(&k, resource).await?;
        export(&k, "ExConvertExclusiveToSharedLite", &[resource.get()]).await?;
        assert_eq!(
            export(&k, "ExIsResourceAcquiredExclusiveLite", &[resource.get()]).await?,
            0
        );
        assert_eq!(
            export(&k, "ExIsResourceAcquiredSharedLite", &[resource.get()]).await?,
            2
        );
        release(&k, resource).await?;
        export(&k, "ExReleaseResourceForThreadLite", &[resource.get(), thread.get()]).await?;
        assert_eq!(
            export(&k, "ExIsResourceAcquiredSharedLite", &[resource.get()]).await?,
            0
        );
        assert_eq!(k.read::<u16>(resource + eresource::ACTIVE_COUNT)?, 0);
        assert_eq!(export(&k, "ExReinitializeResourceLite", &[resource.get()]).await?, 0);
        export(&k, "ExDeleteResourceLite", &[resource.get()]).await.map(|_| ())
    });
}

/// While one thread holds the resource shared and a writer waits: who of the routines' callers gets it at once.
fn behind_a_writer(how: &'static str, holds: bool) -> bool {
    let granted = Rc::new(Cell::new(false));
    let seen = granted.clone();
    run(&idle(), 1, move |k| async move {
        let resource = new(&k).await?;
        let reader = beside(&k, "reader", move |k| async move {
            acquire(&k, SHARED, resource, true).await?;
            k.delay(3_000_000).await?;
            release(&k, resource).await
        });
        if holds {
            acquire(&k, SHARED, resource, true).await?;
        }
        k.delay(1_000_000).await?;
        let writer = beside(&k, "writer", move |k| async move {
            acquire(&k, EXCLUSIVE, resource, true).await?;
            release(&k, resource).await
        });
        k.delay(1_000_000).await?;
        assert_eq!(export(&k, "ExGetExclusiveWaiterCount", &[resource.get()]).await?, 1);
        assert_eq!(export(&k, "ExGetSharedWaiterCount", &[resource.get()]).await?, 0);
        seen.set(acquire(&k, how, resource, false).await?);
        if seen.get() {
            release(&k, resource).await?;
        }
        if holds {
            release(&k, resource).await?;
        }
        k.join(reader).await?;
        k.join(writer).await
    });
    granted.get()
}

#[test]
fn readers_differ_in_what_they_do_behind_a_writer() {
    assert!(!behind_a_writer(SHARED, false));
    assert!(behind_a_writer(SHARED, true));
    assert!(behind_a_writer("ExAcquireSharedStarveExclusive", false));
    assert!(!behind_a_writer("ExAcquireSharedWaitForExclusive", true));
    assert!(!behind_a_writer(EXCLUSIVE, false));
}

#[test]
fn the_combined_routines_enter_and_leave_a_critical_region() {
    run(&idle(), 1, |k| async move {
        let resource = new(&k).await?;
        for name in [
            "ExEnterCriticalRegionAndAcquireResourceExclusive",
            "ExEnterCriticalRegionAndAcquireResourceShared",
            "ExEnterCriticalRegionAndAcquireSharedWaitForExclusive",
        ] {
            export(&k, name, &[resource.get()]).await?;
            assert_eq!(export(&k, "KeAreApcsDisabled", &[]).await?, 1, "{name}");
            assert_eq!(
                export(&k, "ExIsResourceAcquiredSharedLite", &[resource.get()]).await?,
                1,
                "{name}"
            );
            export(&k, "ExReleaseResourceAndLeaveCriticalRegion", &[resource.get()]).await?;
            assert_eq!(export(&k, "KeAreApcsDisabled", &[]).await?, 0, "{name}");
        }
        Ok(())
    });
}

#[test]
fn an_owner_pointer_is_who_releases() {
    run(&idle(), 1, |k| async move {
        let resource = new(&k).await?;
        let pointer = memory(&k, 16)?.get() | 3;
        acquire(&k, SHARED, resource, true).await?;
        export(&k, "ExSetResourceOwnerPointer", &[resource.get(), pointer]).await?;
        assert_eq!(
            export(&k, "ExIsResourceAcquiredSharedLite", &[resource.get()]).await?,
            0
        );
        let other = beside(&k, "other", move |k| async move {
            export(&k, "ExReleaseResourceForThreadLite", &[resource.get(), pointer])
                .await
                .map(|_| ())
        });
        k.join(other).await?;
        assert!(acquire(&k, EXCLUSIVE, resource, false).await?);
        release(&k, resource).await
    });
}

/// What these calls on a new resource stop with; the second argument is TRUE.
fn calls(routines: &'static [&'static str]) -> BugCheck {
    crash(move |k| async move {
        let resource = new(&k).await?;
        for name in routines {
            export(&k, name, &[resource.get(), 1]).await?;
        }
        Ok(())
    })
}

#[test]
fn misuse_of_a_resource_is_told_by_kind() {
    assert_eq!(calls(&[RELEASE]).code.0, 0xE3);
    assert_eq!(calls(&[SHARED, "ExConvertExclusiveToSharedLite"]).code.0, 0xE3);
    assert_eq!(calls(&[SHARED, EXCLUSIVE]).parameters[0], 0x1000);
    assert_eq!(calls(&["ExInitializeResourceLite"]).parameters[0], 0xD0);
    assert_eq!(
        calls(&["ExDeleteResourceLite", "ExDeleteResourceLite"]).parameters[0],
        0xD1
    );
    assert_eq!(calls(&[SHARED, "ExDeleteResourceLite"]).parameters[0], 0x100B);
    assert_eq!(calls(&["ExDeleteResourceLite", SHARED]).parameters[0], 0x1002);
    assert_eq!(calls(&[EXCLUSIVE]).parameters[0], 0x100A);
}

#[test]
fn a_resource_in_freed_memory_is_told() {
    let bugcheck = crash(|k| async move {
        let pool = export(&k, "ExAllocatePoolWithTag", &[512, 0x100, 0x7453_6554]).await?;
        export(&k, "ExInitializeResourceLite", &[pool + 0x20]).await?;
        export(&k, "ExFreePool", &[pool]).await.map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0xC4, 0xD2));
}

#[test]
fn a_programs_thread_needs_a_critical_region() {
    let bugcheck = crash_in(&idle(), ThreadSpec::user("program"), |k| async move {
        let resource = new(&k).await?;
        export(&k, "KeEnterCriticalRegion", &[]).await?;
        acquire(&k, SHARED, resource, true).await?;
        release(&k, resource).await?;
        export(&k, "KeLeaveCriticalRegion", &[]).await?;
        acquire(&k, SHARED, resource, true).await.map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0xC4, 0x37));
}
