//! Security identifiers: `RtlInitializeSid`, `RtlLengthSid`, `RtlCopySid`, `RtlConvertSidToUnicodeString` and the like.

use ntlayout::sid as layout;

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::string,
    status::NtStatus,
};

/// `SID_REVISION`.
const REVISION: u8 = 1;
/// `SID_MAX_SUB_AUTHORITIES`.
const MOST_SUB_AUTHORITIES: u8 = 15;

/// A security identifier, in the bytes that it has in memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sid(Vec<u8>);

impl Sid {
    /// The identifier of an authority below 256, with sub-authorities.
    #[must_use]
    pub fn new(authority: u8, sub_authorities: &[u32]) -> Self {
        let count = u8::try_from(sub_authorities.len()).unwrap_or(MOST_SUB_AUTHORITIES);
        let mut bytes = vec![REVISION, count, 0, 0, 0, 0, 0, authority];
        bytes.extend(
            sub_authorities
                .iter()
                .take(count.into())
                .flat_map(|part| part.to_le_bytes()),
        );
        Self(bytes)
    }

    /// Reads the identifier at `at`; none when it is not valid.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(k: &Kernel, at: Va) -> Outcome<Option<Self>> {
        if at.is_null() || k.read::<u8>(at + layout::REVISION)? != REVISION {
            return Ok(None);
        }
        let count: u8 = k.read(at + layout::SUB_AUTHORITY_COUNT)?;
        if count > MOST_SUB_AUTHORITIES {
            return Ok(None);
        }
        Ok(Some(Self(k.read_bytes(at, length(count))?)))
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// In the form `S-1-5-18`.
    pub(super) fn text(&self) -> String {
        let authority = &self.0[layout::IDENTIFIER_AUTHORITY..layout::SUB_AUTHORITY];
        let number = authority
            .iter()
            .fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        let authority = if number >> 32 == 0 {
            number.to_string()
        } else {
            format!("{number:#014x}")
        };
        let parts = self.0[layout::SUB_AUTHORITY..].chunks_exact(4);
        let parts = parts.map(|part| u32::from_le_bytes([part[0], part[1], part[2], part[3]]));
        parts.fold(format!("S-{}-{authority}", self.0[0]), |text, part| {
            format!("{text}-{part}")
        })
    }
}

/// The bytes of an identifier with so many sub-authorities.
pub(super) fn length(sub_authorities: u8) -> usize {
    layout::SUB_AUTHORITY + 4 * usize::from(sub_authorities)
}

/// The bytes that the identifier at `at` says it has.
pub(super) fn length_at(k: &Kernel, at: Va) -> Outcome<usize> {
    Ok(length(k.read(at + layout::SUB_AUTHORITY_COUNT)?))
}

pub(super) fn register(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC);
    ddi.function("RtlLengthRequiredSid", 1, apc, |_, a| {
        Ok(8_u32.wrapping_add(a.u32(0).wrapping_mul(4)))
    });
    ddi.function("RtlLengthSid", 1, apc, |k, a| Ok(length_at(k, a.va(0))? as u64));
    ddi.function("RtlInitializeSid", 3, apc, |k, a| {
        let count = a.u8(2);
        if count > MOST_SUB_AUTHORITIES {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        initialise(k, a, count)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("RtlInitializeSidEx", 3, apc, |k, a| {
        let count = a.u8(2);
        if count > MOST_SUB_AUTHORITIES {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        initialise(k, a, count)?;
        for index in 0..usize::from(count) {
            let part = (a.variadic(k, 3 + index)? & 0xFFFF_FFFF) as u32;
            k.write(a.va(0) + layout::SUB_AUTHORITY + 4 * index, part)?;
        }
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("RtlSubAuthoritySid", 2, apc, |_, a| {
        Ok(a.va(0) + layout::SUB_AUTHORITY + 4 * u64::from(a.u32(1)))
    });
    ddi.function("RtlSubAuthorityCountSid", 1, apc, |_, a| {
        Ok(a.va(0) + layout::SUB_AUTHORITY_COUNT)
    });
    ddi.function("RtlIdentifierAuthoritySid", 1, apc, |_, a| {
        Ok(a.va(0) + layout::IDENTIFIER_AUTHORITY)
    });
    ddi.function("RtlCopySid", 3, apc, |k, a| {
        let length = length_at(k, a.va(2))?;
        if usize::try_from(a.u32(0)).is_ok_and(|room| room < length) {
            return Ok(NtStatus::BUFFER_TOO_SMALL);
        }
        let bytes = k.read_bytes(a.va(2), length)?;
        k.write_bytes(a.va(1), &bytes)?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("RtlEqualSid", 2, Contract::ANY, |k, a| {
        let length = length_at(k, a.va(0))?;
        // The first two bytes say the length of the other one.
        let same_form = k.read::<u16>(a.va(0))? == k.read::<u16>(a.va(1))?;
        Ok(same_form && k.read_bytes(a.va(0), length)? == k.read_bytes(a.va(1), length)?)
    });
    ddi.function("RtlEqualPrefixSid", 2, apc, |k, a| {
        let length = length_at(k, a.va(0))?;
        let same_form = k.read::<u16>(a.va(0))? == k.read::<u16>(a.va(1))?;
        let prefix = if length > layout::SUB_AUTHORITY {
            length - 4
        } else {
            length
        };
        Ok(same_form && k.read_bytes(a.va(0), prefix)? == k.read_bytes(a.va(1), prefix)?)
    });
    ddi.function("RtlValidSid", 1, apc, |k, a| Ok(Sid::read(k, a.va(0))?.is_some()));
    ddi.function("RtlConvertSidToUnicodeString", 3, apc, |k, a| {
        let Some(sid) = Sid::read(k, a.va(1))? else {
            return Ok(NtStatus::INVALID_SID);
        };
        string::store(k, a.va(0), &sid.text(), a.bool(2))
    });
    ddi.function("RtlMapGenericMask", 2, apc, |k, a| {
        let access: u32 = k.read(a.va(0))?;
        let mapped = super::access_check::map_generic(k, access, a.va(1))?;
        k.write(a.va(0), mapped)
    });
    for (name, all) in [("RtlAreAllAccessesGranted", true), ("RtlAreAnyAccessesGranted", false)] {
        ddi.function(name, 2, apc, move |_, a| {
            let (granted, desired) = (a.u32(0), a.u32(1));
            Ok(if all {
                desired & !granted == 0
            } else {
                desired & granted != 0
            })
        });
    }
}

/// Everything but the sub-authorities.
fn initialise(k: &Kernel, a: &Args, count: u8) -> Outcome<()> {
    let authority = k.read_bytes(a.va(1), 6)?;
    k.write(a.va(0) + layout::REVISION, REVISION)?;
    k.write(a.va(0) + layout::SUB_AUTHORITY_COUNT, count)?;
    k.write_bytes(a.va(0) + layout::IDENTIFIER_AUTHORITY, &authority)
}
