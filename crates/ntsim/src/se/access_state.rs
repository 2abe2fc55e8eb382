//! Access states: `SeCreateAccessState`, `SeDeleteAccessState`, `SeSetAccessStateGenericMapping`.

use ntlayout::access_state as layout;

use super::{access_check::map_generic, subject};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    rtl::PASSIVE,
    status::NtStatus,
};

/// `PrivilegesUsed` of `AUX_ACCESS_DATA`.
const PRIVILEGES_USED: usize = 0;
/// `GenericMapping` of it.
const GENERIC_MAPPING: usize = 8;
/// The bytes of a `GENERIC_MAPPING`.
const MAPPING_SIZE: usize = 16;
/// `Privileges` of `ACCESS_STATE`: the first set that the state has room for.
const PRIVILEGES: usize = 80;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("SeCreateAccessState", 4, PASSIVE, create);
    ddi.function("SeDeleteAccessState", 1, PASSIVE, |k, a| {
        k.fill(
            a.va(0) + layout::SUBJECT_SECURITY_CONTEXT,
            0,
            ntlayout::security_subject_context::SIZE,
        )
    });
    ddi.function("SeSetAccessStateGenericMapping", 2, PASSIVE, |k, a| {
        let auxiliary = k.read::<crate::mm::Va>(a.va(0) + layout::AUX_DATA)?;
        let mapping = k.read_bytes(a.va(1), MAPPING_SIZE)?;
        k.write_bytes(auxiliary + GENERIC_MAPPING, &mapping)
    });
}

/// `SeCreateAccessState(AccessState, AuxData, DesiredAccess, GenericMapping)`: the state of the current thread, which has been granted
/// nothing yet.
fn create(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (state, auxiliary, mapping) = (a.va(0), a.va(1), a.va(3));
    let mut access = a.u32(2);
    k.fill(state, 0, layout::SIZE)?;
    if !mapping.is_null() {
        access = map_generic(k, access, mapping)?;
        let bytes = k.read_bytes(mapping, MAPPING_SIZE)?;
        k.write_bytes(auxiliary + GENERIC_MAPPING, &bytes)?;
    }
    k.write(state + layout::REMAINING_DESIRED_ACCESS, access)?;
    k.write(state + layout::ORIGINAL_DESIRED_ACCESS, access)?;
    k.write(state + layout::AUX_DATA, auxiliary)?;
    k.write(auxiliary + PRIVILEGES_USED, state + PRIVILEGES)?;
    subject::capture(k, state + layout::SUBJECT_SECURITY_CONTEXT)?;
    Ok(NtStatus::SUCCESS)
}
