//! The figures that are committed, and what has become worse since.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{
    cost::Cost,
    report::{Figures, Report},
};

/// How much worse a figure may be, in percent.
const ALLOWED: u64 = 2;

/// The figure that routines and functions have a share in.
const INSTRUCTIONS: &str = "instructions";

/// How many functions a regression names.
const NAMED: usize = 5;

/// What a row cost when the baseline was written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// By what is counted.
    figures: BTreeMap<String, u64>,
    /// Instructions by the routine that the kernel called.
    routines: BTreeMap<String, u64>,
    /// Instructions by function as written, inlined or not.
    functions: BTreeMap<String, u64>,
}

/// The committed figures.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The image's file, bytes.
    file: u64,
    rows: BTreeMap<String, Entry>,
}

/// Something that has become worse, or is not in the baseline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regression(String);

impl fmt::Display for Regression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is compared, by name.
fn figures(cost: &Cost) -> [(&'static str, u64); 8] {
    [
        (INSTRUCTIONS, cost.instructions),
        ("DDI calls", cost.calls),
        ("locks", cost.locks_taken),
        ("register accesses", cost.register_reads + cost.register_writes),
        ("allocations", cost.allocations),
        ("stack bytes", cost.stack),
        ("instructions at DISPATCH_LEVEL", cost.dispatch_level),
        ("instructions at device IRQL", cost.device_irql),
    ]
}

impl Entry {
    fn of(row: &Figures) -> Self {
        let owned = |(name, value): (&str, u64)| (name.to_owned(), value);
        let routines = row.image.routines.iter();
        Self {
            figures: figures(&row.image).map(owned).into(),
            routines: routines
                .map(|(name, routine)| (name.clone(), routine.instructions))
                .collect(),
            functions: row.functions.clone(),
        }
    }
}

impl Baseline {
    /// What was measured, to be committed.
    pub fn of(report: &Report) -> Self {
        let rows = report.rows.iter();
        Self {
            file: report.image.file,
            rows: rows.map(|row| (row.name.clone(), Entry::of(row))).collect(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or is no baseline.
    pub fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text).with_context(|| format!("{} is no baseline", path.display()))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// How many rows take fewer instructions: they call for the baseline to be written anew.
    pub fn better(&self, report: &Report) -> usize {
        let better = report.rows.iter().filter(|row| {
            let before = self
                .rows
                .get(&row.name)
                .and_then(|entry| entry.figures.get(INSTRUCTIONS));
            before.is_some_and(|&before| is_worse(row.image.instructions, before))
        });
        better.count()
    }

    /// What has become worse.
    pub fn regressions(&self, report: &Report) -> Vec<Regression> {
        let mut found = Vec::new();
        if is_worse(self.file, report.image.file) {
            found.push(Regression(change("image: bytes", self.file, report.image.file)));
        }
        for row in &report.rows {
            let now = Entry::of(row);
            match self.rows.get(&row.name) {
                Some(before) => found.extend(before.regressions(&row.name, &now)),
                None => found.push(Regression(format!("{}: is not in the baseline", row.name))),
            }
        }
        found
    }
}

impl Entry {
    fn regressions(&self, row: &str, now: &Self) -> Vec<Regression> {
        let mut found = Vec::new();
        for (name, &value) in &now.figures {
            let before = self.figures.get(name).copied().unwrap_or_default();
            if is_worse(before, value) {
                let mut text = change(&format!("{row}: {name}"), before, value);
                if name == INSTRUCTIONS {
                    text += &increases("routines", &self.routines, &now.routines);
                    text += &increases("functions", &self.functions, &now.functions);
                }
                found.push(Regression(text));
            }
        }
        found
    }
}

fn is_worse(before: u64, now: u64) -> bool {
    now * 100 > before * (100 + ALLOWED)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn change(what: &str, before: u64, now: u64) -> String {
    let percent = (now as f64 / before as f64 - 1.0) * 100.0;
    if before == 0 {
        return format!("{what} 0 -> {now}");
    }
    format!("{what} {before} -> {now} (+{percent:.1} %)")
}

/// Where it has increased most.
fn increases(what: &str, before: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>) -> String {
    let mut grown: Vec<(u64, &str)> = now
        .iter()
        .map(|(name, &value)| {
            let before = before.get(name).copied().unwrap_or_default();
            (value.saturating_sub(before), name.as_str())
        })
        .filter(|&(by, _)| by > 0)
        .collect();
    grown.sort_by_key(|&(by, _)| std::cmp::Reverse(by));
    let lines = grown
        .iter()
        .take(NAMED)
        .map(|(by, name)| format!("\n    {what}: +{by} {name}"));
    lines.collect()
}

#[cfg(test)]
mod tests;
