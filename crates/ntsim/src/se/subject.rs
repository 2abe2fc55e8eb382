//! Subject contexts and privileges: `SeCaptureSubjectContext`, `SePrivilegeCheck`, `SeSinglePrivilegeCheck` and the like.

use ntlayout::{privilege_set as set, security_subject_context as layout};

use super::token::{self, Token};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    rtl::PASSIVE,
};

/// `PRIVILEGE_SET_ALL_NECESSARY`.
const ALL_NECESSARY: u32 = 1;
/// `SE_PRIVILEGE_USED_FOR_ACCESS`.
const USED_FOR_ACCESS: u32 = 0x8000_0000;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("SeCaptureSubjectContext", 1, PASSIVE, |k, a| capture(k, a.va(0)));
    ddi.function("SeCaptureSubjectContextEx", 3, PASSIVE, |k, a| capture(k, a.va(2)));
    // Tokens do not change or go here, so that nothing has to be locked.
    for name in ["SeLockSubjectContext", "SeUnlockSubjectContext"] {
        ddi.function(name, 1, PASSIVE, |_, _| Ok(()));
    }
    ddi.function("SeReleaseSubjectContext", 1, PASSIVE, |k, a| {
        k.fill(a.va(0), 0, layout::SIZE)
    });
    ddi.function("SePrivilegeCheck", 3, PASSIVE, check_set);
    ddi.function("SeSinglePrivilegeCheck", 2, PASSIVE, |k, a| {
        let kernel_mode = a.u8(1) == 0;
        Ok(kernel_mode || token::current(k)?.has_privilege(a.u64(0)))
    });
}

/// Fills in the context of the current thread, which impersonates nobody.
pub(super) fn capture(k: &Kernel, to: Va) -> Outcome<()> {
    let token = token::current(k)?;
    k.fill(to, 0, layout::SIZE)?;
    k.write(to + layout::PRIMARY_TOKEN, token.object)
}

/// The token of a context: the client's, or else the primary one.
pub(super) fn token_of(k: &Kernel, routine: &str, context: Va) -> Outcome<Token> {
    let client: Va = k.read(context + layout::CLIENT_TOKEN)?;
    let object = if client.is_null() {
        k.read(context + layout::PRIMARY_TOKEN)?
    } else {
        client
    };
    token::at(k, routine, object)
}

/// `SePrivilegeCheck(RequiredPrivileges, SubjectSecurityContext, AccessMode)`: those that were needed and are held are marked.
fn check_set(k: &Kernel, a: &Args) -> Outcome<bool> {
    if a.u8(2) == 0 {
        return Ok(true);
    }
    let token = token_of(k, "SePrivilegeCheck", a.va(1))?;
    let count: u32 = k.read(a.va(0) + set::PRIVILEGE_COUNT)?;
    let all = k.read::<u32>(a.va(0) + set::CONTROL)? & ALL_NECESSARY != 0;
    let mut held = 0;
    for index in 0..u64::from(count) {
        let at = a.va(0) + set::PRIVILEGE + index * set::LUID_AND_ATTRIBUTES_SIZE as u64;
        if token.has_privilege(k.read(at)?) {
            let attributes: u32 = k.read(at + set::ATTRIBUTES)?;
            k.write(at + set::ATTRIBUTES, attributes | USED_FOR_ACCESS)?;
            held += 1;
        }
    }
    Ok(if all { held == count } else { held > 0 })
}
