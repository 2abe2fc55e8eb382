//! `stats [--reset]`: what the driver has counted.

use std::fmt;
use std::io::{self, Write};

use edu::ioctl::{
    LatencyStatistics, QueryStatistics, QueueStatistics, ResetStatistics, Statistics, WatchdogStatistics,
};
use serde::Serialize;

use super::failure::Failure;
use super::{Outcome, write_json, write_line};
use crate::request::{RequestError, call};
use crate::transport::Transport;

pub(crate) fn run(reset: bool, transport: &mut dyn Transport, json: bool, out: &mut dyn Write) -> io::Result<Outcome> {
    let statistics = call::<QueryStatistics>(transport, &());
    // Counters that could not be shown are not thrown away.
    let reset = (reset && statistics.is_ok()).then(|| call::<ResetStatistics>(transport, &()));
    let ok = statistics.is_ok() && !matches!(reset, Some(Err(_)));
    if json {
        write_json(out, "stats", ok, &Report::new(&statistics, reset.as_ref()))?;
        return Ok(Outcome::of(ok));
    }
    match &statistics {
        Ok(statistics) => write_line(out, &Text(statistics))?,
        Err(error) => write_line(out, &format_args!("stats failed: {error}"))?,
    }
    match &reset {
        Some(Ok(())) => write_line(out, &"\nThe driver counts from 0 again.")?,
        Some(Err(error)) => write_line(out, &format_args!("\nreset failed: {error}"))?,
        None => {}
    }
    Ok(Outcome::of(ok))
}

/// The queues, with the names that they have in the driver.
fn queues(statistics: &Statistics) -> [(&'static str, &QueueStatistics); 4] {
    [
        ("raise", &statistics.raise),
        ("compute", &statistics.compute),
        ("transfer", &statistics.transfer),
        ("doorbell", &statistics.doorbell),
    ]
}

/// The watchdogs of those queues that have one.
fn watchdogs(statistics: &Statistics) -> [(&'static str, &WatchdogStatistics); 3] {
    [
        ("raise", &statistics.raise_watchdog),
        ("compute", &statistics.compute_watchdog),
        ("transfer", &statistics.transfer_watchdog),
    ]
}

/// How long interrupts waited for the DPCs of the queues.
fn latencies(statistics: &Statistics) -> [(&'static str, &LatencyStatistics); 4] {
    [
        ("raise", &statistics.raise_latency),
        ("compute", &statistics.compute_latency),
        ("transfer", &statistics.transfer_latency),
        ("doorbell", &statistics.doorbell_latency),
    ]
}

/// A time in units of 100 nanoseconds, as microseconds.
fn microseconds(units: u64) -> String {
    format!("{}.{}", units / 10, units % 10)
}

struct Text<'a>(&'a Statistics);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(statistics) = self;
        for (name, count) in [
            ("interrupts claimed", statistics.interrupts_claimed),
            ("interrupts not ours", statistics.interrupts_not_ours),
            ("factorials started", statistics.factorials_started),
            (
                "spurious factorial interrupts",
                statistics.factorial_interrupts_spurious,
            ),
        ] {
            writeln!(f, "{name:<29} {count:>20}")?;
        }
        write!(
            f,
            "\n{:<8} {:>12} {:>12} {:>12} {:>12} {:>12}",
            "queue", "completed", "cancelled", "failed", "DPCs run", "coalesced"
        )?;
        for (name, queue) in queues(statistics) {
            write!(
                f,
                "\n{name:<8} {:>12} {:>12} {:>12} {:>12} {:>12}",
                queue.completed, queue.cancelled, queue.failed, queue.dpcs_run, queue.dpcs_coalesced
            )?;
        }
        write!(
            f,
            "\n\n{:<8} {:>12} {:>12} {:>12}",
            "watchdog", "timeouts", "retries", "late"
        )?;
        for (name, watchdog) in watchdogs(statistics) {
            write!(
                f,
                "\n{name:<8} {:>12} {:>12} {:>12}",
                watchdog.timeouts, watchdog.retries, watchdog.late
            )?;
        }
        write!(
            f,
            "\n\n{:<8} {:>12} {:>12} {:>12} {:>12}",
            "DPC µs", "interrupts", "last", "mean", "longest"
        )?;
        for (name, latency) in latencies(statistics) {
            let mean = latency.sum.checked_div(latency.count).unwrap_or_default();
            write!(
                f,
                "\n{name:<8} {:>12} {:>12} {:>12} {:>12}",
                latency.count,
                microseconds(latency.last),
                microseconds(mean),
                microseconds(latency.maximum)
            )?;
        }
        Ok(())
    }
}

#[derive(Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    statistics: Option<Counters>,
    /// Whether the driver counts from 0 again.
    reset: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Failure>,
}

impl Report {
    fn new(statistics: &Result<Statistics, RequestError>, reset: Option<&Result<(), RequestError>>) -> Self {
        let error = statistics
            .as_ref()
            .err()
            .or(reset.and_then(|reset| reset.as_ref().err()));
        Self {
            statistics: statistics.as_ref().ok().map(Counters::from),
            reset: matches!(reset, Some(Ok(()))),
            error: error.map(Failure::from),
        }
    }
}

#[derive(Serialize)]
struct Counters {
    interrupts_claimed: u64,
    interrupts_not_ours: u64,
    factorials_started: u64,
    factorial_interrupts_spurious: u64,
    raise: QueueCounters,
    compute: QueueCounters,
    transfer: QueueCounters,
    doorbell: QueueCounters,
    raise_watchdog: WatchdogCounters,
    compute_watchdog: WatchdogCounters,
    transfer_watchdog: WatchdogCounters,
    raise_latency: Latency,
    compute_latency: Latency,
    transfer_latency: Latency,
    doorbell_latency: Latency,
}

#[derive(Serialize)]
struct QueueCounters {
    completed: u64,
    cancelled: u64,
    failed: u64,
    dpcs_run: u64,
    dpcs_coalesced: u64,
}

#[derive(Serialize)]
struct WatchdogCounters {
    timeouts: u64,
    retries: u64,
    late: u64,
}

/// From an interrupt to its DPC, in units of 100 nanoseconds.
#[derive(Serialize)]
struct Latency {
    last: u64,
    maximum: u64,
    sum: u64,
    count: u64,
}

impl From<&Statistics> for Counters {
    fn from(statistics: &Statistics) -> Self {
        Self {
            interrupts_claimed: statistics.interrupts_claimed,
            interrupts_not_ours: statistics.interrupts_not_ours,
            factorials_started: statistics.factorials_started,
            factorial_interrupts_spurious: statistics.factorial_interrupts_spurious,
            raise: QueueCounters::from(&statistics.raise),
            compute: QueueCounters::from(&statistics.compute),
            transfer: QueueCounters::from(&statistics.transfer),
            doorbell: QueueCounters::from(&statistics.doorbell),
            raise_watchdog: WatchdogCounters::from(&statistics.raise_watchdog),
            compute_watchdog: WatchdogCounters::from(&statistics.compute_watchdog),
            transfer_watchdog: WatchdogCounters::from(&statistics.transfer_watchdog),
            raise_latency: Latency::from(&statistics.raise_latency),
            compute_latency: Latency::from(&statistics.compute_latency),
            transfer_latency: Latency::from(&statistics.transfer_latency),
            doorbell_latency: Latency::from(&statistics.doorbell_latency),
        }
    }
}

impl From<&QueueStatistics> for QueueCounters {
    fn from(queue: &QueueStatistics) -> Self {
        Self {
            completed: queue.completed,
            cancelled: queue.cancelled,
            failed: queue.failed,
            dpcs_run: queue.dpcs_run,
            dpcs_coalesced: queue.dpcs_coalesced,
        }
    }
}

impl From<&WatchdogStatistics> for WatchdogCounters {
    fn from(watchdog: &WatchdogStatistics) -> Self {
        Self {
            timeouts: watchdog.timeouts,
            retries: watchdog.retries,
            late: watchdog.late,
        }
    }
}

impl From<&LatencyStatistics> for Latency {
    fn from(latency: &LatencyStatistics) -> Self {
        Self {
            last: latency.last,
            maximum: latency.maximum,
            sum: latency.sum,
            count: latency.count,
        }
    }
}

#[cfg(test)]
mod tests;
