//! How many seeds a test tries.

use std::{collections::BTreeSet, env, ops::RangeInclusive, sync::mpsc, thread};

use ntsim::trace::Digest;

/// Names another number of seeds for the tests that try many: `SEEDS=10000 cargo xtask test`.
const SEEDS: &str = "SEEDS";

/// Seeds from 1 to `usual`, or to what `SEEDS` says.
///
/// # Panics
/// When `SEEDS` is not a number.
#[must_use]
pub fn up_to(usual: u64) -> RangeInclusive<u64> {
    let last = env::var(SEEDS).map_or(usual, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{SEEDS}={text:?} is not a number of seeds"))
    });
    1..=last
}

/// Runs `run` for each seed, on as many threads as there are processors, and hands what each has brought to `take`.
///
/// # Panics
/// When a run does.
pub fn each<T: Send>(seeds: RangeInclusive<u64>, run: impl Fn(u64) -> T + Sync, mut take: impl FnMut(T)) {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let (sender, receiver) = mpsc::channel();
    let run = &run;
    thread::scope(|scope| {
        for first in 0..workers {
            let (seeds, sender) = (seeds.clone().skip(first).step_by(workers), sender.clone());
            scope.spawn(move || {
                for seed in seeds {
                    if sender.send(run(seed)).is_err() {
                        break;
                    }
                }
            });
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
