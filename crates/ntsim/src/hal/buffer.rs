//! The buffer of a packet transfer: which physical memory an MDL, or a chain of them, describes.

use ntlayout::mdl as layout;

use super::{DmaRule, violation::violation};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{PAGE_SIZE, Pa, Va},
};

/// `MDL_PAGES_LOCKED`.
const PAGES_LOCKED: u16 = 0x0002;
/// `MDL_SOURCE_IS_NONPAGED_POOL`.
const SOURCE_IS_NONPAGED_POOL: u16 = 0x0004;
/// `MDL_PARTIAL`.
const PARTIAL: u16 = 0x0010;

/// A part of a buffer that lies in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub physical: Pa,
    /// Bytes.
    pub length: u64,
}

/// What of a buffer was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parts {
    pub parts: Vec<Part>,
    /// Bytes that are missing: the MDLs end before.
    pub missing: u64,
}

/// An MDL as it is when a routine is given it.
struct Mdl {
    next: Va,
    flags: u16,
    /// The virtual address that it is an index for.
    start: Va,
    length: u64,
}

impl Mdl {
    fn read(k: &Kernel, list: Va) -> Outcome<Self> {
        let page: Va = k.read(list + layout::START_VA)?;
        let offset: u32 = k.read(list + layout::BYTE_OFFSET)?;
        let length: u32 = k.read(list + layout::BYTE_COUNT)?;
        Ok(Self {
            next: k.read(list + layout::NEXT)?,
            flags: k.read(list + layout::MDL_FLAGS)?,
            start: page + u64::from(offset),
            length: length.into(),
        })
    }
}

/// How many pages `length` bytes from `va` on touch.
pub(super) fn pages(va: Va, length: u64) -> u64 {
    (va - va.page() + length).div_ceil(PAGE_SIZE)
}

/// Finds the memory behind `length` bytes from `va` on, which is an address in the MDL `list`.
///
/// # Errors
/// When the MDL does not describe memory that stays where it is, or not that address.
pub(super) fn locate(k: &Kernel, mut list: Va, va: Va, length: u64) -> Outcome<Parts> {
    let first = Mdl::read(k, list)?;
    let mut offset = va - first.start;
    if offset >= first.length {
        let message = format!(
            "{va} lies outside of the MDL {list}: {} bytes at {}",
            first.length, first.start
        );
        let details = [va.get(), list.get(), 0];
        return Err(violation(k, DmaRule::OUTSIDE_MDL, details, message));
    }
    let mut found = Parts {
        parts: Vec::new(),
        missing: length,
    };
    let mut mdl = first;
    loop {
        check_resident(k, list, &mdl)?;
        let end = mdl.length.min(offset + found.missing);
        while offset < end {
            let within = (mdl.start - mdl.start.page()) + offset;
            let frame: u64 = k.read(list + layout::SIZE + within / PAGE_SIZE * 8)?;
            let physical = Pa(frame * PAGE_SIZE + within % PAGE_SIZE);
            let length = (PAGE_SIZE - within % PAGE_SIZE).min(end - offset);
            found.add(Part { physical, length });
            offset += length;
        }
        if found.missing == 0 || mdl.next.is_null() {
            return Ok(found);
        }
        list = mdl.next;
        mdl = Mdl::read(k, list)?;
        offset = 0;
    }
}

fn check_resident(k: &Kernel, list: Va, mdl: &Mdl) -> Outcome<()> {
    if mdl.flags & (PAGES_LOCKED | SOURCE_IS_NONPAGED_POOL | PARTIAL) != 0 {
        return Ok(());
    }
    let message = format!("the MDL {list} is to be transferred, but its pages are not locked");
    Err(violation(k, DmaRule::NOT_LOCKED, [list.get(), 0, 0], message))
}

impl Parts {
    /// Adds the next part, which may continue the last one.
    fn add(&mut self, part: Part) {
        self.missing -= part.length;
        match self.parts.last_mut() {
            Some(last) if last.physical + last.length == part.physical => last.length += part.length,
            _ => self.parts.push(part),
        }
    }
}
