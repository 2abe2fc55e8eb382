//! Access control lists: `RtlCreateAcl`, `RtlAddAccessAllowedAce`, `RtlAddAce`, `RtlGetAce`, `RtlDeleteAce`.

use ntlayout::{ace_header as ace, acl as layout};

use super::sid::Sid;
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `MIN_ACL_REVISION` and `MAX_ACL_REVISION`.
const REVISIONS: std::ops::RangeInclusive<u8> = 2..=4;
/// `VALID_INHERIT_FLAGS`.
const INHERIT_FLAGS: u32 = 0x1F;
/// `ACCESS_ALLOWED_ACE_TYPE`.
const ACCESS_ALLOWED: u8 = 0;
/// `ACCESS_DENIED_ACE_TYPE`.
const ACCESS_DENIED: u8 = 1;
/// `INHERIT_ONLY_ACE`: the entry is for objects below, not for this one.
const INHERIT_ONLY: u8 = 0x08;
/// The index that appends.
const AT_END: u32 = u32::MAX;

/// An entry that grants or denies rights to an identifier.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub denies: bool,
    pub mask: u32,
    pub sid: Sid,
}

/// A list's header.
#[derive(Clone, Copy, Debug)]
struct Header {
    at: Va,
    revision: u8,
    size: u16,
    count: u16,
}

impl Header {
    fn read(k: &Kernel, at: Va) -> Outcome<Self> {
        Ok(Self {
            at,
            revision: k.read(at + layout::ACL_REVISION)?,
            size: k.read(at + layout::ACL_SIZE)?,
            count: k.read(at + layout::ACE_COUNT)?,
        })
    }

    /// Where each entry starts, and where the first free byte is; none when they do not fit the list.
    fn entries(&self, k: &Kernel) -> Outcome<Option<Vec<usize>>> {
        let size = usize::from(self.size);
        if !REVISIONS.contains(&self.revision) || size < layout::SIZE {
            return Ok(None);
        }
        let mut offsets = vec![layout::SIZE];
        let mut offset = layout::SIZE;
        for _ in 0..self.count {
            if offset + ace::SIZE > size {
                return Ok(None);
            }
            let length: u16 = k.read(self.at + offset + ace::ACE_SIZE)?;
            offset += usize::from(length);
            if usize::from(length) < ace::SIZE || offset > size {
                return Ok(None);
            }
            offsets.push(offset);
        }
        Ok(Some(offsets))
    }
}

/// The bytes of the list at `at`, as its header says them.
pub(super) fn size_at(k: &Kernel, at: Va) -> Outcome<usize> {
    Ok(usize::from(Header::read(k, at)?.size))
}

/// Whether the list at `at` is well formed.
pub(super) fn is_valid(k: &Kernel, at: Va) -> Outcome<bool> {
    Ok(Header::read(k, at)?.entries(k)?.is_some())
}

/// The entries of the list at `at` that grant or deny access to this very object, in their order.
pub(super) fn entries(k: &Kernel, at: Va) -> Outcome<Vec<Entry>> {
    let header = Header::read(k, at)?;
    let offsets = header.entries(k)?.unwrap_or_default();
    let mut entries = Vec::new();
    for &offset in offsets.iter().take(header.count.into()) {
        let start = at + offset;
        let (kind, flags): (u8, u8) = (k.read(start + ace::ACE_TYPE)?, k.read(start + ace::ACE_FLAGS)?);
        if !matches!(kind, ACCESS_ALLOWED | ACCESS_DENIED) || flags & INHERIT_ONLY != 0 {
            continue;
        }
        if let Some(sid) = Sid::read(k, start + ace::SID_START)? {
            let mask = k.read(start + ace::MASK)?;
            let denies = kind == ACCESS_DENIED;
            entries.push(Entry { denies, mask, sid });
        }
    }
    Ok(entries)
}

pub(super) fn register(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC);
    ddi.function("RtlCreateAcl", 3, apc, create);
    ddi.function("RtlAddAccessAllowedAce", 4, apc, |k, a| {
        add_simple(k, a, ACCESS_ALLOWED, 0, a.u32(2), a.va(3))
    });
    ddi.function("RtlAddAccessAllowedAceEx", 5, apc, |k, a| {
        add_simple(k, a, ACCESS_ALLOWED, a.u32(2), a.u32(3), a.va(4))
    });
    ddi.function("RtlAddAccessDeniedAce", 4, apc, |k, a| {
        add_simple(k, a, ACCESS_DENIED, 0, a.u32(2), a.va(3))
    });
    ddi.function("RtlAddAce", 5, apc, add);
    ddi.function("RtlGetAce", 3, apc, |k, a| {
        let header = Header::read(k, a.va(0))?;
        let index = usize::try_from(a.u32(1)).expect("32 bits fit");
        let offsets = header.entries(k)?.unwrap_or_default();
        if index >= usize::from(header.count) || index >= offsets.len() {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        k.write(a.va(2), header.at + offsets[index])?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("RtlDeleteAce", 2, apc, delete);
}

/// `RtlCreateAcl(Acl, AclLength, AclRevision)`.
fn create(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let length = a.u32(1);
    if usize::try_from(length).is_ok_and(|length| length < layout::SIZE) {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    let revision = u8::try_from(a.u32(2))
        .ok()
        .filter(|revision| REVISIONS.contains(revision));
    let (Some(revision), Ok(length)) = (revision, u16::try_from(length)) else {
        return Ok(NtStatus::INVALID_PARAMETER);
    };
    k.fill(a.va(0), 0, layout::SIZE)?;
    k.write(a.va(0) + layout::ACL_REVISION, revision)?;
    k.write(a.va(0) + layout::ACL_SIZE, length & !3)?;
    Ok(NtStatus::SUCCESS)
}

/// `RtlAddAccessXxxAce(Acl, AceRevision, [AceFlags,] AccessMask, Sid)`: the entry comes last.
fn add_simple(k: &Kernel, a: &Args, kind: u8, flags: u32, mask: u32, sid: Va) -> Outcome<NtStatus> {
    let Some(sid) = Sid::read(k, sid)? else {
        return Ok(NtStatus::INVALID_SID);
    };
    let header = Header::read(k, a.va(0))?;
    let revision = u8::try_from(a.u32(1)).ok();
    let Some(revision) =
        revision.filter(|revision| *revision <= *REVISIONS.end() && header.revision <= *REVISIONS.end())
    else {
        return Ok(NtStatus::REVISION_MISMATCH);
    };
    let Some(flags) = u8::try_from(flags & INHERIT_FLAGS)
        .ok()
        .filter(|_| flags & !INHERIT_FLAGS == 0)
    else {
        return Ok(NtStatus::INVALID_PARAMETER);
    };
    let Some(offsets) = header.entries(k)? else {
        return Ok(NtStatus::INVALID_ACL);
    };
    let end = offsets[offsets.len() - 1];
    let length = ace::SID_START + sid.bytes().len();
    if end + length > usize::from(header.size) {
        return Ok(NtStatus::ALLOTTED_SPACE_EXCEEDED);
    }
    let at = header.at + end;
    k.write(at + ace::ACE_TYPE, kind)?;
    k.write(at + ace::ACE_FLAGS, flags)?;
    k.write(at + ace::ACE_SIZE, u16::try_from(length).expect("a SID is short"))?;
    k.write(at + ace::MASK, mask)?;
    k.write_bytes(at + ace::SID_START, sid.bytes())?;
    k.write(header.at + layout::ACE_COUNT, header.count + 1)?;
    k.write(header.at + layout::ACL_REVISION, header.revision.max(revision))?;
    Ok(NtStatus::SUCCESS)
}

/// `RtlAddAce(Acl, AceRevision, StartingAceIndex, AceList, AceListLength)`.
fn add(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let header = Header::read(k, a.va(0))?;
    let Some(offsets) = header.entries(k)? else {
        return Ok(NtStatus::INVALID_PARAMETER);
    };
    let revision = u8::try_from(a.u32(1)).ok();
    let Some(revision) = revision.filter(|revision| REVISIONS.contains(revision)) else {
        return Ok(NtStatus::INVALID_PARAMETER);
    };
    let length = usize::try_from(a.u32(4)).expect("32 bits fit");
    if length > usize::from(header.size) {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    let list = k.read_bytes(a.va(3), length)?;
    let mut added = 0_u16;
    let mut rest = &list[..];
    while rest.len() >= ace::SIZE {
        let length = usize::from(u16::from_le_bytes([rest[ace::ACE_SIZE], rest[ace::ACE_SIZE + 1]]));
        if length < ace::SIZE || length > rest.len() {
            return Ok(NtStatus::INVALID_PARAMETER);
        }
        rest = &rest[length..];
        added += 1;
    }
    if !rest.is_empty() {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let end = offsets[offsets.len() - 1];
    if end + list.len() > usize::from(header.size) {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    let index = match a.u32(2) {
        AT_END => offsets.len() - 1,
        index => usize::try_from(index).expect("32 bits fit").min(offsets.len() - 1),
    };
    let start = offsets[index];
    if start < end {
        let behind = k.read_bytes(header.at + start, end - start)?;
        k.write_bytes(header.at + start + list.len(), &behind)?;
    }
    if !list.is_empty() {
        k.write_bytes(header.at + start, &list)?;
    }
    k.write(header.at + layout::ACE_COUNT, header.count + added)?;
    k.write(header.at + layout::ACL_REVISION, header.revision.max(revision))?;
    Ok(NtStatus::SUCCESS)
}

/// `RtlDeleteAce(Acl, AceIndex)`: the entries behind move up.
fn delete(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let header = Header::read(k, a.va(0))?;
    let index = usize::try_from(a.u32(1)).expect("32 bits fit");
    let offsets = match header.entries(k)? {
        Some(offsets) if index < usize::from(header.count) => offsets,
        _ => return Ok(NtStatus::INVALID_PARAMETER),
    };
    let (start, next, end) = (offsets[index], offsets[index + 1], offsets[offsets.len() - 1]);
    if next < end {
        let behind = k.read_bytes(header.at + next, end - next)?;
        k.write_bytes(header.at + start, &behind)?;
    }
    k.fill(header.at + (end - (next - start)), 0, next - start)?;
    k.write(header.at + layout::ACE_COUNT, header.count - 1)?;
    Ok(NtStatus::SUCCESS)
}
