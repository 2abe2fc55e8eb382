//! Security descriptors: `RtlCreateSecurityDescriptor`, `RtlSetDaclSecurityDescriptor`, `RtlGetOwnerSecurityDescriptor` and the like.

use ntlayout::{security_descriptor as absolute, security_descriptor_relative as relative};

use super::{acl, sid, sid::Sid};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `SECURITY_DESCRIPTOR_REVISION`.
pub(super) const REVISION: u8 = 1;
/// `SE_SELF_RELATIVE` of a descriptor's control.
pub(super) const SELF_RELATIVE: u16 = 0x8000;

/// A part of a descriptor: where its pointer or offset is, and its bits of the control.
#[derive(Clone, Copy)]
pub(super) struct Part {
    absolute: usize,
    relative: usize,
    /// `SE_XXX_PRESENT`; owner and group have none.
    pub present: u16,
    /// `SE_XXX_DEFAULTED`.
    pub defaulted: u16,
}

/// The owner.
pub(super) const OWNER: Part = Part {
    absolute: absolute::OWNER,
    relative: relative::OWNER,
    present: 0,
    defaulted: 0x0001,
};
/// The primary group.
pub(super) const GROUP: Part = Part {
    absolute: absolute::GROUP,
    relative: relative::GROUP,
    present: 0,
    defaulted: 0x0002,
};
/// The discretionary list: who may do what.
pub(super) const DACL: Part = Part {
    absolute: absolute::DACL,
    relative: relative::DACL,
    present: 0x0004,
    defaulted: 0x0008,
};
/// The system list: what is audited.
pub(super) const SACL: Part = Part {
    absolute: absolute::SACL,
    relative: relative::SACL,
    present: 0x0010,
    defaulted: 0x0020,
};

/// A security descriptor in memory, of either form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Descriptor {
    pub at: Va,
    pub revision: u8,
    pub control: u16,
}

impl Descriptor {
    pub(super) fn read(k: &Kernel, at: Va) -> Outcome<Self> {
        Ok(Self {
            at,
            revision: k.read(at + absolute::REVISION)?,
            control: k.read(at + absolute::CONTROL)?,
        })
    }

    pub(super) fn is_relative(&self) -> bool {
        self.control & SELF_RELATIVE != 0
    }

    /// Where a part is; null when there is none.
    pub(super) fn part(&self, k: &Kernel, part: Part) -> Outcome<Va> {
        if part.present != 0 && self.control & part.present == 0 {
            return Ok(Va::NULL);
        }
        if !self.is_relative() {
            return k.read(self.at + part.absolute);
        }
        let offset: u32 = k.read(self.at + part.relative)?;
        Ok(if offset == 0 {
            Va::NULL
        } else {
            self.at + u64::from(offset)
        })
    }

    fn set(&self, k: &Kernel, part: Part, at: Va, defaulted: bool) -> Outcome<()> {
        let control = self.control & !part.defaulted | part.present | if defaulted { part.defaulted } else { 0 };
        k.write(self.at + absolute::CONTROL, control)?;
        k.write(self.at + part.absolute, at)
    }

    /// The bytes of a part.
    pub(super) fn part_bytes(&self, k: &Kernel, part: Part) -> Outcome<Vec<u8>> {
        let at = self.part(k, part)?;
        if at.is_null() {
            return Ok(Vec::new());
        }
        let length = if part.present == 0 {
            sid::length_at(k, at)?
        } else {
            acl::size_at(k, at)?
        };
        k.read_bytes(at, length)
    }

    /// Whether its revision and every part of it is well formed.
    pub(super) fn is_valid(&self, k: &Kernel) -> Outcome<bool> {
        if self.revision != REVISION {
            return Ok(false);
        }
        for part in [OWNER, GROUP] {
            let at = self.part(k, part)?;
            if !at.is_null() && Sid::read(k, at)?.is_none() {
                return Ok(false);
            }
        }
        for part in [DACL, SACL] {
            let at = self.part(k, part)?;
            if !at.is_null() && !acl::is_valid(k, at)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

pub(super) fn register(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC);
    ddi.function("RtlCreateSecurityDescriptor", 2, apc, |k, a| {
        create(k, a, absolute::SIZE, 0)
    });
    ddi.function("RtlCreateSecurityDescriptorRelative", 2, apc, |k, a| {
        create(k, a, relative::SIZE, SELF_RELATIVE)
    });
    for (name, part) in [
        ("RtlSetOwnerSecurityDescriptor", OWNER),
        ("RtlSetGroupSecurityDescriptor", GROUP),
    ] {
        ddi.function(name, 3, apc, move |k, a| {
            Ok(match settable(k, a.va(0))? {
                Ok(descriptor) => {
                    descriptor.set(k, part, a.va(1), a.bool(2))?;
                    NtStatus::SUCCESS
                }
                Err(status) => status,
            })
        });
    }
    for (name, part) in [
        ("RtlSetDaclSecurityDescriptor", DACL),
        ("RtlSetSaclSecurityDescriptor", SACL),
    ] {
        ddi.function(name, 4, apc, move |k, a| {
            let descriptor = match settable(k, a.va(0))? {
                Ok(descriptor) => descriptor,
                Err(status) => return Ok(status),
            };
            if a.bool(1) {
                descriptor.set(k, part, a.va(2), a.bool(3))?;
            } else {
                k.write(descriptor.at + absolute::CONTROL, descriptor.control & !part.present)?;
            }
            Ok(NtStatus::SUCCESS)
        });
    }
    for (name, part) in [
        ("RtlGetOwnerSecurityDescriptor", OWNER),
        ("RtlGetGroupSecurityDescriptor", GROUP),
    ] {
        ddi.function(name, 3, apc, move |k, a| {
            let descriptor = Descriptor::read(k, a.va(0))?;
            if descriptor.revision != REVISION {
                return Ok(NtStatus::UNKNOWN_REVISION);
            }
            k.write(a.va(1), descriptor.part(k, part)?)?;
            k.write(a.va(2), u8::from(descriptor.control & part.defaulted != 0))?;
            Ok(NtStatus::SUCCESS)
        });
    }
    for (name, part) in [
        ("RtlGetDaclSecurityDescriptor", DACL),
        ("RtlGetSaclSecurityDescriptor", SACL),
    ] {
        ddi.function(name, 4, apc, move |k, a| get_list(k, a, part));
    }
}

/// `RtlCreateSecurityDescriptor(SecurityDescriptor, Revision)`: an empty one.
fn create(k: &Kernel, a: &Args, size: usize, control: u16) -> Outcome<NtStatus> {
    if a.u32(1) != u32::from(REVISION) {
        return Ok(NtStatus::UNKNOWN_REVISION);
    }
    k.fill(a.va(0), 0, size)?;
    k.write(a.va(0) + absolute::REVISION, REVISION)?;
    k.write(a.va(0) + absolute::CONTROL, control)?;
    Ok(NtStatus::SUCCESS)
}

/// The descriptor at `at`, whose parts can be set: an absolute one.
fn settable(k: &Kernel, at: Va) -> Outcome<Result<Descriptor, NtStatus>> {
    let descriptor = Descriptor::read(k, at)?;
    Ok(if descriptor.revision != REVISION {
        Err(NtStatus::UNKNOWN_REVISION)
    } else if descriptor.is_relative() {
        Err(NtStatus::INVALID_SECURITY_DESCR)
    } else {
        Ok(descriptor)
    })
}

/// `RtlGetDaclSecurityDescriptor(SecurityDescriptor, DaclPresent, Dacl, DaclDefaulted)`: of a list that is not there only that is said.
fn get_list(k: &Kernel, a: &Args, part: Part) -> Outcome<NtStatus> {
    let descriptor = Descriptor::read(k, a.va(0))?;
    if descriptor.revision != REVISION {
        return Ok(NtStatus::UNKNOWN_REVISION);
    }
    let present = descriptor.control & part.present != 0;
    k.write(a.va(1), u8::from(present))?;
    if present {
        k.write(a.va(2), descriptor.part(k, part)?)?;
        k.write(a.va(3), u8::from(descriptor.control & part.defaulted != 0))?;
    }
    Ok(NtStatus::SUCCESS)
}
