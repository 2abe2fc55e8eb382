//! `SeQueryInformationToken`.

use super::{
    sid::Sid,
    token::{self, Token},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    rtl::PASSIVE,
    status::NtStatus,
};

/// The tag of what the routine allocates.
const TAG: u32 = u32::from_le_bytes(*b"SeTk");

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("SeQueryInformationToken", 3, PASSIVE, query);
}

/// Information in memory of its own: a structure, and behind it the identifiers that it points to.
pub(super) struct Information {
    fixed: Vec<u8>,
    /// Where in the structure a pointer to an identifier belongs.
    identifiers: Vec<(usize, Sid)>,
}

impl Information {
    fn new(fixed: Vec<u8>) -> Self {
        let identifiers = Vec::new();
        Self { fixed, identifiers }
    }

    /// A pointer to an identifier comes next.
    fn identifier(mut self, sid: &Sid) -> Self {
        self.identifiers.push((self.fixed.len(), sid.clone()));
        self.fixed.extend([0; 8]);
        self
    }

    /// A number and four bytes of padding, as in `SID_AND_ATTRIBUTES`.
    fn attributes(mut self, attributes: u32) -> Self {
        self.fixed.extend(u64::from(attributes).to_le_bytes());
        self
    }

    /// Puts it into pool, which the driver has to free.
    fn store(self, k: &Kernel) -> Outcome<Va> {
        let at = k.allocate_pool(
            PoolKind::Paged,
            self.size() as u64,
            TAG,
            PoolOwner::Driver,
            "token information",
        );
        self.write(k, at)?;
        Ok(at)
    }

    /// How many bytes it has.
    pub(super) fn size(&self) -> usize {
        let identifiers = self.identifiers.iter().map(|(_, sid)| sid.bytes().len());
        self.fixed.len() + identifiers.sum::<usize>()
    }

    /// Puts it into a buffer that is large enough.
    pub(super) fn write(&self, k: &Kernel, at: Va) -> Outcome<()> {
        k.write_bytes(at, &self.fixed)?;
        let mut behind = at + self.fixed.len();
        for (offset, sid) in &self.identifiers {
            k.write(at + *offset, behind)?;
            k.write_bytes(behind, sid.bytes())?;
            behind = behind + sid.bytes().len();
        }
        Ok(())
    }
}

/// What a class of `TOKEN_INFORMATION_CLASS` tells; none when the model does not have it.
pub(super) fn information(token: &Token, class: u32) -> Option<Information> {
    let number = |number: u32| Information::new(number.to_le_bytes().to_vec());
    let nothing = || Information::new(Vec::new());
    Some(match class {
        // TokenUser.
        1 => nothing().identifier(&token.user).attributes(0),
        // TokenGroups.
        2 => {
            let count = u32::try_from(token.groups.len()).expect("there are few groups");
            let start = Information::new(u64::from(count).to_le_bytes().to_vec());
            token.groups.iter().fold(start, |all, (sid, attributes)| {
                all.identifier(sid).attributes(*attributes)
            })
        }
        // TokenPrivileges.
        3 => {
            let count = u32::try_from(token.privileges.len()).expect("there are few privileges");
            let mut bytes = count.to_le_bytes().to_vec();
            for &(luid, attributes) in &token.privileges {
                bytes.extend(u64::from(luid).to_le_bytes());
                bytes.extend(attributes.to_le_bytes());
            }
            Information::new(bytes)
        }
        // TokenOwner.
        4 => nothing().identifier(&token.owner),
        // TokenPrimaryGroup.
        5 => nothing().identifier(&token.primary_group),
        // TokenType.
        8 => number(token::TOKEN_PRIMARY),
        // TokenElevation.
        20 => number(token.has(&token::administrators()).into()),
        _ => return None,
    })
}

/// `SeQueryInformationToken(Token, TokenInformationClass, TokenInformation)`: stores a pointer to pool that the driver has to free. A
/// session's number and an integrity level are stored themselves.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const SESSION_ID: u32 = 12;
    const INTEGRITY_LEVEL: u32 = 25;
    const CLASSES: u32 = 48;
    let routine = "SeQueryInformationToken";
    let token = token::at(k, routine, a.va(0))?;
    let class = a.u32(1);
    match class {
        SESSION_ID => k.write(a.va(2), token.session)?,
        INTEGRITY_LEVEL => k.write(a.va(2), token.integrity)?,
        _ => match information(&token, class) {
            Some(information) => {
                let at = information.store(k)?;
                k.write(a.va(2), at)?;
            }
            None if class == 0 || class > CLASSES => return Ok(NtStatus::INVALID_INFO_CLASS),
            None => return Err(k.not_modelled(format!("{routine} with the class {class} is not modelled"))),
        },
    }
    Ok(NtStatus::SUCCESS)
}
