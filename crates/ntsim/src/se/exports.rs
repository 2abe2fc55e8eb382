//! `SeExports`: the well-known identifiers and privileges, in a structure that the variable points to.

use super::sid::Sid;
use crate::{bugcheck::Outcome, ddi::Registry, kernel::Kernel, mm::Va};

/// A field of `SE_EXPORTS`; each takes eight bytes.
enum Field {
    /// A privilege's LUID.
    Privilege(u32),
    /// A pointer to an identifier: its authority and its sub-authorities.
    Identifier(u8, &'static [u32]),
}
use Field::{Identifier, Privilege};

/// `SECURITY_BUILTIN_DOMAIN_RID`.
const BUILTIN: u32 = 32;
/// `SECURITY_NT_AUTHORITY`.
const NT: u8 = 5;
/// `SECURITY_MANDATORY_LABEL_AUTHORITY`.
const MANDATORY: u8 = 16;

/// `SE_EXPORTS`, field by field.
const FIELDS: [Field; 65] = [
    // SeCreateTokenPrivilege to SeRemoteShutdownPrivilege.
    Privilege(2),
    Privilege(3),
    Privilege(4),
    Privilege(5),
    // SeUnsolicitedInputPrivilege has no number of its own any more.
    Privilege(6),
    Privilege(7),
    Privilege(8),
    Privilege(9),
    Privilege(10),
    Privilege(15),
    Privilege(14),
    Privilege(11),
    Privilege(12),
    Privilege(13),
    Privilege(16),
    Privilege(17),
    Privilege(18),
    Privilege(19),
    Privilege(20),
    Privilege(21),
    Privilege(22),
    Privilege(23),
    Privilege(24),
    // SeNullSid, SeWorldSid, SeLocalSid, SeCreatorOwnerSid, SeCreatorGroupSid, SeNtAuthoritySid.
    Identifier(0, &[0]),
    Identifier(1, &[0]),
    Identifier(2, &[0]),
    Identifier(3, &[0]),
    Identifier(3, &[1]),
    Identifier(NT, &[]),
    // SeDialupSid, SeNetworkSid, SeBatchSid, SeInteractiveSid, SeLocalSystemSid.
    Identifier(NT, &[1]),
    Identifier(NT, &[2]),
    Identifier(NT, &[3]),
    Identifier(NT, &[4]),
    Identifier(NT, &[18]),
    // SeAliasAdminsSid to SeAliasBackupOpsSid.
    Identifier(NT, &[BUILTIN, 544]),
    Identifier(NT, &[BUILTIN, 545]),
    Identifier(NT, &[BUILTIN, 546]),
    Identifier(NT, &[BUILTIN, 547]),
    Identifier(NT, &[BUILTIN, 548]),
    Identifier(NT, &[BUILTIN, 549]),
    Identifier(NT, &[BUILTIN, 550]),
    Identifier(NT, &[BUILTIN, 551]),
    // SeAuthenticatedUsersSid, SeRestrictedSid, SeAnonymousLogonSid.
    Identifier(NT, &[11]),
    Identifier(NT, &[12]),
    Identifier(NT, &[7]),
    // SeUndockPrivilege, SeSyncAgentPrivilege, SeEnableDelegationPrivilege.
    Privilege(25),
    Privilege(26),
    Privilege(27),
    // SeLocalServiceSid, SeNetworkServiceSid.
    Identifier(NT, &[19]),
    Identifier(NT, &[20]),
    // SeManageVolumePrivilege to SeCreateSymbolicLinkPrivilege.
    Privilege(28),
    Privilege(29),
    Privilege(30),
    Privilege(31),
    Privilege(32),
    Privilege(33),
    Privilege(34),
    Privilege(35),
    // SeIUserSid, the integrity levels from untrusted to system, SeOwnerRightsSid.
    Identifier(NT, &[17]),
    Identifier(MANDATORY, &[0x0000]),
    Identifier(MANDATORY, &[0x1000]),
    Identifier(MANDATORY, &[0x2000]),
    Identifier(MANDATORY, &[0x3000]),
    Identifier(MANDATORY, &[0x4000]),
    Identifier(3, &[4]),
];

/// Where the structure is, once somebody has asked for it.
#[derive(Default)]
struct Exports(Option<Va>);

pub(super) fn register(ddi: &mut Registry) {
    ddi.data("SeExports", 8, |k, variable| {
        let structure = structure(k)?;
        k.write(variable, structure)
    });
}

/// The structure, which is made once.
pub(super) fn structure(k: &Kernel) -> Outcome<Va> {
    let exports = k.state::<Exports>();
    let made = exports.borrow().0;
    if let Some(made) = made {
        return Ok(made);
    }
    let structure = k.allocate_system(8 * FIELDS.len(), "SE_EXPORTS")?;
    for (index, field) in FIELDS.iter().enumerate() {
        let value = match field {
            Privilege(number) => u64::from(*number),
            Identifier(authority, parts) => {
                let sid = Sid::new(*authority, parts);
                let at = k.allocate_system(sid.bytes().len(), "SID")?;
                k.write_bytes(at, sid.bytes())?;
                at.get()
            }
        };
        k.write(structure + 8 * index, value)?;
    }
    exports.borrow_mut().0 = Some(structure);
    Ok(structure)
}
