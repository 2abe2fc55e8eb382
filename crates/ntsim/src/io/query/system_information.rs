//! What the system is: `IoIsWdmVersionAvailable`, `IoIs32bitProcess`, `IoGetConfigurationInformation`, `IoQueryDeviceDescription`.

use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// The version of WDM that Windows has since Vista.
const WDM_VERSION: (u8, u8) = (6, 0);
/// Bytes of a `CONFIGURATION_INFORMATION`.
const CONFIGURATION_SIZE: usize = 40;
/// Its `Version`.
const CONFIGURATION_VERSION: usize = 32;

/// The `CONFIGURATION_INFORMATION` that drivers share.
#[derive(Debug, Default)]
struct Configuration(Option<Va>);

pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE);
    let contract = passive.by_rule(VerifierRule::IRQL_IO_PASSIVE_5);
    ddi.function("IoIsWdmVersionAvailable", 2, contract, |_, a| {
        Ok((a.u8(0), a.u8(1)) <= WDM_VERSION)
    });
    ddi.function("IoGetConfigurationInformation", 0, contract, |k, _| configuration(k));
    // Programs here are 64-bit ones.
    ddi.function("IoIs32bitProcess", 1, Contract::at_most(Irql::DISPATCH), |_, _| {
        Ok(false)
    });
    // Firmware has described no controller of an ISA bus here: nothing matches.
    ddi.function("IoQueryDeviceDescription", 8, passive, |_, _| {
        Ok(NtStatus::OBJECT_NAME_NOT_FOUND)
    });
}

/// How many devices of each kind there are, which the drivers of such devices count: none has been found yet.
fn configuration(k: &Kernel) -> Outcome<Va> {
    let state = k.state::<Configuration>();
    let known = state.borrow().0;
    if let Some(information) = known {
        return Ok(information);
    }
    let information = k.allocate_system(CONFIGURATION_SIZE, "CONFIGURATION_INFORMATION")?;
    let size = u32::try_from(CONFIGURATION_SIZE).expect("a small structure");
    k.write(information + CONFIGURATION_VERSION, size)?;
    state.borrow_mut().0 = Some(information);
    Ok(information)
}
