//! Routines that a driver wants called once more after its `DriverEntry`: `IoRegisterDriverReinitialization`,
//! `IoRegisterBootDriverReinitialization`.
//!
//! Drivers here are loaded while the system starts: both kinds are called when the driver has been loaded, the first kind first.

use std::collections::BTreeMap;

use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
};

/// A routine to call.
#[derive(Clone, Copy, Debug)]
struct Entry {
    driver: Va,
    routine: Va,
    context: Va,
    boot: bool,
}

/// Routines to call, in the order of their registration.
#[derive(Debug, Default)]
struct Queue {
    entries: Vec<Entry>,
    /// How often a driver's were called.
    counts: BTreeMap<Va, u32>,
}

pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE);
    let names = [
        (
            "IoRegisterDriverReinitialization",
            false,
            passive.by_rule(VerifierRule::IRQL_IO_PASSIVE_5),
        ),
        ("IoRegisterBootDriverReinitialization", true, passive),
    ];
    for (name, boot, contract) in names {
        ddi.function(name, 3, contract, move |k, a| {
            let entry = Entry {
                driver: a.va(0),
                routine: a.va(1),
                context: a.va(2),
                boot,
            };
            k.state::<Queue>().borrow_mut().entries.push(entry);
            Ok(())
        });
    }
}

/// A driver has been loaded: calls its routines, and those that they register.
///
/// # Errors
/// When the driver breaks a rule.
pub(crate) async fn call(k: &Kernel, driver: Va) -> Outcome<()> {
    let state = k.state::<Queue>();
    loop {
        let next = {
            let mut state = state.borrow_mut();
            let own = |boot| move |entry: &Entry| entry.driver == driver && entry.boot == boot;
            let index = state.entries.iter().position(own(false));
            let index = index.or_else(|| state.entries.iter().position(own(true)));
            index.map(|index| {
                let count = state.counts.entry(driver).or_default();
                *count += 1;
                let count = *count;
                (state.entries.remove(index), count)
            })
        };
        let Some((entry, count)) = next else {
            return Ok(());
        };
        let arguments = [driver.get(), entry.context.get(), count.into()];
        k.call(entry.routine, &arguments).label("Reinitialize").await?;
    }
}

/// A driver goes: its routines are not called any more.
pub(super) fn driver_gone(k: &Kernel, driver: Va) {
    k.state::<Queue>()
        .borrow_mut()
        .entries
        .retain(|entry| entry.driver != driver);
}
