//! Device memory in the system's address space: `MmMapIoSpaceEx`, `MmMapIoSpace`, `MmUnmapIoSpace`.

use std::collections::BTreeMap;

use super::{AddressSpace, PAGE_SIZE, Pa, Protection, Va, layout};
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

/// Maps device memory. The address is null when no device answers there.
#[must_use]
pub fn map(k: &Kernel, physical: Pa, length: u64) -> Va {
    let page = Pa(physical.0 & !(PAGE_SIZE - 1));
    let offset = physical - page;
    let pages = AddressSpace::round_up(offset + length);
    let windows = k.watch().hardware.borrow().windows();
    let answers = windows
        .iter()
        .any(|&(start, size)| physical - start < size && length <= size - (physical - start));
    if length == 0 || !answers {
        return Va::NULL;
    }
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
            let va = map(k, Pa(physical), length);
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
