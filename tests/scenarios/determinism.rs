//! Same seed, same run; and how long a run takes.

use std::time::{Duration, Instant};

use scenarios::{
    boot::{Run, Setup},
    program::Program,
};

fn rendered(seed: u64) -> String {
    let run = Run::started(Setup::seed(seed), async |pc| {
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
    });
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

/// Users wait for it. The bound is for an optimised build on an idle machine; a test run has others beside it.
#[test]
fn a_scenario_takes_less_than_50_ms() {
    rendered(1);
    let best = (0..5)
        .map(|seed| {
            let start = Instant::now();
            rendered(seed);
            start.elapsed()
        })
        .min()
        .expect("five runs");
    assert!(best < Duration::from_millis(50), "it takes {best:?}");
}
