use super::*;
use crate::{cost::RoutineCost, size::Size};

/// A report of one row, whose instructions are those of one routine and of one function, and whose image is `file` bytes long.
fn report(name: &str, instructions: u64, calls: u64, file: u64) -> Report {
    let routine = RoutineCost {
        instructions,
        ..RoutineCost::default()
    };
    let cost = Cost {
        instructions,
        calls,
        routines: BTreeMap::from([("StartIo".to_owned(), routine)]),
        ..Cost::default()
    };
    let row = Figures {
        name: name.to_owned(),
        requests: 1,
        image: cost,
        against: None,
        ratio: None,
        functions: BTreeMap::from([("driver::start".to_owned(), instructions)]),
    };
    Report {
        image: Size {
            name: "driver.sys".to_owned(),
            file,
            sections: BTreeMap::new(),
            crates: BTreeMap::new(),
        },
        against: None,
        rows: vec![row],
        growth: Vec::new(),
        worst_ratio: None,
    }
}

fn regressions(now: &Report) -> Vec<String> {
    let before = Baseline::of(&report("RAISE", 1000, 10, 5000));
    before.regressions(now).iter().map(ToString::to_string).collect()
}

#[test]
fn two_percent_more_are_let_pass_and_less_is_welcome() {
    assert_eq!(regressions(&report("RAISE", 1020, 10, 5100)), [""; 0]);
    let better = report("RAISE", 100, 1, 500);
    assert_eq!(regressions(&better), [""; 0]);
    assert_eq!(Baseline::of(&report("RAISE", 1000, 10, 5000)).better(&better), 1);
    assert_eq!(Baseline::of(&better).better(&better), 0);
}

#[test]
fn more_instructions_are_found_with_the_routine_and_the_function() {
    let found = regressions(&report("RAISE", 1021, 10, 5000));
    let expected =
        "RAISE: instructions 1000 -> 1021 (+2.1 %)\n    routines: +21 StartIo\n    functions: +21 driver::start";
    assert_eq!(found, [expected]);
}

#[test]
fn one_call_more_is_found() {
    assert_eq!(
        regressions(&report("RAISE", 1000, 11, 5000)),
        ["RAISE: DDI calls 10 -> 11 (+10.0 %)"]
    );
}

#[test]
fn a_larger_image_is_found() {
    assert_eq!(
        regressions(&report("RAISE", 1000, 10, 6000)),
        ["image: bytes 5000 -> 6000 (+20.0 %)"]
    );
}

#[test]
fn a_row_that_the_baseline_lacks_is_found() {
    let found = regressions(&report("NEW", 1, 1, 5000));
    assert_eq!(found, ["NEW: is not in the baseline"]);
}

#[test]
fn what_was_free_and_costs_something_is_found() {
    let mut now = report("RAISE", 1000, 10, 5000);
    now.rows[0].image.allocations = 1;
    assert_eq!(regressions(&now), ["RAISE: allocations 0 -> 1"]);
}

#[test]
fn a_baseline_is_read_back_as_written() {
    let baseline = Baseline::of(&report("RAISE", 1000, 10, 5000));
    let text = serde_json::to_string(&baseline).unwrap();
    assert_eq!(serde_json::from_str::<Baseline>(&text).unwrap(), baseline);
}
