//! `--fail-each`: a run for each call that can fail for lack of resources, in which that call does.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Result;
use ntsim::trace::Counter;

use crate::{
    run::{Plan, RULE_BROKEN},
    teller::Teller,
};

/// Carries the plan out once undisturbed, then once for each call that can fail.
pub(crate) fn run(plan: &Plan<'_>) -> Result<ExitCode> {
    let mut out = io::stdout().lock();
    let undisturbed = plan.carry_out(None, Teller::silent())?;
    if let Some(report) = undisturbed.machine.crash_report(Some(plan.options.replay(None))) {
        writeln!(out, "{report}")?;
        return Ok(ExitCode::from(RULE_BROKEN));
    }
    let calls = undisturbed
        .machine
        .kernel()
        .recorded()
        .counters
        .get(Counter::FallibleCalls);
    let mut broken = 0;
    for call in 0..calls {
        // A driver that cannot be loaded or started without resources is right.
        let Ok(done) = plan.carry_out(Some(call), Teller::silent()) else {
            continue;
        };
        if let Some(report) = done.machine.crash_report(Some(plan.options.replay(Some(call)))) {
            writeln!(out, "{report}")?;
            broken += 1;
        }
    }
    writeln!(
        out,
        "{calls} calls can fail for lack of resources; a rule was broken in {broken} of the runs in which one did"
    )?;
    Ok(ExitCode::from(if broken == 0 { 0 } else { RULE_BROKEN }))
}
