//! What a stretch of a run has cost the driver.

use std::collections::BTreeMap;

use ntsim::{
    ke::Irql,
    mm::Va,
    profile::Slice,
    sched::ActivityKind,
    trace::{Event, Record},
};
use serde::{Deserialize, Serialize};

use crate::names::{Locks, Routines};

/// What was counted: of one request, or of all that a row does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Instructions executed inside the image.
    pub instructions: u64,
    /// Calls of kernel routines.
    pub calls: u64,
    /// Spin locks that the driver acquired. That of an interrupt, which the kernel acquires for a service routine, is not among them.
    pub locks_taken: u64,
    /// Device registers read.
    pub register_reads: u64,
    /// Device registers written.
    pub register_writes: u64,
    /// Calls that give the driver pool, or something that is in pool.
    pub allocations: u64,
    /// The deepest that the driver's routines reached into a stack, bytes.
    pub stack: u64,
    /// The most instructions without a fall below `DISPATCH_LEVEL`.
    pub dispatch_level: u64,
    /// The most instructions without a fall to `DISPATCH_LEVEL` or below.
    pub device_irql: u64,
    /// Of the calls, how many were of which routine.
    pub calls_by_name: BTreeMap<String, u64>,
    /// By lock.
    pub locks: BTreeMap<String, LockCost>,
    /// By the routines that the kernel called.
    pub routines: BTreeMap<String, RoutineCost>,
}

/// What was done under a lock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockCost {
    /// How often the driver acquired it.
    pub taken: u64,
    /// Instructions executed while it was held.
    pub instructions: u64,
}

/// What one of the driver's routines has cost. What it calls through the kernel counts for itself: a `StartIo` for `StartIo`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoutineCost {
    /// How often the kernel called it.
    pub entered: u64,
    /// Instructions.
    pub instructions: u64,
    /// Calls of kernel routines.
    pub calls: u64,
    /// Spin locks acquired.
    pub locks_taken: u64,
    /// Device registers read and written.
    pub register_accesses: u64,
}

/// A part of a run: the slices of guest code, and the trace's events from the first slice on.
#[derive(Clone, Debug, Default)]
pub struct Window {
    /// What ran.
    pub slices: Vec<Slice>,
    /// What happened; the slices' `events_before` count from the first of these.
    pub records: Vec<Record>,
}

/// Who runs: a thread wherever it is, or what has borrowed a processor.
type Runner = (Option<usize>, String);

fn runner(slice: &Slice) -> Runner {
    match slice.activity {
        ActivityKind::Thread(_) => (None, slice.activity.to_string()),
        _ => (Some(slice.processor), slice.activity.to_string()),
    }
}

impl Window {
    /// Puts a part together; `first` is how many events the trace had when it began.
    pub fn new(mut slices: Vec<Slice>, records: &[Record], first: usize) -> Self {
        for slice in &mut slices {
            slice.events_before -= first;
        }
        Self {
            slices,
            records: records[first..].to_vec(),
        }
    }

    /// What happened from the slice at `index` to the next one.
    pub fn events(&self, index: usize) -> impl Iterator<Item = &Event> {
        let begin = self.slices[index].events_before;
        let next = self.slices.get(index + 1);
        let end = next.map_or(self.records.len(), |slice| slice.events_before);
        self.records[begin..end].iter().map(|record| &record.event)
    }

    /// How often each instruction ran.
    pub fn instructions(&self) -> BTreeMap<Va, u64> {
        let mut counts = BTreeMap::new();
        for &pc in self.slices.iter().flat_map(|slice| &slice.executed) {
            *counts.entry(pc).or_default() += 1;
        }
        counts
    }

    /// What it has cost.
    pub fn cost(&self) -> Cost {
        let mut cost = Cost::default();
        let (mut locks, mut routines) = (Locks::default(), Routines::default());
        let mut held: BTreeMap<Runner, usize> = BTreeMap::new();
        let mut device_irql: BTreeMap<Runner, u64> = BTreeMap::new();
        for (index, slice) in self.slices.iter().enumerate() {
            let runner = runner(slice);
            let instructions = slice.executed.len() as u64;
            let before = held.insert(runner.clone(), slice.locks.len());
            let taken = slice.locks.len().saturating_sub(before.unwrap_or(slice.locks.len()));
            let routine = routines.name(slice.label, slice.routine);
            cost.add_slice(slice, &routine, taken as u64);
            for (depth, &lock) in slice.locks.iter().enumerate() {
                let entry = cost.locks.entry(locks.name(lock, slice.label)).or_default();
                entry.instructions += instructions;
                entry.taken += u64::from(depth + taken >= slice.locks.len());
            }
            let here = device_irql.entry(runner).or_default();
            *here = if slice.irql > Irql::DISPATCH {
                *here + instructions
            } else {
                0
            };
            cost.device_irql = cost.device_irql.max(*here);
            for event in self.events(index) {
                cost.add_event(&routine, event);
                locks.learn(event);
                if let Event::Left { label: "ISR", .. } = event {
                    *here = 0;
                }
            }
        }
        for record in &self.records {
            if let Event::Entered { label, routine, .. } = record.event {
                let name = routines.name(label, routine);
                cost.routines.entry(name).or_default().entered += 1;
            }
        }
        cost
    }
}

impl Cost {
    fn add_slice(&mut self, slice: &Slice, routine: &str, taken: u64) {
        let instructions = slice.executed.len() as u64;
        let routine = self.routines.entry(routine.to_owned()).or_default();
        routine.instructions += instructions;
        routine.locks_taken += taken;
        self.instructions += instructions;
        self.locks_taken += taken;
        self.stack = self.stack.max(slice.stack);
        if slice.irql >= Irql::DISPATCH {
            self.dispatch_level = self.dispatch_level.max(slice.raised);
        }
    }

    fn add_event(&mut self, routine: &str, event: &Event) {
        let routine = self.routines.entry(routine.to_owned()).or_default();
        match event {
            Event::Called { routine: name, .. } => {
                routine.calls += 1;
                self.calls += 1;
                *self.calls_by_name.entry((*name).to_owned()).or_default() += 1;
                let allocates = name.starts_with("ExAllocatePool") || name.starts_with("IoAllocate");
                self.allocations += u64::from(allocates);
            }
            Event::RegisterRead { .. } => {
                routine.register_accesses += 1;
                self.register_reads += 1;
            }
            Event::RegisterWritten { .. } => {
                routine.register_accesses += 1;
                self.register_writes += 1;
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
