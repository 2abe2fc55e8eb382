//! Threads' priorities: `KeSetPriorityThread`, `KeQueryPriorityThread`, `KeSetBasePriorityThread`, `KeSetIdealProcessorThread`.
//!
//! They are kept and told. The seeded scheduler does not follow them: it tries every order that some machine could have.

use std::collections::BTreeMap;

use super::Irql;
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
    ps,
    sched::ThreadId,
};

/// The base priority of the system process, and of programs.
const NORMAL: i32 = 8;
/// The highest priority of threads that are not real-time ones.
const HIGHEST_VARIABLE: i32 = 15;
/// `HIGH_PRIORITY`.
const HIGHEST: i32 = 31;

#[derive(Debug, Default)]
struct Priorities(BTreeMap<ThreadId, Priority>);

#[derive(Clone, Copy, Debug)]
struct Priority {
    current: i32,
    base_increment: i32,
    ideal_processor: u8,
}

impl Default for Priority {
    fn default() -> Self {
        Self {
            current: NORMAL,
            base_increment: 0,
            ideal_processor: 0,
        }
    }
}

fn with<T>(k: &Kernel, routine: &str, object: Va, work: impl FnOnce(&mut Priority) -> T) -> Outcome<T> {
    let thread = ps::thread::expect(k, routine, object)?;
    let priorities = k.state::<Priorities>();
    let mut priorities = priorities.borrow_mut();
    Ok(work(priorities.0.entry(thread).or_default()))
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let dispatch = Contract::at_most(Irql::DISPATCH);
    ddi.function("KeSetPriorityThread", 2, dispatch, |k, a| {
        let new = a.u32(1).cast_signed().clamp(1, HIGHEST);
        with(k, "KeSetPriorityThread", a.va(0), |known| {
            std::mem::replace(&mut known.current, new)
        })
    });
    ddi.function("KeQueryPriorityThread", 1, Contract::exactly(Irql::PASSIVE), |k, a| {
        with(k, "KeQueryPriorityThread", a.va(0), |known| known.current)
    });
    ddi.function("KeSetBasePriorityThread", 2, dispatch, |k, a| {
        let increment = a.u32(1).cast_signed();
        with(k, "KeSetBasePriorityThread", a.va(0), |known| {
            // A priority does not cross over between the variable and the real-time class.
            known.current = NORMAL.saturating_add(increment).clamp(1, HIGHEST_VARIABLE);
            std::mem::replace(&mut known.base_increment, increment)
        })
    });
    ddi.function("KeSetIdealProcessorThread", 2, dispatch, |k, a| {
        let new = a.u8(1);
        let valid = usize::from(new) < k.config().processors;
        with(k, "KeSetIdealProcessorThread", a.va(0), |known| {
            let before = known.ideal_processor;
            if valid {
                known.ideal_processor = new;
            }
            before
        })
    });
}

#[cfg(test)]
mod tests {
    use crate::machine::testing::script::{export, idle, run};

    #[test]
    fn priorities_are_kept_and_told() {
        run(&idle(), 1, |k| async move {
            let thread = export(&k, "KeGetCurrentThread", &[]).await?;
            assert_eq!(export(&k, "KeQueryPriorityThread", &[thread]).await?, 8);
            assert_eq!(export(&k, "KeSetPriorityThread", &[thread, 16]).await?, 8);
            assert_eq!(export(&k, "KeQueryPriorityThread", &[thread]).await?, 16);
            assert_eq!(export(&k, "KeSetBasePriorityThread", &[thread, 2]).await?, 0);
            assert_eq!(export(&k, "KeQueryPriorityThread", &[thread]).await?, 10);
            assert_eq!(export(&k, "KeSetBasePriorityThread", &[thread, 100]).await?, 2);
            assert_eq!(export(&k, "KeQueryPriorityThread", &[thread]).await?, 15);
            assert_eq!(export(&k, "KeSetIdealProcessorThread", &[thread, 1]).await?, 0);
            assert_eq!(export(&k, "KeSetIdealProcessorThread", &[thread, 7]).await?, 1);
            assert_eq!(export(&k, "KeSetIdealProcessorThread", &[thread, 0]).await?, 1);
            Ok(())
        });
    }
}
