//! Drivers with a right way and a wrong one, which the input of their request chooses (`asks_for_fault` of `tests/drivers/common`).

use super::*;
use scenarios::seeds;

/// The input that has a driver do right.
const RIGHT: u32 = 4;
/// The input that has it do wrong.
const FAULT: u32 = 5;

/// How many seeds a right driver must pass in.
const SEEDS: u64 = 100;

/// Starts the device, sends one request and waits a moment.
async fn request(pc: Pc, input: u32) -> Outcome<()> {
    pc.start().await?;
    let program = Program::open(&pc).await?;
    let request = program.send(Factorial::CODE.raw(), &input.to_le_bytes(), 4).await?;
    pc.k.delay(10_000_000).await?;
    drop(request);
    program.close().await
}

/// Whatever the seed, no rule is broken when the driver does right.
pub(super) fn passes(driver: &'static str) {
    let run = |seed| {
        let setup = Setup::by_line(seed);
        let run = Run::of(&test_driver(driver), setup, |pc| request(pc, RIGHT));
        drop(run.clean());
    };
    seeds::each(seeds::up_to(SEEDS), run, drop);
}

/// The first of the bug checks that the driver's fault ends in, at a line that is marked, and how many of `seeds` end in one.
pub(super) fn ends(driver: &'static str, seeds: std::ops::RangeInclusive<u64>) -> (BugCheck, usize) {
    let ends = |seed: &u64| {
        let setup = Setup::by_line(*seed);
        let run = Run::of(&test_driver(driver), setup, |pc| request(pc, FAULT));
        run.machine().kernel().crash().is_some()
    };
    let found: Vec<u64> = seeds.filter(ends).collect();
    let mut bugchecks = found
        .iter()
        .map(|&seed| caught(driver, Setup::seed(seed), |pc| request(pc, FAULT)));
    let first = bugchecks.next().unwrap_or_else(|| panic!("{driver} was not caught"));
    for bugcheck in bugchecks {
        let (code, kind) = (bugcheck.code, bugcheck.parameters[0]);
        assert_eq!((code, kind), (first.code, first.parameters[0]), "{bugcheck}");
    }
    (first, found.len())
}

/// The bug check that the driver's fault ends in.
pub(super) fn fault(driver: &'static str) -> BugCheck {
    ends(driver, 1..=1).0
}
