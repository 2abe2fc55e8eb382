//! Waiting for a device costs no host time, however long it takes.

use super::*;
use crate::{
    ke::{
        dpc,
        timer::{self, Setting, TimerType},
    },
    machine::testing::Program,
    trace::Counter,
};

/// A megabyte in pieces of 4095 bytes, there and back.
const TRANSFERS: u64 = 2 * 257;
/// Milliseconds between a watchdog's looks.
const PERIOD: u32 = 500;

/// Has the device read memory that often, and gives the machine's counters.
async fn transfers(bench: Bench) -> Outcome<()> {
    let adapter = bench.adapter()?;
    let (_, logical) = bench.common_buffer(adapter, 4095)?;
    for _ in 0..TRANSFERS {
        bench.device_reads(logical, 4095).await?;
    }
    Ok(())
}

/// How many steps the scheduler took, and how many DPCs ran.
fn work(machine: &Machine) -> (u64, u64) {
    assert!(machine.kernel().crash().is_none());
    assert!(machine.kernel().now() > TRANSFERS * 100_000_000);
    let counters = machine.kernel().recorded().counters.clone();
    assert_eq!(counters.get(Counter::DmaReads), TRANSFERS);
    (counters.get(Counter::Steps), counters.get(Counter::DpcsRun))
}

#[test]
fn a_minute_of_transfers_takes_few_steps() {
    let (steps, _) = work(&run_with(DmaSupport::Low, transfers));
    assert!(steps < 10 * TRANSFERS, "{steps}");
}

#[test]
fn a_periodic_timer_adds_its_expirations_only() {
    let program = Program::default().function(|_| {});
    let machine = run_on(program.machine(1), |bench| async move {
        let k = &bench.k;
        let (watchdog, routine) = (Program::data(), Program::data() + 0x40_u64);
        timer::initialize(k, watchdog, TimerType::Notification)?;
        dpc::initialize(k, routine, Program::address(0), Va::NULL)?;
        let setting = Setting {
            due: 0,
            period: PERIOD,
            dpc: routine,
        };
        timer::set(k, watchdog, setting)?;
        transfers(bench.clone()).await?;
        timer::cancel(&bench.k, watchdog).map(drop)
    });
    let (steps, dpcs) = work(&machine);
    let expirations = TRANSFERS * 100 / u64::from(PERIOD);
    assert!((expirations..=expirations + 1).contains(&dpcs), "{dpcs}");
    assert!(steps < 10 * (TRANSFERS + dpcs), "{steps}");
}
