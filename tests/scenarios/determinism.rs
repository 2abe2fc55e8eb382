//! Same seed, same run; and how much work a run is.

use ntsim::trace::Counter;
use scenarios::{
    boot::{Run, Setup},
    program::Program,
};

fn eight_requests(seed: u64) -> Run {
    Run::started(Setup::seed(seed), async |pc| {
        let program = Program::open(&pc).await?;
        let mut under_way = Vec::new();
        for n in 1..=8 {
            under_way.push(program.factorial(n).await?);
        }
        program.cancel(&under_way[5]).await?;
        for computation in &under_way {
            computation.wait().await?;
        }
        program.close().await
    })
}

fn rendered(seed: u64) -> String {
    let run = eight_requests(seed);
    let trace = run.clean();
    let lines: Vec<String> = trace.records().iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn the_same_seed_gives_the_same_run_byte_for_byte() {
    for seed in [1, 2, 0xFFFF_FFFF_FFFF_FFFF] {
        let first = rendered(seed);
        assert!(first.lines().count() > 100, "a run leaves a trace");
        assert_eq!(first, rendered(seed), "seed {seed}");
    }
}

#[test]
fn different_seeds_give_different_runs() {
    assert_ne!(rendered(1), rendered(2));
}

/// The most that a scenario of eight requests may take. Both counts depend on the seed alone, so the test says the same on every machine;
/// how long it takes is for the benchmark to measure.
const MOST_INSTRUCTIONS: u64 = 100_000;
const MOST_STEPS: u64 = 100_000;

#[test]
fn a_scenario_takes_few_instructions_and_steps() {
    for seed in 0..5 {
        let run = eight_requests(seed);
        drop(run.clean());
        let (instructions, steps) = (run.count(Counter::Instructions), run.count(Counter::Steps));
        assert!(instructions > 0 && steps > 0, "seed {seed}: work is counted");
        assert!(
            instructions <= MOST_INSTRUCTIONS,
            "seed {seed}: {instructions} instructions"
        );
        assert!(steps <= MOST_STEPS, "seed {seed}: {steps} steps");
    }
}
