//! Device queues, driven by host flows.

use super::*;
use crate::{
    machine::{Machine, testing::Program},
    sched::{RunEnd, ThreadSpec},
};

/// Runs `script` at `DISPATCH_LEVEL` with a device queue that is idle.
fn with_queue<F>(script: impl FnOnce(Kernel, Va) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = Program::default().function(|_| {}).machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        let queue = Program::data();
        initialize(&k, queue)?;
        let old = k.raise_irql(Irql::DISPATCH);
        script(k.clone(), queue).await?;
        k.lower_irql(old);
        Ok(())
    });
    let _: RunEnd = machine.run();
    machine
}

fn entries<const N: usize>(k: &Kernel) -> Outcome<[Va; N]> {
    let mut entries = [Va::NULL; N];
    for entry in &mut entries {
        *entry = k.allocate_system(entry_layout::SIZE, "KDEVICE_QUEUE_ENTRY")?;
    }
    Ok(entries)
}

fn rule_of(machine: &Machine) -> Option<&'static str> {
    machine.kernel().crash().map(|crash| crash.bugcheck.rule)
}

#[test]
fn an_idle_queue_is_made_busy_by_the_first_entry_and_idle_by_the_first_null() {
    let machine = with_queue(|k, queue| async move {
        let [first, second, third] = entries(&k)?;
        assert!(!insert(&k, queue, first, None).await?, "the first is not queued");
        assert!(insert(&k, queue, second, None).await?);
        assert_eq!(remove(&k, queue, None).await?, second);
        assert!(insert(&k, queue, third, None).await?, "still busy");
        assert_eq!(remove(&k, queue, None).await?, third);
        assert_eq!(remove(&k, queue, None).await?, Va::NULL);
        assert_eq!(remove_if_busy(&k, queue, 0).await?, Va::NULL);
        assert!(!insert(&k, queue, second, None).await?, "idle again");
        Ok(())
    });
    assert_eq!(rule_of(&machine), None);
}

#[test]
fn keys_sort_the_queue_and_pick_from_it() {
    let machine = with_queue(|k, queue| async move {
        let [busy, three, one, other_three, five] = entries(&k)?;
        insert(&k, queue, busy, None).await?;
        for (entry, key) in [(three, 3), (one, 1), (other_three, 3), (five, 5)] {
            assert!(insert(&k, queue, entry, Some(key)).await?);
        }
        assert_eq!(remove(&k, queue, Some(2)).await?, three, "the first that is not less");
        assert_eq!(
            remove(&k, queue, Some(6)).await?,
            one,
            "none is that great: the first of all"
        );
        assert_eq!(remove_if_busy(&k, queue, 3).await?, other_three);
        assert_eq!(remove(&k, queue, None).await?, five);
        Ok(())
    });
    assert_eq!(rule_of(&machine), None);
}

#[test]
fn one_entry_is_taken_out_once() {
    let machine = with_queue(|k, queue| async move {
        let [busy, first, second] = entries(&k)?;
        for entry in [busy, first, second] {
            insert(&k, queue, entry, None).await?;
        }
        assert!(remove_entry(&k, queue, first).await?);
        assert!(!remove_entry(&k, queue, first).await?);
        assert!(
            !remove_entry(&k, queue, busy).await?,
            "it is being processed, not queued"
        );
        assert_eq!(remove(&k, queue, None).await?, second);
        Ok(())
    });
    assert_eq!(rule_of(&machine), None);
}

#[test]
fn the_next_entry_of_an_idle_queue_must_not_be_asked_for() {
    let machine = with_queue(|k, queue| async move { remove(&k, queue, None).await.map(|_| ()) });
    assert_eq!(rule_of(&machine), Some("device-queue-misused"));
}

#[test]
fn an_entry_is_inserted_once() {
    let machine = with_queue(|k, queue| async move {
        let [busy, entry] = entries(&k)?;
        for entry in [busy, entry, entry] {
            insert(&k, queue, entry, None).await?;
        }
        Ok(())
    });
    assert_eq!(rule_of(&machine), Some("device-queue-misused"));
}

#[test]
fn a_queued_entry_that_was_overwritten_is_found() {
    let machine = with_queue(|k, queue| async move {
        let [busy, entry] = entries(&k)?;
        insert(&k, queue, busy, None).await?;
        insert(&k, queue, entry, None).await?;
        k.write(entry + list_entry::FLINK, Program::data() + 0x80_u64)?;
        remove_entry(&k, queue, entry).await.map(|_| ())
    });
    assert_eq!(rule_of(&machine), Some("device-queue-corrupt"));
}

#[test]
fn memory_with_a_queued_entry_must_not_be_freed() {
    let machine = with_queue(|k, queue| async move {
        let [busy, entry] = entries(&k)?;
        insert(&k, queue, busy, None).await?;
        insert(&k, queue, entry, None).await?;
        crate::ex::pool::check_idle(&k, entry, entry_layout::SIZE as u64)
    });
    assert_eq!(rule_of(&machine), Some("queued-entry-freed"));
}

/// What is written before an entry is inserted is there for whoever takes it out, on any processor: the queue's lock is enough.
#[test]
fn an_entry_brings_along_what_was_written_before() {
    use iced_x86::code_asm::{dword_ptr, rax};

    let record = Program::data().get() + 0x80;
    for seed in 0..20 {
        let machine = Program::default()
            .function(move |f| {
                f.load(rax, record);
                f.asm.inc(dword_ptr(rax)).unwrap();
            })
            .machine(seed);
        let touch = Program::address(0);
        machine.spawn(ThreadSpec::system("first"), move |k| async move {
            let queue = Program::data();
            initialize(&k, queue)?;
            let [busy, entry] = entries(&k)?;
            insert(&k, queue, busy, None).await?;
            k.spawn(ThreadSpec::system("second"), move |k| async move {
                while remove_if_busy(&k, queue, 0).await?.is_null() {
                    insert(&k, queue, busy, None).await?;
                    k.delay(10).await?;
                }
                k.call(touch, &[]).await
            });
            k.call(touch, &[]).await?;
            insert(&k, queue, entry, None).await.map(|_| ())
        });
        assert_eq!(machine.run(), RunEnd::Idle, "{:?}", rule_of(&machine));
        let value: u32 = machine.kernel().read(Va(record)).unwrap();
        assert_eq!(value, 2);
    }
}
