//! `SeAccessCheck`: whether a subject may have access to what a security descriptor protects.

use super::{
    acl,
    descriptor::{DACL, Descriptor, OWNER},
    sid::Sid,
    subject,
    token::Token,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    rtl::PASSIVE,
    status::NtStatus,
};

/// `MAXIMUM_ALLOWED`.
const MAXIMUM_ALLOWED: u32 = 0x0200_0000;
/// `ACCESS_SYSTEM_SECURITY`.
const ACCESS_SYSTEM_SECURITY: u32 = 0x0100_0000;
/// `WRITE_OWNER`.
const WRITE_OWNER: u32 = 0x0008_0000;
/// `READ_CONTROL` and `WRITE_DAC`, which an owner always has.
const OWNER_RIGHTS: u32 = 0x0006_0000;
/// `SE_SECURITY_PRIVILEGE`.
const SECURITY_PRIVILEGE: u64 = 8;
/// `SE_TAKE_OWNERSHIP_PRIVILEGE`.
const TAKE_OWNERSHIP_PRIVILEGE: u64 = 9;

/// The generic rights, in the order of their fields in `GENERIC_MAPPING`.
const GENERIC_READ: u32 = 0x8000_0000;
const GENERIC_WRITE: u32 = 0x4000_0000;
const GENERIC_EXECUTE: u32 = 0x2000_0000;
const GENERIC_ALL: u32 = 0x1000_0000;
const GENERIC: [u32; 4] = [GENERIC_READ, GENERIC_WRITE, GENERIC_EXECUTE, GENERIC_ALL];

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("SeAccessCheck", 10, PASSIVE, check);
}

/// Rights in which the generic ones are replaced by what the `GENERIC_MAPPING` at `mapping` says.
pub(super) fn map_generic(k: &Kernel, access: u32, mapping: Va) -> Outcome<u32> {
    let mut mapped = access & !GENERIC.iter().fold(0, |all, right| all | right);
    for (index, right) in GENERIC.into_iter().enumerate() {
        if access & right != 0 {
            mapped |= k.read::<u32>(mapping + 4 * index)?;
        }
    }
    Ok(mapped)
}

/// What a check comes to.
struct Verdict {
    granted: u32,
    status: NtStatus,
}

impl Verdict {
    const fn refused(status: NtStatus) -> Self {
        Self { granted: 0, status }
    }

    const fn granted(granted: u32) -> Self {
        Self {
            granted,
            status: NtStatus::SUCCESS,
        }
    }
}

/// `SeAccessCheck(SecurityDescriptor, SubjectSecurityContext, SubjectContextLocked, DesiredAccess, PreviouslyGrantedAccess, Privileges,
/// GenericMapping, AccessMode, GrantedAccess, AccessStatus)`.
fn check(k: &Kernel, a: &Args) -> Outcome<bool> {
    let (desired, previous, mapping) = (a.u32(3), a.u32(4), a.va(6));
    if !a.va(5).is_null() {
        k.write(a.va(5), Va::NULL)?;
    }
    let verdict = if a.u8(7) == 0 {
        in_kernel_mode(k, desired, previous, mapping)?
    } else if a.va(0).is_null() {
        Verdict::refused(NtStatus::ACCESS_DENIED)
    } else if desired == 0 {
        if previous == 0 {
            Verdict::refused(NtStatus::ACCESS_DENIED)
        } else {
            Verdict::granted(previous)
        }
    } else {
        let token = subject::token_of(k, "SeAccessCheck", a.va(1))?;
        let desired = map_generic(k, desired, mapping)?;
        for_token(k, a.va(0), &token, desired, previous, mapping)?
    };
    k.write(a.va(8), verdict.granted)?;
    k.write(a.va(9), verdict.status)?;
    Ok(verdict.status == NtStatus::SUCCESS)
}

/// Kernel mode has all that it asks for.
fn in_kernel_mode(k: &Kernel, desired: u32, previous: u32, mapping: Va) -> Outcome<Verdict> {
    let granted = if desired & MAXIMUM_ALLOWED == 0 {
        desired | previous
    } else {
        desired & !MAXIMUM_ALLOWED | previous | map_generic(k, GENERIC_ALL, mapping)?
    };
    Ok(Verdict::granted(granted))
}

/// Decides by the token's privileges, the owner, and the entries of the list in their order: a right is what its first entry says.
fn for_token(k: &Kernel, descriptor: Va, token: &Token, desired: u32, previous: u32, mapping: Va) -> Outcome<Verdict> {
    let descriptor = Descriptor::read(k, descriptor)?;
    let mut granted = previous;
    let mut missing = desired & !MAXIMUM_ALLOWED;
    if missing & ACCESS_SYSTEM_SECURITY != 0 {
        if !token.has_privilege(SECURITY_PRIVILEGE) {
            return Ok(Verdict::refused(NtStatus::PRIVILEGE_NOT_HELD));
        }
        granted |= ACCESS_SYSTEM_SECURITY;
    }
    if missing & WRITE_OWNER != 0 && token.has_privilege(TAKE_OWNERSHIP_PRIVILEGE) {
        granted |= WRITE_OWNER;
    }
    let owner = descriptor.part(k, OWNER)?;
    if !owner.is_null() && Sid::read(k, owner)?.is_some_and(|owner| token.has(&owner)) {
        granted |= OWNER_RIGHTS;
    }
    missing &= !granted;
    let list = descriptor.part(k, DACL)?;
    if list.is_null() {
        // No list, or a null one, protects nothing.
        let all = if desired & MAXIMUM_ALLOWED == 0 {
            missing
        } else {
            map_generic(k, GENERIC_ALL, mapping)?
        };
        return Ok(Verdict::granted(previous | desired & !MAXIMUM_ALLOWED | all));
    }
    let (mut allowed, mut denied) = (granted, 0);
    for entry in acl::entries(k, list)? {
        if token.has(&entry.sid) {
            let mask = map_generic(k, entry.mask, mapping)?;
            if entry.denies {
                denied |= mask & !allowed;
            } else {
                allowed |= mask & !denied;
            }
        }
    }
    if missing & !allowed != 0 {
        return Ok(Verdict::refused(NtStatus::ACCESS_DENIED));
    }
    let wanted = desired & !MAXIMUM_ALLOWED;
    let all = if desired & MAXIMUM_ALLOWED == 0 {
        wanted | previous
    } else {
        allowed
    };
    Ok(if all == 0 {
        Verdict::refused(NtStatus::ACCESS_DENIED)
    } else {
        Verdict::granted(all)
    })
}
