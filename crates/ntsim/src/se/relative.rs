//! Security descriptors in one piece: `RtlAbsoluteToSelfRelativeSD`, `RtlSelfRelativeToAbsoluteSD`, `RtlLengthSecurityDescriptor`,
//! `RtlValidSecurityDescriptor`, `SeCaptureSecurityDescriptor`.

use ntlayout::{security_descriptor as absolute, security_descriptor_relative as relative};

use super::{
    acl,
    descriptor::{DACL, Descriptor, GROUP, OWNER, Part, REVISION, SACL, SELF_RELATIVE},
    sid,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    rtl::PASSIVE,
    status::NtStatus,
};

/// The order of the parts behind a self-relative descriptor, with where their offsets are.
const ORDER: [(Part, usize); 4] = [
    (SACL, relative::SACL),
    (DACL, relative::DACL),
    (OWNER, relative::OWNER),
    (GROUP, relative::GROUP),
];

/// The tag of captured descriptors.
const CAPTURE_TAG: u32 = u32::from_le_bytes(*b"SeSc");

/// The parts that are asked for, by `SECURITY_INFORMATION`.
const OWNER_INFORMATION: u32 = 0x1;
const GROUP_INFORMATION: u32 = 0x2;
const DACL_INFORMATION: u32 = 0x4;
const SACL_INFORMATION: u32 = 0x8;

pub(super) fn register(ddi: &mut Registry) {
    let apc = Contract::at_most(Irql::APC);
    ddi.function("RtlLengthSecurityDescriptor", 1, apc, |k, a| {
        let descriptor = Descriptor::read(k, a.va(0))?;
        let header = if descriptor.is_relative() {
            relative::SIZE
        } else {
            absolute::SIZE
        };
        let parts: usize = part_lengths(k, &descriptor)?.iter().sum();
        Ok((header + parts) as u64)
    });
    ddi.function("RtlValidSecurityDescriptor", 1, apc, |k, a| {
        Descriptor::read(k, a.va(0))?.is_valid(k)
    });
    ddi.function("RtlValidRelativeSecurityDescriptor", 3, apc, |k, a| {
        is_valid_within(k, a.va(0), a.u32(1), a.u32(2))
    });
    ddi.function("SeValidSecurityDescriptor", 2, PASSIVE, |k, a| {
        is_valid_within(k, a.va(1), a.u32(0), 0)
    });
    ddi.function("RtlAbsoluteToSelfRelativeSD", 3, apc, |k, a| {
        let descriptor = Descriptor::read(k, a.va(0))?;
        if descriptor.is_relative() {
            return Ok(NtStatus::BAD_DESCRIPTOR_FORMAT);
        }
        store(k, &flatten(k, &descriptor)?, a.va(1), a.va(2))
    });
    ddi.function("RtlSelfRelativeToAbsoluteSD", 11, apc, to_absolute);
    ddi.function("SeCaptureSecurityDescriptor", 5, apc, capture);
    ddi.function("SeReleaseSecurityDescriptor", 3, apc, |k, a| {
        // What a capture has copied; a descriptor of the kernel's is copied only when the capture was forced.
        let copied = a.u8(1) != 0 || a.bool(2);
        if copied && !a.va(0).is_null() {
            k.free_system(a.va(0))?;
        }
        Ok(NtStatus::SUCCESS)
    });
}

/// The bytes of each part, as they count in one piece: multiples of four.
fn part_lengths(k: &Kernel, descriptor: &Descriptor) -> Outcome<[usize; 4]> {
    let mut lengths = [0; 4];
    for (length, (part, _)) in lengths.iter_mut().zip(ORDER) {
        let at = descriptor.part(k, part)?;
        if !at.is_null() {
            let bytes = if part.present == 0 {
                sid::length_at(k, at)?
            } else {
                acl::size_at(k, at)?
            };
            *length = bytes.next_multiple_of(4);
        }
    }
    Ok(lengths)
}

/// The bytes of a descriptor in its self-relative form.
pub(super) fn flatten(k: &Kernel, descriptor: &Descriptor) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0; relative::SIZE];
    bytes[absolute::REVISION] = REVISION;
    let control = descriptor.control | SELF_RELATIVE;
    bytes[absolute::CONTROL..absolute::CONTROL + 2].copy_from_slice(&control.to_le_bytes());
    for (part, offset) in ORDER {
        let content = descriptor.part_bytes(k, part)?;
        if content.is_empty() {
            continue;
        }
        let at = u32::try_from(bytes.len()).expect("a descriptor is short");
        bytes[offset..offset + 4].copy_from_slice(&at.to_le_bytes());
        bytes.extend(content);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    Ok(bytes)
}

/// Writes bytes when the variable at `length` says that there is room; it then says how many they are.
pub(super) fn store(k: &Kernel, bytes: &[u8], to: Va, length: Va) -> Outcome<NtStatus> {
    let needed = u32::try_from(bytes.len()).expect("a descriptor is short");
    let room: u32 = k.read(length)?;
    k.write(length, needed)?;
    if room < needed {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    if !bytes.is_empty() {
        k.write_bytes(to, bytes)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// Whether a self-relative descriptor lies in so many bytes, with the parts that are required.
fn is_valid_within(k: &Kernel, at: Va, length: u32, required: u32) -> Outcome<bool> {
    let length = usize::try_from(length).expect("32 bits fit");
    if length < relative::SIZE {
        return Ok(false);
    }
    let descriptor = Descriptor::read(k, at)?;
    if descriptor.revision != REVISION || !descriptor.is_relative() {
        return Ok(false);
    }
    let required_parts = [
        (OWNER, OWNER_INFORMATION, 8),
        (GROUP, GROUP_INFORMATION, 8),
        (DACL, DACL_INFORMATION, 8),
        (SACL, SACL_INFORMATION, 8),
    ];
    for (part, information, least) in required_parts {
        let place = descriptor.part(k, part)?;
        if place.is_null() {
            // A list that is required may be null, if the descriptor says that it has one.
            let said = part.present != 0 && descriptor.control & part.present != 0;
            if required & information != 0 && !said {
                return Ok(false);
            }
            continue;
        }
        let offset = usize::try_from(place - at).unwrap_or(usize::MAX);
        if offset < relative::SIZE || offset.saturating_add(least) > length {
            return Ok(false);
        }
        let size = if part.present == 0 {
            sid::length_at(k, place)?
        } else {
            acl::size_at(k, place)?
        };
        if offset + size > length {
            return Ok(false);
        }
    }
    descriptor.is_valid(k)
}

/// `RtlSelfRelativeToAbsoluteSD(Relative, Absolute, AbsoluteSize, Dacl, DaclSize, Sacl, SaclSize, Owner, OwnerSize, Group, GroupSize)`:
/// the sizes say what is needed when one of the buffers is too small.
fn to_absolute(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let descriptor = Descriptor::read(k, a.va(0))?;
    if !descriptor.is_relative() {
        return Ok(NtStatus::BAD_DESCRIPTOR_FORMAT);
    }
    let parts = [(DACL, 3), (SACL, 5), (OWNER, 7), (GROUP, 9)];
    let pointers = [absolute::DACL, absolute::SACL, absolute::OWNER, absolute::GROUP];
    let mut contents = Vec::new();
    let header = u32::try_from(absolute::SIZE).expect("it is short");
    let mut fits = k.read::<u32>(a.va(2))? >= header;
    for (part, argument) in parts {
        let content = descriptor.part_bytes(k, part)?;
        let needed = u32::try_from(content.len()).expect("a descriptor is short");
        fits &= k.read::<u32>(a.va(argument + 1))? >= needed;
        contents.push((content, needed, argument));
    }
    k.write(a.va(2), header)?;
    for &(_, needed, argument) in &contents {
        k.write(a.va(argument + 1), needed)?;
    }
    if !fits {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    k.fill(a.va(1), 0, absolute::SIZE)?;
    k.write(a.va(1) + absolute::REVISION, REVISION)?;
    k.write(a.va(1) + absolute::CONTROL, descriptor.control & !SELF_RELATIVE)?;
    for ((content, _, argument), pointer) in contents.into_iter().zip(pointers) {
        if !content.is_empty() {
            k.write_bytes(a.va(argument), &content)?;
            k.write(a.va(1) + pointer, a.va(argument))?;
        }
    }
    Ok(NtStatus::SUCCESS)
}

/// `SeCaptureSecurityDescriptor(Input, PreviousMode, PoolType, ForceCapture, Output)`: a self-relative copy in pool, which the caller has
/// to free. A descriptor of the kernel's is taken as it is unless the capture is forced.
fn capture(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (input, mode, pool_type, output) = (a.va(0), a.u8(1), a.u32(2), a.va(4));
    if input.is_null() || (mode == 0 && !a.bool(3)) {
        k.write(output, input)?;
        return Ok(NtStatus::SUCCESS);
    }
    let descriptor = Descriptor::read(k, input)?;
    if descriptor.revision != REVISION {
        return Ok(NtStatus::UNKNOWN_REVISION);
    }
    if !descriptor.is_valid(k)? {
        return Ok(NtStatus::INVALID_SECURITY_DESCR);
    }
    let bytes = flatten(k, &descriptor)?;
    let kind = if pool_type & 1 == 1 {
        PoolKind::Paged
    } else {
        PoolKind::NonPagedNx
    };
    let size = bytes.len() as u64;
    let copy = k.allocate_pool(
        kind,
        size,
        CAPTURE_TAG,
        PoolOwner::Driver,
        "captured security descriptor",
    );
    k.write_bytes(copy, &bytes)?;
    k.write(output, copy)?;
    Ok(NtStatus::SUCCESS)
}
