//! What takes too long at `DISPATCH_LEVEL`, or for ever.

use super::{
    twins::{ends, fault, passes},
    *,
};

#[test]
fn a_dpc_that_takes_a_second() {
    passes("stalls-in-dpc");
    let bugcheck = fault("stalls-in-dpc");
    assert_eq!(bugcheck.code, BugCheckCode::DPC_WATCHDOG_VIOLATION);
    assert_eq!(
        bugcheck.parameters[..3],
        [0, 501, 500],
        "one DPC, in ticks of the clock"
    );
}

#[test]
fn a_dpc_that_never_ends() {
    passes("loops-in-dpc");
    let bugcheck = fault("loops-in-dpc");
    assert_eq!(bugcheck.code, BugCheckCode::DPC_WATCHDOG_VIOLATION);
    assert_eq!(bugcheck.parameters[0], 0, "one DPC takes too long");
}

/// How many instructions an endless loop may take, so that its report comes soon.
const MOST_INSTRUCTIONS: u64 = 15_000_000;
const MOST_STEPS: u64 = 200_000;

#[test]
fn an_endless_dpc_takes_few_instructions_and_steps() {
    for (driver, seed) in [("loops-in-dpc", 1), ("loops-in-dpc", 4), ("stalls-in-dpc", 1)] {
        let setup = Setup::by_line(seed);
        let run = Run::of(&test_driver(driver), setup, request_once);
        assert!(run.machine().kernel().crash().is_some(), "{driver}");
        let (instructions, steps) = (run.count(Counter::Instructions), run.count(Counter::Steps));
        assert!(
            instructions < MOST_INSTRUCTIONS,
            "{driver}: {instructions} instructions"
        );
        assert!(steps < MOST_STEPS, "{driver}: {steps} steps");
    }
}

#[test]
fn two_spin_locks_taken_in_opposite_orders_on_two_processors() {
    passes("deadlocks");
    let (bugcheck, count) = ends("deadlocks", 1..=40);
    assert_eq!(bugcheck.code, BugCheckCode::DPC_WATCHDOG_VIOLATION);
    assert_eq!(bugcheck.parameters[0], 1, "too long at DISPATCH_LEVEL");
    assert!(count >= 10, "caught in {count} runs");
    let others: Vec<&str> = bugcheck.notes.iter().map(|note| note.what.as_str()).collect();
    let spins = others.iter().any(|what| what.contains("spins for the spin lock"));
    assert!(spins, "the other processor's stack is reported as well: {others:?}");
}

/// The setting `all` has a rule that finds it where the two do not meet: on one processor.
#[test]
fn an_order_that_could_deadlock() {
    let setup = |input: u64| {
        let mut setup = Setup::seed(input);
        setup.config.processors = 1;
        setup.config.verifier = Settings::ALL;
        setup
    };
    let bugcheck = caught("deadlocks", setup(1), request_once);
    assert_eq!(verifier_violation(&bugcheck), 0x1001, "a lock hierarchy violation");
    assert_eq!(bugcheck.rule, "lock-order-in-dpc");
}
