//! Waits for several objects, of all types.

use std::{cell::Cell, rc::Rc};

use ntlayout::{kevent, ksemaphore, kwait_block};

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::script::{beside, crash, export, holding, idle, memory, run},
    mm::Va,
    status::NtStatus,
};

const NOTIFICATION: u64 = 0;
const SYNCHRONIZATION: u64 = 1;
const WAIT_ALL: u64 = 0;
const WAIT_ANY: u64 = 1;

async fn new_event(k: &Kernel, kind: u64) -> Outcome<Va> {
    let event = memory(k, kevent::SIZE)?;
    export(k, "KeInitializeEvent", &[event.get(), kind, 0]).await?;
    Ok(event)
}

/// `KeWaitForMultipleObjects` with a timeout of `units` (null when none) and no wait blocks.
async fn wait_for(k: &Kernel, objects: &[Va], kind: u64, units: Option<i64>) -> Outcome<NtStatus> {
    let array = memory(k, objects.len() * 8)?;
    for (index, &object) in objects.iter().enumerate() {
        k.write(array + index * 8, object)?;
    }
    let timeout = match units {
        Some(units) => holding(k, units.cast_unsigned())?,
        None => Va::NULL,
    };
    let arguments = [objects.len() as u64, array.get(), kind, 0, 0, 0, timeout.get(), 0];
    let status = export(k, "KeWaitForMultipleObjects", &arguments).await?;
    Ok(NtStatus(u32::try_from(status).unwrap()))
}

#[test]
fn a_wait_for_any_says_which_object_ended_it_and_takes_that_one_only() {
    run(&idle(), 1, |k| async move {
        let (a, b) = (
            new_event(&k, SYNCHRONIZATION).await?,
            new_event(&k, SYNCHRONIZATION).await?,
        );
        export(&k, "KeSetEvent", &[a.get(), 0, 0]).await?;
        export(&k, "KeSetEvent", &[b.get(), 0, 0]).await?;
        assert_eq!(wait_for(&k, &[a, b], WAIT_ANY, Some(0)).await?, NtStatus(0));
        assert_eq!(wait_for(&k, &[a, b], WAIT_ANY, Some(0)).await?, NtStatus(1));
        assert_eq!(wait_for(&k, &[a, b], WAIT_ANY, Some(0)).await?, NtStatus::TIMEOUT);
        Ok(())
    });
}

#[test]
fn a_wait_for_all_takes_nothing_until_it_can_take_everything() {
    run(&idle(), 1, |k| async move {
        let (a, b) = (
            new_event(&k, SYNCHRONIZATION).await?,
            new_event(&k, SYNCHRONIZATION).await?,
        );
        export(&k, "KeSetEvent", &[a.get(), 0, 0]).await?;
        assert_eq!(wait_for(&k, &[a, b], WAIT_ALL, Some(-10)).await?, NtStatus::TIMEOUT);
        assert_eq!(export(&k, "KeReadStateEvent", &[a.get()]).await?, 1);
        let setter = beside(&k, "setter", move |k| async move {
            k.delay(5000).await?;
            export(&k, "KeSetEvent", &[b.get(), 0, 0]).await.map(|_| ())
        });
        assert_eq!(wait_for(&k, &[a, b], WAIT_ALL, None).await?, NtStatus::SUCCESS);
        assert_eq!(export(&k, "KeReadStateEvent", &[a.get()]).await?, 0);
        assert_eq!(export(&k, "KeReadStateEvent", &[b.get()]).await?, 0);
        k.join(setter).await
    });
}

#[test]
fn a_thread_object_is_signalled_when_the_thread_has_ended() {
    for seed in 0..20 {
        run(&idle(), seed, |k| async move {
            let ended = Rc::new(Cell::new(false));
            let mark = ended.clone();
            let thread = beside(&k, "worker", move |k| async move {
                k.delay(3000).await?;
                mark.set(true);
                Ok(())
            });
            let object = k.thread_object(thread);
            assert_eq!(wait_for(&k, &[object], WAIT_ANY, Some(0)).await?, NtStatus::TIMEOUT);
            assert_eq!(wait_for(&k, &[object], WAIT_ANY, None).await?, NtStatus::SUCCESS);
            assert!(ended.get());
            assert_eq!(
                wait_for(&k, &[object], WAIT_ANY, Some(0)).await?,
                NtStatus::SUCCESS,
                "it stays so"
            );
            Ok(())
        });
    }
}

#[test]
fn a_semaphore_lets_as_many_threads_in_as_it_counts() {
    for seed in 0..20 {
        run(&idle(), seed, |k| async move {
            let semaphore = memory(&k, ksemaphore::SIZE)?;
            export(&k, "KeInitializeSemaphore", &[semaphore.get(), 2, 3]).await?;
            assert_eq!(export(&k, "KeReadStateSemaphore", &[semaphore.get()]).await?, 2);
            let inside = Rc::new(Cell::new(0));
            let mut threads = Vec::new();
            for _ in 0..4 {
                let inside = inside.clone();
                threads.push(beside(&k, "user", move |k| async move {
                    export(&k, "KeWaitForSingleObject", &[semaphore.get(), 0, 0, 0, 0]).await?;
                    inside.set(inside.get() + 1);
                    assert!(inside.get() <= 2, "three are inside");
                    k.delay(100).await?;
                    inside.set(inside.get() - 1);
                    export(&k, "KeReleaseSemaphore", &[semaphore.get(), 0, 1, 0])
                        .await
                        .map(|_| ())
                }));
            }
            for thread in threads {
                k.join(thread).await?;
            }
            assert_eq!(export(&k, "KeReleaseSemaphore", &[semaphore.get(), 0, 1, 0]).await?, 2);
            assert_eq!(export(&k, "KeReadStateSemaphore", &[semaphore.get()]).await?, 3);
            Ok(())
        });
    }
}

#[test]
fn a_semaphore_beyond_its_limit_raises_an_exception() {
    let bugcheck = crash(|k| async move {
        let semaphore = memory(&k, ksemaphore::SIZE)?;
        export(&k, "KeInitializeSemaphore", &[semaphore.get(), 1, 1]).await?;
        export(&k, "KeReleaseSemaphore", &[semaphore.get(), 0, 1, 0])
            .await
            .map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0x1E, 0xC000_0047));
}

#[test]
fn a_pulse_releases_who_waits_and_nobody_later() {
    run(&idle(), 1, |k| async move {
        let event = new_event(&k, NOTIFICATION).await?;
        let released = Rc::new(Cell::new(0));
        let mut threads = Vec::new();
        for _ in 0..2 {
            let released = released.clone();
            threads.push(beside(&k, "waiter", move |k| async move {
                export(&k, "KeWaitForSingleObject", &[event.get(), 0, 0, 0, 0]).await?;
                released.set(released.get() + 1);
                Ok(())
            }));
        }
        k.delay(1_000_000).await?;
        assert_eq!(export(&k, "KePulseEvent", &[event.get(), 0, 0]).await?, 0);
        for thread in threads {
            k.join(thread).await?;
        }
        assert_eq!(released.get(), 2);
        assert_eq!(export(&k, "KeReadStateEvent", &[event.get()]).await?, 0);
        Ok(())
    });
}

#[test]
fn more_than_three_objects_need_wait_blocks() {
    let bugcheck = crash(|k| async move {
        let event = new_event(&k, NOTIFICATION).await?;
        wait_for(&k, &[event; 4], WAIT_ANY, Some(0)).await.map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.rule), (0xC, "too-many-wait-objects"));
    run(&idle(), 1, |k| async move {
        let (events, blocks) = (memory(&k, 32)?, memory(&k, 4 * kwait_block::SIZE)?);
        let mut last = Va::NULL;
        for index in 0..4_u64 {
            last = new_event(&k, NOTIFICATION).await?;
            k.write(events + index * 8, last)?;
        }
        export(&k, "KeSetEvent", &[last.get(), 0, 0]).await?;
        let arguments = [4, events.get(), WAIT_ANY, 0, 0, 0, 0, blocks.get()];
        assert_eq!(export(&k, "KeWaitForMultipleObjects", &arguments).await?, 3);
        assert_eq!(
            k.read::<Va>(blocks + 3 * kwait_block::SIZE + kwait_block::OBJECT)?,
            last
        );
        Ok(())
    });
}

#[test]
fn a_wait_for_several_objects_at_dispatch_level_may_only_look() {
    let bugcheck = crash(|k| async move {
        let event = new_event(&k, NOTIFICATION).await?;
        export(&k, "KfRaiseIrql", &[2]).await?;
        assert_eq!(wait_for(&k, &[event], WAIT_ANY, Some(0)).await?, NtStatus::TIMEOUT);
        wait_for(&k, &[event], WAIT_ANY, None).await.map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0xC4, 0x121));
}

#[test]
fn a_delay_lasts_as_long_as_it_is_told() {
    run(&idle(), 1, |k| async move {
        let before = k.now();
        let interval = holding(&k, (-50_i64).cast_unsigned())?;
        assert_eq!(export(&k, "KeDelayExecutionThread", &[0, 1, interval.get()]).await?, 0);
        assert!(k.now() >= before + 5000);
        Ok(())
    });
}

#[test]
fn a_wait_that_is_to_last_for_ever_is_a_hang() {
    let rule = crate::ddi::testing::bugcheck_of(|k| async move {
        let event = new_event(&k, NOTIFICATION).await?;
        wait_for(&k, &[event], WAIT_ANY, Some(i64::MIN)).await.map(|_| ())
    });
    assert_eq!(rule.2, "hang");
}
