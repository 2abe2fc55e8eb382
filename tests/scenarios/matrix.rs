//! Every request in every circumstance, by line and by message.
//!
//! Each cell of the table is one script, run with several seeds and numbers of processors. In every one the driver must leave nothing behind,
//! and must not have allocated anything since the device was started.

mod circumstance;
mod request;
mod script;

use ntsim::bus::{Absent, InterruptMode};
use scenarios::{
    boot::{Run, Setup},
    seeds,
};

use self::{circumstance::Circumstance, request::Kind};

/// Seeds for each cell, beside what `SEEDS` says.
const SEEDS_OF_A_CELL: u64 = 3;

fn cell(kind: Kind, circumstance: Circumstance, interrupts: InterruptMode, seed: u64) {
    let mut setup = Setup::seed(seed);
    setup.interrupts = interrupts;
    setup.config.bus.absent = match seed % 3 {
        0 => Absent::Ones,
        1 => Absent::Zeroes,
        _ => Absent::Garbage,
    };
    setup.config.bus.cuts_power = seed.is_multiple_of(3);
    setup.config.processors = 1 + usize::try_from(seed % 4).expect("below 4");
    let run = Run::started(setup, async move |pc| {
        let before = pc.allocations();
        script::play(kind, circumstance, &pc).await?;
        assert_eq!(pc.allocations(), before, "the driver allocates for a request");
        Ok(())
    });
    let _ = run.clean();
}

/// One row: a request in every circumstance.
fn row(kind: Kind) {
    for circumstance in Circumstance::ALL {
        for interrupts in [InterruptMode::Line, InterruptMode::Message] {
            for seed in seeds::up_to(SEEDS_OF_A_CELL) {
                println!("{kind:?}, {circumstance:?}, {interrupts:?}, seed {seed}");
                cell(kind, circumstance, interrupts, seed);
            }
        }
    }
}

macro_rules! rows {
    ($($test:ident: $kind:ident;)*) => {
        $(
            #[test]
            fn $test() {
                row(Kind::$kind);
            }
        )*

        /// A request that has no row does not compile here.
        #[test]
        fn every_request_has_a_row() {
            let rows = [$(Kind::$kind),*];
            for kind in Kind::ALL {
                assert!(rows.contains(&kind), "{kind:?}");
            }
        }
    };
}

rows! {
    raise: Raise;
    factorial: Factorial;
    echo: Echo;
    read: Read;
    write: Write;
    wait: Wait;
    query_info: QueryInfo;
    liveness: Liveness;
    query_statistics: QueryStatistics;
    reset_statistics: ResetStatistics;
}
