//! The version of the system: `RtlGetVersion`, `RtlVerifyVersionInfo`, `PsGetVersion` and the like. It is Windows 11 22H2, a workstation.

use std::cmp::Ordering;

use ntlayout::rtl_osversioninfoexw as layout;

use super::{counted::PASSIVE, unicode_string};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

const MAJOR: u32 = 10;
const MINOR: u32 = 0;
const BUILD: u32 = 22_621;
/// `VER_PLATFORM_WIN32_NT`.
const PLATFORM: u32 = 2;
/// `VER_SUITE_SINGLEUSERTS`.
const SUITE: u16 = 0x0100;
/// `VER_NT_WORKSTATION`.
const PRODUCT_TYPE: u8 = 1;
/// `NTDDI_WIN10_NI`, the version of the device driver interface.
const DDI_VERSION: u32 = 0x0A00_000C;
/// What `NtBuildNumber` carries of a free build.
const FREE_BUILD: u32 = 0xF000_0000;

/// The members that a comparison can ask for, with their bit of `TypeMask`.
const VER_MINORVERSION: u32 = 0x01;
const VER_MAJORVERSION: u32 = 0x02;
const VER_BUILDNUMBER: u32 = 0x04;
const VER_PLATFORMID: u32 = 0x08;
const VER_SERVICEPACKMINOR: u32 = 0x10;
const VER_SERVICEPACKMAJOR: u32 = 0x20;
const VER_SUITENAME: u32 = 0x40;
const VER_PRODUCT_TYPE: u32 = 0x80;

/// `VER_AND` of a condition on the suites.
const VER_AND: u64 = 6;
/// `VER_OR`.
const VER_OR: u64 = 7;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlGetVersion", 1, PASSIVE, get);
    ddi.function("RtlVerifyVersionInfo", 3, PASSIVE, verify);
    ddi.function("PsGetVersion", 4, PASSIVE, |k, a| {
        for (index, number) in [(0, MAJOR), (1, MINOR), (2, BUILD)] {
            if !a.va(index).is_null() {
                k.write(a.va(index), number)?;
            }
        }
        if !a.va(3).is_null() {
            unicode_string::write(k, a.va(3), 0, 0, Va::NULL)?;
        }
        // This is no checked build.
        Ok(false)
    });
    ddi.function("RtlIsNtDdiVersionAvailable", 1, PASSIVE, |_, a| {
        Ok(a.u32(0) <= DDI_VERSION)
    });
    // Of another major version no service pack is installed.
    ddi.function("RtlIsServicePackVersionInstalled", 1, PASSIVE, |_, a| {
        let version = a.u32(0);
        Ok(version >> 16 == DDI_VERSION >> 16 && version <= DDI_VERSION)
    });
    ddi.function("RtlGetNtGlobalFlags", 0, Contract::ANY, |_, _| Ok(0_u32));
    ddi.data("NtBuildNumber", 4, |k, at| k.write(at, FREE_BUILD | BUILD));
}

/// `RtlGetVersion(VersionInformation)`.
fn get(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let to = a.va(0);
    let size = usize::try_from(k.read::<u32>(to + layout::OS_VERSION_INFO_SIZE)?).expect("32 bits fit");
    k.write(to + layout::MAJOR_VERSION, MAJOR)?;
    k.write(to + layout::MINOR_VERSION, MINOR)?;
    k.write(to + layout::BUILD_NUMBER, BUILD)?;
    k.write(to + layout::PLATFORM_ID, PLATFORM)?;
    k.write(to + layout::CSD_VERSION, 0_u16)?;
    if size >= layout::SIZE {
        k.write(to + layout::SERVICE_PACK_MAJOR, 0_u16)?;
        k.write(to + layout::SERVICE_PACK_MINOR, 0_u16)?;
        k.write(to + layout::SUITE_MASK, SUITE)?;
        k.write(to + layout::PRODUCT_TYPE, PRODUCT_TYPE)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// The condition for the member whose bit of the type mask is given: three bits for each.
fn condition(mask: u64, member: u32) -> u64 {
    mask >> (member.trailing_zeros() * 3) & 7
}

/// Whether the system's number stands to the asked one as the condition says.
fn holds(condition: u64, system: Ordering) -> Option<bool> {
    Some(match condition {
        1 => system.is_eq(),
        2 => system.is_gt(),
        3 => system.is_ge(),
        4 => system.is_lt(),
        5 => system.is_le(),
        _ => return None,
    })
}

/// `RtlVerifyVersionInfo(VersionInfo, TypeMask, ConditionMask)`.
fn verify(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let (info, types, conditions) = (a.va(0), a.u32(1), a.u64(2));
    if types == 0 || conditions == 0 {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let mut matches = true;
    if types & VER_SUITENAME != 0 {
        let asked: u16 = k.read(info + layout::SUITE_MASK)?;
        matches &= match condition(conditions, VER_SUITENAME) {
            VER_AND => SUITE & asked == asked,
            VER_OR => SUITE & asked != 0 || asked == 0,
            _ => return Ok(NtStatus::INVALID_PARAMETER),
        };
    }
    let single = [
        (VER_PLATFORMID, PLATFORM, k.read::<u32>(info + layout::PLATFORM_ID)?),
        (VER_BUILDNUMBER, BUILD, k.read::<u32>(info + layout::BUILD_NUMBER)?),
        (
            VER_PRODUCT_TYPE,
            PRODUCT_TYPE.into(),
            if types & VER_PRODUCT_TYPE == 0 {
                0
            } else {
                k.read::<u8>(info + layout::PRODUCT_TYPE)?.into()
            },
        ),
    ];
    for (member, system, asked) in single {
        if types & member != 0 {
            match holds(condition(conditions, member), system.cmp(&asked)) {
                Some(fits) => matches &= fits,
                None => return Ok(NtStatus::INVALID_PARAMETER),
            }
        }
    }
    match verify_levels(k, info, types, conditions)? {
        Some(fits) => matches &= fits,
        None => return Ok(NtStatus::INVALID_PARAMETER),
    }
    Ok(if matches {
        NtStatus::SUCCESS
    } else {
        NtStatus::REVISION_MISMATCH
    })
}

/// Major version, minor version and service packs are one number: a lower part counts only when those above it are equal. The condition is
/// that of the highest part which is asked for.
fn verify_levels(k: &Kernel, info: Va, types: u32, conditions: u64) -> Outcome<Option<bool>> {
    let levels = [
        (VER_MAJORVERSION, MAJOR, layout::MAJOR_VERSION, 4),
        (VER_MINORVERSION, MINOR, layout::MINOR_VERSION, 4),
        (VER_SERVICEPACKMAJOR, 0, layout::SERVICE_PACK_MAJOR, 2),
        (VER_SERVICEPACKMINOR, 0, layout::SERVICE_PACK_MINOR, 2),
    ];
    let mut highest = None;
    let mut order = Ordering::Equal;
    for (member, system, offset, size) in levels {
        if types & member == 0 {
            continue;
        }
        let asked = if size == 4 {
            k.read::<u32>(info + offset)?
        } else {
            k.read::<u16>(info + offset)?.into()
        };
        highest.get_or_insert(member);
        order = order.then(system.cmp(&asked));
    }
    Ok(match highest {
        None => Some(true),
        Some(member) => holds(condition(conditions, member), order),
    })
}
