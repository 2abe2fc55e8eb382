//! How many seeds a test tries.

use std::{collections::BTreeSet, env, ops::RangeInclusive, sync::mpsc, thread};

use ntsim::trace::Digest;

/// Names another number of seeds for the tests that try many: `SEEDS=10000 cargo xtask test`.
const SEEDS: &str = "SEEDS";
/// Names the one seed that those tests try: what a report says after `again:`.
pub(crate) const SEED: &str = "SEED";

/// Seeds from 1 to `usual`, or to what `SEEDS` says; or the one that `SEED` names.
///
/// # Panics
/// When one of them is not a number.
#[must_use]
pub fn up_to(usual: u64) -> RangeInclusive<u64> {
    if let Some(seed) = number(SEED) {
        return seed..=seed;
    }
    1..=number(SEEDS).unwrap_or(usual)
}

fn number(name: &str) -> Option<u64> {
    let text = env::var(name).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{name}={text:?} is not a number")))
}

/// Runs `run` for each seed, on as many threads as there are processors, and hands what each has brought to `take`.
///
/// # Panics
/// When a run does, or the host has no thread.
pub fn each<T: Send>(seeds: RangeInclusive<u64>, run: impl Fn(u64) -> T + Sync, mut take: impl FnMut(T)) {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = mpsc::channel();
    let run = &run;
    // A test's thread has its name, and so have these: a report tells which test it is from.
    let test = thread::current().name().unwrap_or_default().to_owned();
    thread::scope(|scope| {
        for first in 0..workers {
            let (seeds, sender) = (seeds.clone().skip(first).step_by(workers), sender.clone());
            let worker = thread::Builder::new().name(test.clone()).spawn_scoped(scope, move || {
                for seed in seeds {
                    if sender.send(run(seed)).is_err() {
                        break;
                    }
                }
            });
            let _ = worker.expect("the host has a thread");
        }
        drop(sender);
        receiver.into_iter().for_each(&mut take);
    });
}

/// How many runs interleaved differently from one another.
#[derive(Debug, Default)]
pub struct Distinct(BTreeSet<Digest>);

impl Distinct {
    /// Counts a run.
    pub fn add(&mut self, order: Digest) {
        self.0.insert(order);
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }
}
