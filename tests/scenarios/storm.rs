//! The storm over everything: requests to every queue, cancels, handles closed, devices that misbehave, that are stopped, moved, put to sleep,
//! pulled out, taken for gone, or die; one or two of them, on one line or on several, one to four processors.
//!
//! Each request ends once, with a status that is right in the circumstances, and with the right output if it succeeds. The statistics add
//! up, the driver allocates nothing meanwhile, and leaves nothing behind.

mod request;
mod script;
mod site;
mod weather;

use std::collections::BTreeMap;

use ntsim::{
    NtStatus,
    kernel::stream::SCRIPT,
    sched::Random,
    trace::{Counter, Digest, Event, Record},
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image,
    seeds::{self, Distinct},
    windows::{Engine, Window, Windows},
};

use self::{script::Storm, weather::Weather};

/// Seeds, beside what `SEEDS` says.
const SEEDS: u64 = 200;

/// What a storm brings.
struct Outcome {
    order: Digest,
    irps: u64,
    /// How the programs' requests ended.
    ends: BTreeMap<NtStatus, u64>,
    cancels: BTreeMap<(Engine, Window), u64>,
}

fn storm(seed: u64) -> Outcome {
    let mut setup = Setup::seed(seed);
    // Another stream than the script's own.
    let weather = Weather::draw(&mut Random::new(seed, SCRIPT + 100), &mut setup);
    let run = Run::several(
        &image::customdpc(),
        setup,
        weather.devices,
        async move |pcs: Vec<Pc>| {
            for pc in &pcs {
                weather.prepare(pc);
                pc.start().await?;
            }
            Storm::play(pcs, weather).await
        },
    );
    let trace = run.clean();
    let [created, completed] = [Counter::IrpsCreated, Counter::IrpsCompleted].map(|counter| run.count(counter));
    assert_eq!(created, completed, "seed {seed}");
    let cancels = match weather.devices {
        1 => Windows::of(trace.records()).cancels,
        _ => BTreeMap::new(),
    };
    Outcome {
        order: trace.order_digest(),
        irps: completed,
        ends: ends(trace.records()),
        cancels,
    }
}

fn ends(records: &[Record]) -> BTreeMap<NtStatus, u64> {
    let mut ends = BTreeMap::new();
    for record in records {
        if let Event::IrpCompleted { what, status, .. } = &record.event
            && ["IRP_MJ_DEVICE_CONTROL", "IRP_MJ_READ", "IRP_MJ_WRITE"].contains(what)
        {
            *ends.entry(*status).or_default() += 1;
        }
    }
    ends
}

fn add<K: Ord>(to: &mut BTreeMap<K, u64>, from: BTreeMap<K, u64>) {
    for (key, count) in from {
        *to.entry(key).or_default() += count;
    }
}

/// A cancel is to hit each of these this often in a thousand seeds, or the storm does not try what it says it tries.
const HITS: u64 = 5;

const WINDOWS: [(Engine, Window); 8] = [
    (Engine::Factorial, Window::Queued),
    (Engine::Factorial, Window::InFlight),
    (Engine::Factorial, Window::InterruptToDpc),
    (Engine::Dma, Window::Queued),
    (Engine::Dma, Window::InFlight),
    (Engine::Dma, Window::InterruptToDpc),
    (Engine::Dma, Window::Completing),
    (Engine::Dma, Window::BetweenPieces),
];

/// And so many requests are to end with each of these.
const ENDS: u64 = 10;

const STATUSES: [NtStatus; 5] = [
    NtStatus::SUCCESS,
    NtStatus::CANCELLED,
    NtStatus::DEVICE_REMOVED,
    NtStatus::IO_TIMEOUT,
    NtStatus::INSUFFICIENT_RESOURCES,
];

#[test]
fn storms_over_everything_end_with_every_request_completed_once() {
    let seeds = seeds::up_to(SEEDS);
    let runs = *seeds.end();
    let (mut distinct, mut irps) = (Distinct::default(), 0);
    let (mut ends, mut cancels) = (BTreeMap::new(), BTreeMap::new());
    seeds::each(seeds, storm, |outcome| {
        distinct.add(outcome.order);
        irps += outcome.irps;
        add(&mut ends, outcome.ends);
        add(&mut cancels, outcome.cancels);
    });
    let named: Vec<String> = ends.iter().map(|(status, times)| format!("{status} {times}")).collect();
    println!(
        "{runs} storms over everything, {} of them distinct, {irps} IRPs completed; requests by end: {}; cancels by window: {cancels:?}",
        distinct.count(),
        named.join(", ")
    );
    assert_eq!(distinct.count() as u64, runs, "every seed interleaves in its own way");
    if runs >= 1000 {
        for window in WINDOWS {
            let hits = cancels.get(&window).copied().unwrap_or(0);
            assert!(hits >= HITS, "a cancel hit {window:?} {hits} times, not {HITS}");
        }
        for status in STATUSES {
            let met = ends.get(&status).copied().unwrap_or(0);
            assert!(met >= ENDS, "{met} requests ended with {status}, not {ENDS}");
        }
    }
}
