//! Every interleaving, and every value that the memory model allows a load to return, of the callers of a `Rundown` and of a `SequenceLock`.
//! Loom's checked cells end the test if two callers of a `Rundown` touch the value at a time, one of them writing, or if an access is not ordered after the
//! one before.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering, fence};
use loom::thread::{self, JoinHandle};
use rundown::{Rundown, SequenceLock};

struct Guarded {
    rundown: Rundown,
    value: UnsafeCell<u32>,
}

impl Guarded {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            rundown: Rundown::new(),
            value: UnsafeCell::new(0),
        })
    }

    fn publish(&self, value: u32) -> bool {
        let mine = self.rundown.begin_publish();
        if mine {
            // SAFETY: the rundown says that nobody else touches the value; loom checks that it is true.
            self.value.with_mut(|slot| unsafe { *slot = value });
            self.rundown.finish_publish();
        }
        mine
    }

    fn read(&self) -> Option<u32> {
        let there = self.rundown.enter();
        // SAFETY: as above: nobody writes while this user is inside.
        let value = there.then(|| self.value.with(|slot| unsafe { *slot }));
        self.rundown.leave();
        value
    }

    fn revoke(&self) -> bool {
        let mine = self.rundown.begin_revoke();
        if mine {
            while !self.rundown.is_empty() {
                thread::yield_now();
            }
            // SAFETY: as above.
            self.value.with_mut(|slot| unsafe { *slot = 0 });
            self.rundown.finish_revoke();
        }
        mine
    }
}

/// Calls `f` in a thread of its own.
fn beside<T: 'static>(guarded: &Arc<Guarded>, f: impl FnOnce(&Guarded) -> T + 'static) -> JoinHandle<T> {
    let guarded = guarded.clone();
    thread::spawn(move || f(&guarded))
}

#[test]
fn a_user_gets_the_value_or_nothing_while_it_is_revoked() {
    loom::model(|| {
        let guarded = Guarded::new();
        assert!(guarded.publish(7));
        let user = beside(&guarded, Guarded::read);
        assert!(guarded.revoke());
        assert!(matches!(user.join().unwrap(), None | Some(7)));
        assert_eq!(guarded.read(), None);
    });
}

/// With two users and one who revokes the interleavings are too many; those with up to three preemptions take a second.
#[test]
fn revoke_waits_for_every_user() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let guarded = Guarded::new();
        assert!(guarded.publish(7));
        let users: Vec<_> = (0..2).map(|_| beside(&guarded, Guarded::read)).collect();
        assert!(guarded.revoke());
        for user in users {
            assert!(matches!(user.join().unwrap(), None | Some(7)));
        }
    });
}

#[test]
fn a_user_gets_the_new_value_or_nothing_while_it_is_published() {
    loom::model(|| {
        let guarded = Guarded::new();
        let user = beside(&guarded, Guarded::read);
        assert!(guarded.publish(7));
        assert!(matches!(user.join().unwrap(), None | Some(7)));
        assert_eq!(guarded.read(), Some(7));
    });
}

#[test]
fn two_revoke_and_one_takes_it() {
    loom::model(|| {
        let guarded = Guarded::new();
        assert!(guarded.publish(7));
        let other = beside(&guarded, Guarded::revoke);
        let here = guarded.revoke();
        assert!(here != other.join().unwrap());
    });
}

#[test]
fn a_second_value_never_meets_a_user_of_the_first() {
    loom::model(|| {
        let guarded = Guarded::new();
        assert!(guarded.publish(7));
        let user = beside(&guarded, Guarded::read);
        let publisher = beside(&guarded, |guarded| guarded.publish(8));
        assert!(guarded.revoke() || guarded.revoke());
        publisher.join().unwrap();
        assert!(matches!(user.join().unwrap(), None | Some(7 | 8)));
    });
}

/// Two numbers that are the same after each write.
fn write_both(lock: &SequenceLock<2>) {
    lock.write(|numbers, write| {
        numbers.set(0, write);
        numbers.set(1, write);
    });
}

#[test]
fn numbers_that_are_written_together_are_read_together() {
    loom::model(|| {
        let lock = Arc::new(SequenceLock::<2>::new());
        let writer = {
            let lock = lock.clone();
            thread::spawn(move || write_both(&lock))
        };
        let (first, second, version) = lock.read(|numbers, version| (numbers.get(0), numbers.get(1), version));
        assert_eq!((first, second), (version, version));
        writer.join().unwrap();
        assert_eq!(lock.read(|numbers, _| numbers.get(1)), 1);
    });
}

/// As the doorbell queue and the ISR: the one writes and then looks whether it is wanted, the other says that it is wanted and then looks what was written.
#[test]
fn writer_and_reader_do_not_both_miss_the_other() {
    loom::model(|| {
        let lock = Arc::new(SequenceLock::<2>::new());
        let is_wanted = Arc::new(AtomicBool::new(false));
        let writer = {
            let (lock, is_wanted) = (lock.clone(), is_wanted.clone());
            thread::spawn(move || {
                write_both(&lock);
                is_wanted.load(Ordering::Relaxed)
            })
        };
        is_wanted.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let has_seen = lock.writes() == 1;
        let was_seen = writer.join().unwrap();
        assert!(has_seen || was_seen);
    });
}
