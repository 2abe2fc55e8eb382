//! Device memory in the system's address space: `MmMapIoSpaceEx`, `MmMapIoSpace`, `MmUnmapIoSpace`.

use std::collections::BTreeMap;

use super::{AddressSpace, PAGE_SIZE, Pa, Protection, Va, layout, physical};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
};

/// What is mapped: the address handed out, and for how many bytes.
#[derive(Debug, Default)]
pub struct IoSpace {
    mapped: BTreeMap<Va, u64>,
    next: u64,
}

impl IoSpace {
    /// What has not been unmapped: address and bytes.
    #[must_use]
    pub fn mapped(&self) -> Vec<(Va, u64)> {
        self.mapped.iter().map(|(&va, &length)| (va, length)).collect()
    }
}

const MAPPED_ABOVE_DISPATCH: u64 = 0x73;
const UNMAPPED_ABOVE_DISPATCH: u64 = 0x7B;

/// Maps device memory, or memory that is in use. The address is null when nothing answers there.
///
/// # Errors
/// When it is RAM that nobody has.
pub fn map(k: &Kernel, physical: Pa, length: u64) -> Outcome<Va> {
    const NOT_LOCKED: u64 = 0x83;
    let page = Pa(physical.0 & !(PAGE_SIZE - 1));
    let offset = physical - page;
    if length == 0 || length > LARGEST {
        return Ok(Va::NULL);
    }
    let pages = AddressSpace::round_up(offset + length);
    match what_lies_at(k, physical, length) {
        Lies::Device | Lies::Memory => {}
        Lies::Nothing => return Ok(Va::NULL),
        Lies::UnusedMemory => {
            return Err(k.bugcheck(BugCheck::new(
                Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
                [NOT_LOCKED, physical.0, length, page.0 / PAGE_SIZE],
                "io-space-not-locked",
                format!("MmMapIoSpace was given {length:#x} bytes of RAM at {physical}, which nobody has allocated or locked"),
            )));
        }
    }
    Ok(map_pages(k, page, offset, pages, length))
}

/// The most that is mapped at a time.
const LARGEST: u64 = 1 << 32;
/// Where firmware has its tables and its code, below 1 MiB.
pub(super) const FIRMWARE: u64 = 0x10_0000;

/// What lies at a physical address.
enum Lies {
    Device,
    Memory,
    UnusedMemory,
    Nothing,
}

/// Whether firmware's memory is there: once somebody has wanted to see it.
#[derive(Debug, Default)]
struct Firmware(bool);

/// Puts memory where firmware has its own, once somebody looks for it.
pub(super) fn show_firmware(k: &Kernel) {
    let state = k.state::<Firmware>();
    if !std::mem::replace(&mut state.borrow_mut().0, true) {
        // This machine's firmware has left nothing there that a driver would look for.
        let mapped = k.engine().borrow_mut().map_ram(Pa(0), FIRMWARE);
        mapped.expect("nothing else lies there");
    }
}

fn what_lies_at(k: &Kernel, physical: Pa, length: u64) -> Lies {
    let windows = k.watch().hardware.borrow().windows();
    let within = |&(start, size): &(Pa, u64)| physical - start < size && length <= size - (physical - start);
    if windows.iter().any(within) {
        return Lies::Device;
    }
    let Some(end) = physical.0.checked_add(length) else {
        return Lies::Nothing;
    };
    if end <= FIRMWARE {
        show_firmware(k);
        return Lies::Memory;
    }
    let ram = physical::ranges();
    if !ram.iter().any(|range| range.contains(&physical.0) && end <= range.end) {
        return Lies::Nothing;
    }
    if physical::is_in_use(k, physical, length) {
        Lies::Memory
    } else {
        Lies::UnusedMemory
    }
}

fn map_pages(k: &Kernel, page: Pa, offset: u64, pages: u64, length: u64) -> Va {
    let mut space = k.io_space().borrow_mut();
    let start = layout::IO_SPACE + space.next;
    space.next += pages + PAGE_SIZE;
    let va = start + offset;
    space.mapped.insert(va, length);
    k.map_physical(start, page, pages, Protection::READ_WRITE, "device memory");
    va
}

/// Unmaps device memory.
///
/// # Errors
/// When it is not mapped like that.
pub fn unmap(k: &Kernel, va: Va, length: u64) -> Outcome<()> {
    let mapped = k.io_space().borrow_mut().mapped.remove(&va);
    if mapped == Some(length) && k.unmap(va.page()) {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [
            crate::bugcheck::VerifierRule::BAD_UNMAP.subcode,
            va.get(),
            length,
            mapped.unwrap_or(0),
        ],
        "io-space-not-mapped",
        match mapped {
            Some(mapped) => format!("MmUnmapIoSpace was given {length:#x} bytes at {va}, where {mapped:#x} are mapped"),
            None => format!("MmUnmapIoSpace was given {va}, which is not mapped by MmMapIoSpaceEx"),
        },
    )))
}

fn check_irql(k: &Kernel, subcode: u64, what: &str, parameters: [u64; 2]) -> Outcome<()> {
    let irql = k.irql();
    if irql <= Irql::DISPATCH {
        return Ok(());
    }
    k.verify(BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [subcode, u64::from(irql.0), parameters[0], parameters[1]],
        "irql-contract",
        format!("{what} was called at {irql}"),
    ))
}

/// Adds this component's exports. The IRQL contracts are checked here, since Driver Verifier has a code for each.
pub(super) fn register(ddi: &mut Registry) {
    for name in ["MmMapIoSpaceEx", "MmMapIoSpace"] {
        ddi.function(name, 3, Contract::ANY, move |k, args| {
            let (physical, length) = (args.u64(0), args.u64(1));
            check_irql(k, MAPPED_ABOVE_DISPATCH, name, [physical, length])?;
            let va = map(k, Pa(physical), length)?;
            k.note_made(va);
            Ok(va)
        });
    }
    ddi.function("MmUnmapIoSpace", 2, Contract::ANY, |k, args| {
        let (va, length) = (args.va(0), args.u64(1));
        check_irql(k, UNMAPPED_ABOVE_DISPATCH, "MmUnmapIoSpace", [va.get(), length])?;
        unmap(k, va, length)
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ddi::testing::{bugcheck_of, call, clean};

    #[test]
    fn memory_that_is_in_use_and_firmwares_can_be_mapped() {
        clean(|k| async move {
            let memory = Va(call(&k, "MmAllocateContiguousMemory", &[0x1000, u64::from(u32::MAX)]).await?);
            k.write(memory + 8_u64, 0x55_u64)?;
            let physical = call(&k, "MmGetPhysicalAddress", &[memory.get()]).await?;
            let mapped = Va(call(&k, "MmMapIoSpace", &[physical + 8, 16, 1]).await?);
            assert_eq!(k.read::<u64>(mapped)?, 0x55);
            call(&k, "MmUnmapIoSpace", &[mapped.get(), 16]).await?;
            let firmware = Va(call(&k, "MmMapIoSpace", &[0xF_0000, 0x1_0000, 0]).await?);
            assert_eq!(k.read::<u64>(firmware + 0xFFF0_u64)?, 0);
            assert_eq!(
                call(&k, "MmMapIoSpace", &[0xF000_0000, 4, 0]).await?,
                0,
                "no device answers there"
            );
            assert_eq!(call(&k, "MmMapIoSpace", &[u64::MAX - 1, 4, 0]).await?, 0);
            Ok(())
        });
    }

    #[test]
    fn memory_that_nobody_has_is_not_mapped() {
        let unused = bugcheck_of(|k| async move {
            call(&k, "MmMapIoSpace", &[0x1234_0000, 0x1000, 0]).await?;
            Ok(())
        });
        assert_eq!((unused.1, unused.2), (0x83, "io-space-not-locked"));
    }
}
