//! Lock order, as Driver Verifier's deadlock detection watches it.
//!
//! Whoever acquires a lock while it holds another adds an arrow between the two to a graph. An arrow that closes a circle is an order in
//! which a deadlock is possible, whether or not this run has one. A lock that was only tried for is no arrow's end: nobody waits for it.
//!
//! Driver Verifier follows threads. What DPCs acquire is judged by a rule of its own, which is not on by default: a DPC that deadlocks with a
//! thread is found as such in the runs where the two meet.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    kernel::{Kernel, Site},
    mm::Va,
    sched::ActivityKind,
};

/// Driver Verifier's code for a lock hierarchy violation.
const ORDER_VIOLATED: u64 = 0x1001;

/// What was acquired while what was held.
#[derive(Debug, Default)]
struct Graph {
    arrows: BTreeMap<Va, BTreeMap<Va, Arrow>>,
    held: BTreeMap<Holder, Vec<Held>>,
}

/// Who holds locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Holder {
    Thread(usize),
    Dpc(usize),
}

#[derive(Clone, Debug)]
struct Held {
    lock: Va,
    /// Where the call that acquired it returns to.
    acquired_at: Va,
}

/// Where the two locks of an arrow were acquired.
#[derive(Clone, Debug)]
struct Arrow {
    by: Holder,
    first: Va,
    second: Option<Site>,
}

impl Graph {
    /// The locks of a path from `from` to `to`, both included.
    fn path(&self, from: Va, to: Va) -> Option<Vec<Va>> {
        let mut came_from: BTreeMap<Va, Va> = BTreeMap::new();
        let mut open = vec![from];
        while let Some(lock) = open.pop() {
            if lock == to {
                let mut path = vec![to];
                let mut at = to;
                while at != from {
                    at = came_from[&at];
                    path.push(at);
                }
                path.reverse();
                return Some(path);
            }
            for &next in self.arrows.get(&lock).into_iter().flat_map(BTreeMap::keys) {
                if next != from && !came_from.contains_key(&next) {
                    came_from.insert(next, lock);
                    open.push(next);
                }
            }
        }
        None
    }

    fn forget(&mut self, lock: Va) {
        self.arrows.remove(&lock);
        for arrows in self.arrows.values_mut() {
            arrows.remove(&lock);
        }
    }
}

/// Who runs; none for a service routine, whose locks are a matter of IRQLs.
fn holder(k: &Kernel) -> Option<Holder> {
    match k.activity()? {
        ActivityKind::Thread(thread) => Some(Holder::Thread(thread.0)),
        ActivityKind::Dpc => Some(Holder::Dpc(k.processor())),
        ActivityKind::Ipi | ActivityKind::Interrupt { .. } => None,
    }
}

/// A lock is about to be acquired, by whoever waits for it as long as it takes.
///
/// # Errors
/// When it is acquired in another order than before.
pub(crate) fn acquires(k: &Kernel, lock: Va) -> Outcome<()> {
    let Some(holder) = holder(k) else {
        return Ok(());
    };
    let graph = k.state::<Graph>();
    let held = graph.borrow().held.get(&holder).cloned().unwrap_or_default();
    if held.iter().any(|held| held.lock == lock) {
        return Ok(());
    }
    for held in &held {
        let circle = {
            let mut graph = graph.borrow_mut();
            let arrows = graph.arrows.entry(held.lock).or_default();
            if arrows.contains_key(&lock) {
                continue;
            }
            let arrow = Arrow {
                by: holder,
                first: held.acquired_at,
                second: k.site(),
            };
            arrows.insert(lock, arrow);
            graph.path(lock, held.lock)
        };
        if let Some(path) = circle {
            let bugcheck = violated(&graph.borrow(), holder, held, &path);
            k.verify(bugcheck)?;
        }
    }
    note_held(k, holder, lock);
    Ok(())
}

/// A lock that was tried for is held now.
pub(crate) fn tried(k: &Kernel, lock: Va) {
    if let Some(holder) = holder(k) {
        note_held(k, holder, lock);
    }
}

fn note_held(k: &Kernel, holder: Holder, lock: Va) {
    let acquired_at = k.caller();
    let graph = k.state::<Graph>();
    let mut graph = graph.borrow_mut();
    graph.held.entry(holder).or_default().push(Held { lock, acquired_at });
}

/// A lock is released. Others may wait for it meanwhile, and have it among theirs already: the one that releases it is asked first.
pub(crate) fn releases(k: &Kernel, lock: Va) {
    let graph = k.state::<Graph>();
    let held = &mut graph.borrow_mut().held;
    let own = holder(k).filter(|holder| held.get(holder).is_some_and(|held| has(held, lock)));
    let holder = own.or_else(|| {
        let mut all = held.iter();
        all.find(|(_, held)| has(held, lock)).map(|(&holder, _)| holder)
    });
    let Some(held) = holder.and_then(|holder| held.get_mut(&holder)) else {
        return;
    };
    if let Some(index) = held.iter().rposition(|held| held.lock == lock) {
        held.remove(index);
    }
}

fn has(held: &[Held], lock: Va) -> bool {
    held.iter().any(|held| held.lock == lock)
}

/// The lock is initialized: what was at its place before was another lock.
pub(crate) fn initialized(k: &Kernel, lock: Va) {
    k.state::<Graph>().borrow_mut().forget(lock);
}

/// The memory of locks goes.
pub(crate) fn freed(k: &Kernel, start: Va, length: u64) {
    let graph = k.state::<Graph>();
    let mut graph = graph.borrow_mut();
    let gone: BTreeSet<Va> = graph
        .arrows
        .iter()
        .flat_map(|(&first, arrows)| std::iter::once(first).chain(arrows.keys().copied()))
        .filter(|&lock| lock - start < length)
        .collect();
    for lock in gone {
        graph.forget(lock);
    }
}

fn violated(graph: &Graph, holder: Holder, held: &Held, path: &[Va]) -> BugCheck {
    let lock = path[0];
    let arrows: Vec<&Arrow> = path
        .windows(2)
        .filter_map(|pair| graph.arrows.get(&pair[0])?.get(&pair[1]))
        .collect();
    let in_dpc = matches!(holder, Holder::Dpc(_)) || arrows.iter().any(|arrow| matches!(arrow.by, Holder::Dpc(_)));
    let rule = if in_dpc { "lock-order-in-dpc" } else { "lock-order" };
    let order: Vec<String> = path.iter().map(Va::to_string).collect();
    let mut bugcheck = BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [ORDER_VIOLATED, lock.get(), 0, 0],
        rule,
        format!(
            "the lock at {lock} is acquired while the one at {}, acquired at {}, is held; but they were acquired in the order {} \
             before: a deadlock is possible",
            held.lock,
            held.acquired_at,
            order.join(", then ")
        ),
    );
    for (pair, arrow) in path.windows(2).zip(arrows) {
        let what = format!(
            "{} was acquired, with {} held since {}, by",
            pair[1], pair[0], arrow.first
        );
        let stack = arrow.second.as_ref().map_or(&[][..], Site::stack);
        bugcheck = bugcheck.with_stack(what, stack);
    }
    bugcheck
}

#[cfg(test)]
mod tests;
