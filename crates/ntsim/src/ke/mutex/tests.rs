//! Mutexes.

use std::{cell::Cell, rc::Rc};

use ntlayout::kmutant;

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::script::{beside, crash, export, idle, memory, run},
    mm::Va,
    sched::RunEnd,
    sched::ThreadSpec,
};

async fn new(k: &Kernel) -> Outcome<Va> {
    let mutex = memory(k, kmutant::SIZE)?;
    export(k, "KeInitializeMutex", &[mutex.get(), 0]).await?;
    Ok(mutex)
}

async fn acquire(k: &Kernel, mutex: Va) -> Outcome<u64> {
    export(k, "KeWaitForMutexObject", &[mutex.get(), 0, 0, 0, 0]).await
}

async fn release(k: &Kernel, mutex: Va) -> Outcome<u64> {
    export(k, "KeReleaseMutex", &[mutex.get(), 0]).await
}

#[test]
fn a_mutex_is_recursive_and_disables_normal_apcs_while_it_is_owned() {
    run(&idle(), 1, |k| async move {
        let mutex = new(&k).await?;
        assert_eq!(export(&k, "KeReadStateMutex", &[mutex.get()]).await?, 1);
        assert_eq!(export(&k, "KeAreApcsDisabled", &[]).await?, 0);
        acquire(&k, mutex).await?;
        acquire(&k, mutex).await?;
        assert_eq!(export(&k, "KeAreApcsDisabled", &[]).await?, 1);
        let state = export(&k, "KeReadStateMutex", &[mutex.get()]).await?;
        assert_eq!(state, u64::from((-1_i32).cast_unsigned()));
        assert_eq!(release(&k, mutex).await?, u64::from((-1_i32).cast_unsigned()));
        assert_eq!(release(&k, mutex).await?, 0, "it is free now");
        assert_eq!(export(&k, "KeAreApcsDisabled", &[]).await?, 0);
        Ok(())
    });
}

#[test]
fn a_mutex_excludes_other_threads_and_orders_what_they_do() {
    for seed in 0..20 {
        run(&idle(), seed, |k| async move {
            let mutex = new(&k).await?;
            let inside = Rc::new(Cell::new(false));
            let mut threads = Vec::new();
            for _ in 0..3 {
                let inside = inside.clone();
                threads.push(beside(&k, "contender", move |k| async move {
                    acquire(&k, mutex).await?;
                    assert!(!inside.replace(true), "two are inside");
                    k.delay(100).await?;
                    inside.set(false);
                    release(&k, mutex).await.map(|_| ())
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
fn a_mutex_of_another_thread_cannot_be_released() {
    let bugcheck = crash(|k| async move {
        let mutex = new(&k).await?;
        beside(&k, "owner", move |k| async move {
            acquire(&k, mutex).await?;
            k.delay(1_000_000).await
        });
        k.delay(500_000).await?;
        release(&k, mutex).await.map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.parameters[0]), (0x1E, 0xC000_0046));
    assert!(
        bugcheck.message.contains("thread owner owns it"),
        "{}",
        bugcheck.message
    );
}

#[test]
fn a_thread_must_not_end_while_it_owns_a_mutex() {
    let bugcheck = crash(|k| async move {
        let mutex = new(&k).await?;
        acquire(&k, mutex).await.map(|_| ())
    });
    assert_eq!((bugcheck.code.0, bugcheck.rule), (0x4000_008A, "mutex-held-at-end"));
}

#[test]
fn a_hang_names_the_owner_of_the_mutex_that_is_waited_for() {
    let machine = idle().machine(1);
    machine.spawn(ThreadSpec::system("owner"), |k| async move {
        let mutex = new(&k).await?;
        acquire(&k, mutex).await?;
        beside(
            &k,
            "second",
            move |k| async move { acquire(&k, mutex).await.map(|_| ()) },
        );
        k.block("something that never comes", None).await.map(|_| ())
    });
    assert_eq!(machine.run(), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.rule, "hang");
    let message = &crash.bugcheck.message;
    assert!(
        message.contains("thread second waits for the mutex at") && message.contains("which thread owner owns"),
        "{message}"
    );
}

#[test]
fn mutexes_take_part_in_the_order_of_locks() {
    let bugcheck = crash(|k| async move {
        let locks = [new(&k).await?, new(&k).await?];
        for order in [[0, 1], [1, 0]] {
            for lock in order {
                acquire(&k, locks[lock]).await?;
            }
            for lock in order {
                release(&k, locks[lock]).await?;
            }
        }
        Ok(())
    });
    assert_eq!(
        (bugcheck.code.0, bugcheck.parameters[0], bugcheck.rule),
        (0xC4, 0x1001, "lock-order")
    );
}
