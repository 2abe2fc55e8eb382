//! What a request costs the driver, counted on ntsim: instructions, calls of kernel routines, locks, stack.
//!
//! Nothing is timed. A run is a function of the image, so two runs give the same figures.

mod baseline;
mod cost;
mod functions;
mod growth;
mod images;
mod names;
mod report;
mod requests;
mod rig;
mod rows;
mod size;
mod table;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result, bail};
use clap::Parser;

use crate::{baseline::Baseline, report::Report, rows::Row};

/// Counts what requests cost a driver of the edu device.
#[derive(Parser)]
struct Arguments {
    /// The driver's image, its PDB beside it.
    #[arg(long)]
    image: PathBuf,
    /// Another driver with the same interface, to compare with.
    #[arg(long)]
    against: Option<PathBuf>,
    /// Only the rows that have this in their names.
    #[arg(long)]
    row: Option<String>,
    /// Print a JSON document instead of tables.
    #[arg(long)]
    json: bool,
    /// Show by function and by source line where the instructions of the row with this name go.
    #[arg(long, value_name = "ROW", conflicts_with = "json")]
    functions: Option<String>,
    /// Measure one request at a time only, not many.
    #[arg(long)]
    quick: bool,
    /// Print nothing but what is worse than the baseline.
    #[arg(long, conflicts_with = "json", requires = "baseline")]
    check: bool,
    /// Fail for figures that are more than 2 % worse than in this file.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the figures to this file, to be such a baseline.
    #[arg(long, value_name = "FILE", conflicts_with = "baseline")]
    write_baseline: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    if let Some(name) = &arguments.functions {
        let row = Row::all().into_iter().find(|row| row.name() == *name);
        let row = row.with_context(|| format!("there is no row {name:?}: {}", names()))?;
        return functions::show(row, &images::open(&arguments.image)?);
    }
    let filter = arguments.row.as_deref().unwrap_or_default();
    let report = Report::measure(&arguments.image, arguments.against.as_deref(), filter, !arguments.quick)?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else if !arguments.check {
        table::print(&report);
    }
    if let Some(path) = &arguments.write_baseline {
        Baseline::of(&report).write(path)?;
    }
    if let Some(path) = &arguments.baseline {
        let baseline = Baseline::read(path)?;
        compare(&baseline, &report)?;
        if arguments.check {
            println!(
                "{} rows, {} of them better",
                report.rows.len(),
                baseline.better(&report)
            );
        }
    }
    Ok(())
}

fn compare(baseline: &Baseline, report: &Report) -> Result<()> {
    let regressions = baseline.regressions(report);
    if regressions.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = regressions.iter().map(ToString::to_string).collect();
    bail!("worse than the baseline:\n{}", lines.join("\n"))
}

fn names() -> String {
    let names: Vec<String> = Row::all().into_iter().map(Row::name).collect();
    names.join(", ")
}
