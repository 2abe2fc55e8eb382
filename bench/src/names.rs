//! What the routines and the locks of a row are called: their addresses say nothing to a reader, and differ between images.

use std::collections::BTreeMap;

use ntsim::{mm::Va, trace::Event};

/// Names for routines: what the kernel called them as, with a number from the second one on that it called so.
#[derive(Debug, Default)]
pub struct Routines {
    known: BTreeMap<&'static str, Vec<Va>>,
}

impl Routines {
    /// The name of the routine at `address` that the kernel called as `label`.
    pub fn name(&mut self, label: &'static str, address: Va) -> String {
        let known = self.known.entry(label).or_default();
        let index = known.iter().position(|&it| it == address).unwrap_or_else(|| {
            known.push(address);
            known.len() - 1
        });
        match index {
            0 => label.to_owned(),
            _ => format!("{label} {}", index + 1),
        }
    }
}

/// Names for locks, by what acquired them first.
#[derive(Debug, Default)]
pub struct Locks {
    known: BTreeMap<Va, String>,
    /// The kernel routine that was called last.
    called: Option<&'static str>,
    others: u8,
}

impl Locks {
    /// Takes in what happened: the next lock that is new was acquired by it.
    pub fn learn(&mut self, event: &Event) {
        if let Event::Called { routine, .. } = event {
            self.called = Some(routine);
        }
    }

    /// The name of a lock that the routine `label` holds: the same for the same address.
    pub fn name(&mut self, lock: Va, label: &str) -> String {
        if let Some(name) = self.known.get(&lock) {
            return name.clone();
        }
        let name = match (label, self.called) {
            ("ISR" | "SynchCritSection", _) | (_, Some("KeAcquireInterruptSpinLock")) => {
                "interrupt spin lock".to_owned()
            }
            (_, Some("IoAcquireCancelSpinLock")) => "system cancel lock".to_owned(),
            _ => {
                self.others += 1;
                format!("spin lock {}", self.others)
            }
        };
        self.known.insert(lock, name.clone());
        name
    }
}
