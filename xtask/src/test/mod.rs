//! `cargo xtask test`: everything that must hold, one line per step.

mod dependencies;
mod packages;
mod planted_panic;
mod steps;
mod ui;

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::workspace::Workspace;

/// Runs every step that has `filter` in its name, those after a failed one too.
///
/// # Errors
///
/// When a step fails, or there is none of that name.
pub fn test(workspace: &Workspace, filter: &str) -> Result<()> {
    let mut passed = 0;
    let mut failures = Vec::new();
    for step in steps::ALL.iter().filter(|step| step.name.contains(filter)) {
        print!("{:<42}", step.name);
        io::stdout().flush()?;
        let start = Instant::now();
        let result = (step.run)(workspace);
        let took = seconds(start.elapsed());
        match result {
            Ok(detail) => {
                println!("ok     {took}  {detail}");
                passed += 1;
            }
            Err(error) => {
                println!("FAILED {took}");
                println!("{error:#}\n");
                failures.push(step.name);
            }
        }
    }
    println!("{passed} passed, {} failed", failures.len());
    if !failures.is_empty() {
        bail!("failed: {}", failures.join(", "));
    }
    if passed == 0 {
        bail!("no step has {filter:?} in its name");
    }
    Ok(())
}

fn seconds(duration: Duration) -> String {
    format!("{:>6.1} s", duration.as_secs_f64())
}
