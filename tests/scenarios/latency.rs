//! How long interrupts wait for their DPCs, as the driver measures it: exact, because time is virtual.

use std::collections::BTreeMap;

use edu::ioctl::{LatencyStatistics, Statistics};
use ntsim::{
    NtStatus,
    mm::Va,
    sched::{ActivityKind, ThreadSpec},
    trace::{Event, Record},
};
use scenarios::{
    boot::{Pc, Run, Setup},
    program::Program,
    seeds,
};

/// What the driver reads the time with: here its ticks are 100 nanoseconds.
const TIME: &str = "KeQueryPerformanceCounter";

/// What the trace says of the DPCs.
#[derive(Debug, Default)]
struct Seen {
    /// From the interrupt that queued the DPC to its run, in units of 100 ns, in the order of the runs.
    latencies: Vec<u64>,
    /// How many interrupts found the DPC queued already.
    coalesced: u64,
    /// Of those, how many would have had a shorter latency if their own time had counted.
    newer: u64,
}

/// Reads the trace: the time that an ISR was told, then what it queued at that time; the DPC that starts, then the time that it was told.
fn seen(records: &[Record]) -> Seen {
    let mut seen = Seen::default();
    // By processor: what the ISR on it was told last, and what the one was told that queued the DPC which has just started there.
    let mut interrupted: BTreeMap<usize, u64> = BTreeMap::new();
    let mut started: BTreeMap<usize, u64> = BTreeMap::new();
    let mut queued: BTreeMap<Va, u64> = BTreeMap::new();
    for record in records {
        let (Some(processor), Some(activity)) = (record.processor, record.activity) else {
            continue;
        };
        let in_isr = matches!(activity, ActivityKind::Interrupt { .. });
        match record.event {
            Event::Returned { routine: TIME, value } if in_isr => {
                interrupted.insert(processor, value);
            }
            Event::DpcQueued { dpc, .. } if in_isr => {
                if let Some(&at) = interrupted.get(&processor) {
                    queued.insert(dpc, at);
                }
            }
            Event::DpcCoalesced { dpc } if in_isr => {
                seen.coalesced += 1;
                let own = interrupted.get(&processor);
                seen.newer += u64::from(own.zip(queued.get(&dpc)).is_some_and(|(own, first)| own > first));
            }
            // It can be queued again from here on.
            Event::DpcStarted { dpc, .. } => {
                if let Some(at) = queued.remove(&dpc) {
                    started.insert(processor, at);
                }
            }
            Event::Returned { routine: TIME, value } => {
                seen.latencies.extend(started.remove(&processor).map(|at| value - at));
            }
            _ => {}
        }
    }
    seen
}

fn latencies(statistics: &Statistics) -> [LatencyStatistics; 4] {
    [
        statistics.raise_latency,
        statistics.compute_latency,
        statistics.transfer_latency,
        statistics.doorbell_latency,
    ]
}

/// One interrupt, one DPC: the driver has measured what the machine saw.
#[test]
fn a_latency_is_what_the_machine_saw() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
        let measured = program.statistics().await?.compute_latency;
        let expected = {
            let trace = pc.k.recorded();
            seen(trace.records()).latencies
        };
        let [latency] = expected[..] else {
            panic!("one DPC was queued by an ISR: {expected:?}");
        };
        println!("{latency} units of 100 ns");
        let expected = LatencyStatistics {
            last: latency,
            maximum: latency,
            sum: latency,
            count: 1,
        };
        assert_eq!(measured, expected);
        program.close().await
    });
    let _ = run.clean();
}

/// Several processors raise interrupts faster than the DPCs run: of those that one run stands for, the first counts.
#[test]
fn the_latency_of_coalesced_interrupts_is_that_of_the_first() {
    let (mut coalesced, mut newer) = (0, 0);
    for seed in seeds::up_to(60) {
        let mut setup = Setup::seed(seed);
        setup.config.processors = 4;
        let run = Run::started(setup, async |pc: Pc| {
            let program = Program::open(&pc).await?;
            let mut waits = Vec::new();
            for bit in 1..8 {
                waits.push(program.wait_interrupt(1 << bit).await?);
            }
            let mut threads = Vec::new();
            for bit in 1..8 {
                let program = program.clone();
                threads.push(pc.k.spawn(ThreadSpec::user(format!("program {bit}")), async move |k| {
                    let computation = program.factorial(bit).await?;
                    program.raise(1 << bit).await?.wait(&k).await?;
                    assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
                    Ok(())
                }));
            }
            for thread in threads {
                pc.k.join(thread).await?;
            }
            for wait in waits {
                assert_eq!(wait.wait(&pc.k).await?.status, NtStatus::SUCCESS);
            }
            // A DPC that has completed its last request runs to its end.
            pc.k.delay(1_000_000).await?;
            let measured = latencies(&program.statistics().await?);
            let seen = {
                let trace = pc.k.recorded();
                seen(trace.records())
            };
            let (count, sum) = measured.iter().fold((0, 0), |(count, sum), latency| {
                (count + latency.count, sum + latency.sum)
            });
            let maximum = measured.iter().map(|latency| latency.maximum).max();
            assert_eq!(count, seen.latencies.len() as u64);
            assert_eq!(sum, seen.latencies.iter().sum::<u64>());
            assert_eq!(maximum, seen.latencies.iter().max().copied());
            program.close().await
        });
        let seen = seen(run.clean().records());
        coalesced += seen.coalesced;
        newer += seen.newer;
    }
    println!("{coalesced} interrupts coalesced, {newer} of them at a later time than the first");
    assert!(newer > 0, "the first and the last must differ, or nothing is shown");
}
