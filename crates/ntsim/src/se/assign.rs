//! Security of new objects: `SeAssignSecurity`, `SeDeassignSecurity`.

use ntlayout::{security_descriptor as absolute, security_descriptor_relative as relative};

use super::{
    descriptor::{DACL, Descriptor, GROUP, OWNER, REVISION, SACL, SELF_RELATIVE},
    sid::Sid,
    subject,
    token::{administrators, everyone, local_system},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    rtl::PASSIVE,
    status::NtStatus,
};

const TAG: u32 = u32::from_le_bytes(*b"SeSd");

/// `GENERIC_ALL`.
const GENERIC_ALL: u32 = 0x1000_0000;
/// `GENERIC_READ`, `GENERIC_WRITE` and `GENERIC_EXECUTE`.
const GENERIC_USE: u32 = 0xE000_0000;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("SeAssignSecurity", 7, PASSIVE, assign);
    ddi.function("SeDeassignSecurity", 1, PASSIVE, |k, a| {
        let descriptor: Va = k.read(a.va(0))?;
        if !descriptor.is_null() {
            k.free_system(descriptor)?;
            k.write(a.va(0), Va::NULL)?;
        }
        Ok(NtStatus::SUCCESS)
    });
}

/// The parts of a self-relative descriptor.
#[derive(Default)]
pub(super) struct Parts {
    pub owner: Vec<u8>,
    pub group: Vec<u8>,
    /// Absent, null (of no bytes), or a list.
    pub dacl: Option<Vec<u8>>,
    pub sacl: Option<Vec<u8>>,
}

impl Parts {
    /// The parts of a descriptor in memory.
    pub(super) fn of(k: &Kernel, descriptor: &Descriptor) -> Outcome<Self> {
        let list = |part: super::descriptor::Part| {
            let present = descriptor.control & part.present != 0;
            present.then(|| descriptor.part_bytes(k, part)).transpose()
        };
        Ok(Self {
            owner: descriptor.part_bytes(k, OWNER)?,
            group: descriptor.part_bytes(k, GROUP)?,
            dacl: list(DACL)?,
            sacl: list(SACL)?,
        })
    }

    /// The bytes of the descriptor.
    pub(super) fn flatten(&self) -> Vec<u8> {
        let mut bytes = vec![0; relative::SIZE];
        bytes[absolute::REVISION] = REVISION;
        let mut control = SELF_RELATIVE;
        let parts = [
            (SACL.present, self.sacl.as_deref(), relative::SACL),
            (DACL.present, self.dacl.as_deref(), relative::DACL),
            (0, Some(&self.owner[..]), relative::OWNER),
            (0, Some(&self.group[..]), relative::GROUP),
        ];
        for (present, content, offset) in parts {
            let Some(content) = content else {
                continue;
            };
            control |= present;
            if !content.is_empty() {
                let at = u32::try_from(bytes.len()).expect("a descriptor is short");
                bytes[offset..offset + 4].copy_from_slice(&at.to_le_bytes());
                bytes.extend(content);
                bytes.resize(bytes.len().next_multiple_of(4), 0);
            }
        }
        bytes[absolute::CONTROL..absolute::CONTROL + 2].copy_from_slice(&control.to_le_bytes());
        bytes
    }
}

/// A list that allows rights to identifiers.
pub(super) fn list_of(entries: &[(Sid, u32)]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0, 0, 0, 0];
    for (sid, mask) in entries {
        let length = u16::try_from(8 + sid.bytes().len()).expect("a SID is short");
        bytes.extend([0, 0]);
        bytes.extend(length.to_le_bytes());
        bytes.extend(mask.to_le_bytes());
        bytes.extend(sid.bytes());
    }
    let size = u16::try_from(bytes.len()).expect("a list is short");
    let count = u16::try_from(entries.len()).expect("a list is short");
    bytes[2..4].copy_from_slice(&size.to_le_bytes());
    bytes[4..6].copy_from_slice(&count.to_le_bytes());
    bytes
}

/// What an object has that nobody gave a descriptor: the system and administrators may do everything, others use it.
pub(super) fn default_of_object() -> Parts {
    Parts {
        owner: administrators().bytes().to_vec(),
        group: local_system().bytes().to_vec(),
        dacl: Some(list_of(&[
            (everyone(), GENERIC_USE),
            (local_system(), GENERIC_ALL),
            (administrators(), GENERIC_ALL),
        ])),
        sacl: None,
    }
}

/// `SeAssignSecurity(ParentDescriptor, ExplicitDescriptor, NewDescriptor, IsDirectoryObject, SubjectContext, GenericMapping, PoolType)`:
/// what the creator says, and else the defaults of its token.
fn assign(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (parent, explicit) = (a.va(0), a.va(1));
    if !parent.is_null() {
        let what = "SeAssignSecurity with a ParentDescriptor is not modelled: nothing is inherited from it";
        return Err(k.not_modelled(what));
    }
    let token = subject::token_of(k, "SeAssignSecurity", a.va(4))?;
    let mut parts = if explicit.is_null() {
        Parts::default()
    } else {
        let descriptor = Descriptor::read(k, explicit)?;
        if !descriptor.is_valid(k)? {
            return Ok(NtStatus::INVALID_SECURITY_DESCR);
        }
        Parts::of(k, &descriptor)?
    };
    if parts.owner.is_empty() {
        parts.owner = token.owner.bytes().to_vec();
    }
    if parts.group.is_empty() {
        parts.group = token.primary_group.bytes().to_vec();
    }
    if parts.dacl.is_none() {
        parts.dacl = Some(list_of(&[
            (token.owner.clone(), GENERIC_ALL),
            (local_system(), GENERIC_ALL),
        ]));
    }
    let kind = if a.u32(6) & 1 == 1 {
        PoolKind::Paged
    } else {
        PoolKind::NonPagedNx
    };
    let bytes = parts.flatten();
    let new = k.allocate_pool(kind, bytes.len() as u64, TAG, PoolOwner::Driver, "security descriptor");
    k.write_bytes(new, &bytes)?;
    k.write(a.va(2), new)?;
    Ok(NtStatus::SUCCESS)
}
