//! Pageable sections of driver images: which there are, and the routines that lock them into memory.
//!
//! A section whose name begins with `PAGE` is pageable. Driver Verifier's force IRQL checking takes all pageable memory away at
//! `DISPATCH_LEVEL`, so that whoever touches it there is stopped. Discardable sections are not pageable.
//!
//! "Making Drivers Pageable" and the pages of the routines say what they do; the bug check reference has the codes of 0x1A.

use std::collections::{BTreeMap, BTreeSet};

use super::{AddressSpace, Pa, Va};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome, VerifierRule},
    cpu::Access,
    ddi::{Contract, Registry},
    image::Image,
    io::driver::LoadedImage,
    ke::Irql,
    kernel::Kernel,
    leftovers::Leftover,
};

/// The rule that the code and data of pageable sections are left alone at `DISPATCH_LEVEL`.
const RULE: &str = "pageable-section-at-dispatch";

/// A section that can be pageable.
#[derive(Debug)]
struct Section {
    name: String,
    length: u64,
    physical: Pa,
    image: LoadedImage,
    /// By its name.
    pageable: bool,
    locks: u32,
}

/// All sections of the loaded images, by address. The address is also the handle.
#[derive(Debug, Default)]
struct Sections {
    by_start: BTreeMap<Va, Section>,
    /// The images that `MmPageEntireDriver` was called for, by their bases.
    entirely_pageable: BTreeSet<Va>,
}

impl Sections {
    fn at(&self, va: Va) -> Option<(Va, &Section)> {
        let (&start, section) = self.by_start.range(..=va).next_back()?;
        (va - start < section.length).then_some((start, section))
    }

    fn is_paged(&self, section: &Section) -> bool {
        (section.pageable || self.entirely_pageable.contains(&section.image.base)) && section.locks == 0
    }
}

/// Notes the sections of an image that was loaded.
pub(crate) fn loaded(k: &Kernel, image: &Image, at: LoadedImage, physical: Pa) {
    let sections = k.state::<Sections>();
    for section in image.sections().iter().filter(|section| !section.discardable) {
        let known = Section {
            name: format!("{} of {}", section.name, image.name()),
            length: AddressSpace::round_up(section.size.into()),
            physical: physical + u64::from(section.rva),
            image: at,
            pageable: section.name.starts_with("PAGE"),
            locks: 0,
        };
        let start = at.base + u64::from(section.rva);
        sections.borrow_mut().by_start.insert(start, known);
    }
    refresh(k, at.base);
}

/// The image at `base` is gone.
pub(crate) fn unloaded(k: &Kernel, base: Va) {
    let sections = k.state::<Sections>();
    let mut sections = sections.borrow_mut();
    sections.entirely_pageable.remove(&base);
    for section in sections
        .by_start
        .values_mut()
        .filter(|section| section.image.base == base)
    {
        section.pageable = false;
    }
    drop(sections);
    refresh(k, base);
}

/// Tells the processors which sections of the image at `base` must not be touched at `DISPATCH_LEVEL`.
fn refresh(k: &Kernel, base: Va) {
    if !k.config().verifier.is_on(RULE) {
        return;
    }
    let sections = k.state::<Sections>();
    let sections = sections.borrow();
    let mut code = k.watch().code.borrow_mut();
    for (&start, section) in &sections.by_start {
        if section.image.base == base {
            code.set_paged(start, section.length, section.physical, sections.is_paged(section));
        }
    }
}

/// Whether `va` lies in a section that may be paged out: one that is pageable and not locked.
#[must_use]
pub fn is_pageable(k: &Kernel, va: Va) -> bool {
    let sections = k.state::<Sections>();
    let sections = sections.borrow();
    sections.at(va).is_some_and(|(_, section)| sections.is_paged(section))
}

/// The bug check for a pageable section that was touched at `DISPATCH_LEVEL` or above: by the driver itself, or by a kernel routine that
/// it has called.
pub(crate) fn touched(k: &Kernel, va: Va, access: Access, pc: Va, by_driver: bool) -> BugCheck {
    let sections = k.state::<Sections>();
    let sections = sections.borrow();
    let section = sections.at(va).map_or("an image", |(_, section)| &section.name);
    let irql = k.irql();
    let operation = match access {
        Access::Read => 0,
        Access::Write => 1,
        Access::Execute => 8,
    };
    let code = if by_driver {
        Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL
    } else {
        Code::IRQL_NOT_LESS_OR_EQUAL
    };
    BugCheck::new(
        code,
        [va.get(), u64::from(irql.0), operation, pc.get()],
        RULE,
        format!(
            "{va} in the pageable section {section} was {} at {irql}: it may be paged out. Lock the section with MmLockPagableDataSection \
             or MmLockPagableCodeSection first, or put this into a section whose name does not begin with PAGE",
            access.verb()
        ),
    )
}

/// `MmLockPagableDataSection`, which `MmLockPagableCodeSection` is a name of: the section's handle.
fn lock_section(k: &Kernel, va: Va) -> Outcome<Va> {
    let found = k.state::<Sections>().borrow().at(va).map(|(start, _)| start);
    match found {
        Some(handle) => lock(k, handle, "MmLockPagableDataSection"),
        None => Err(nonexistent(k, "MmLockPagableDataSection", va)),
    }
}

/// One more lock on the section with a handle.
fn lock(k: &Kernel, handle: Va, routine: &str) -> Outcome<Va> {
    let base = {
        let sections = k.state::<Sections>();
        let mut sections = sections.borrow_mut();
        sections.by_start.get_mut(&handle).map(|section| {
            section.locks += 1;
            section.image.base
        })
    };
    let Some(base) = base else {
        return Err(nonexistent(k, routine, handle));
    };
    k.note_made(handle);
    refresh(k, base);
    Ok(handle)
}

fn nonexistent(k: &Kernel, routine: &str, va: Va) -> Halted {
    const NONEXISTENT_SECTION: u64 = 0x1234;
    k.bugcheck(BugCheck::new(
        Code::MEMORY_MANAGEMENT,
        [NONEXISTENT_SECTION, va.get(), 0, 0],
        "no-pageable-section",
        format!("{routine} was given {va}, which is in no section of a driver's image"),
    ))
}

/// `MmUnlockPagableImageSection`.
fn unlock(k: &Kernel, handle: Va) -> Outcome<()> {
    const NOT_LOCKED: u64 = 0x1010;
    let base = {
        let sections = k.state::<Sections>();
        let mut sections = sections.borrow_mut();
        let section = sections.by_start.get_mut(&handle).filter(|section| section.locks > 0);
        section.map(|section| {
            section.locks -= 1;
            section.image.base
        })
    };
    let Some(base) = base else {
        return Err(k.bugcheck(BugCheck::new(
            Code::MEMORY_MANAGEMENT,
            [NOT_LOCKED, handle.get(), 0, 0],
            "pageable-section-not-locked",
            format!("MmUnlockPagableImageSection was given {handle}, which is no handle of a section that is locked"),
        )));
    };
    refresh(k, base);
    Ok(())
}

/// `MmPageEntireDriver` and `MmResetDriverPaging`; the base of the image, null outside of every image.
fn page_entire(k: &Kernel, va: Va, pageable: bool) -> Va {
    let Some(image) = k.driver_image_at(va) else {
        return Va::NULL;
    };
    let sections = k.state::<Sections>();
    let mut sections = sections.borrow_mut();
    if pageable {
        sections.entirely_pageable.insert(image.base);
    } else {
        sections.entirely_pageable.remove(&image.base);
    }
    drop(sections);
    refresh(k, image.base);
    image.base
}

/// The sections that drivers have locked and not unlocked: they would stay in memory.
pub(crate) fn leftovers(k: &Kernel) -> Vec<Leftover> {
    let sections = k.state::<Sections>();
    let sections = sections.borrow();
    let locked = sections.by_start.iter().filter(|(_, section)| section.locks > 0);
    locked
        .map(|(&start, section)| {
            let (name, locks) = (&section.name, section.locks);
            let what =
                format!("the pageable section {name} at {start} is locked {locks} times: MmUnlockPagableImageSection");
            Leftover::new(start, what)
        })
        .collect()
}

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC).by_rule(VerifierRule::IRQL_MM_APC_LTE);
    ddi.function("MmLockPagableDataSection", 1, contract, |k, a| lock_section(k, a.va(0)));
    ddi.function("MmLockPagableSectionByHandle", 1, contract, |k, a| {
        lock(k, a.va(0), "MmLockPagableSectionByHandle").map(|_| ())
    });
    ddi.function("MmUnlockPagableImageSection", 1, contract, |k, a| unlock(k, a.va(0)));
    ddi.function("MmPageEntireDriver", 1, contract, |k, a| {
        Ok(page_entire(k, a.va(0), true))
    });
    ddi.function("MmResetDriverPaging", 1, contract, |k, a| {
        page_entire(k, a.va(0), false);
        Ok(())
    });
}

#[cfg(test)]
mod tests;
