//! The buffer of a packet transfer: which physical memory an MDL, or a chain of them, describes.

use ntlayout::mdl as layout;

use super::{DmaRule, violation::violation};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{
        PAGE_SIZE, Pa, Va,
        mdl::{self, Fields},
    },
};

/// What makes the memory of an MDL stay where it is.
const RESIDENT: u16 = mdl::PAGES_LOCKED | mdl::SOURCE_IS_NONPAGED_POOL | mdl::PARTIAL;

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

/// Finds the memory behind `length` bytes from `va` on, which is an address in the MDL `list`.
///
/// # Errors
/// When the MDL does not describe memory that stays where it is, or not that address.
pub(super) fn locate(k: &Kernel, mut list: Va, va: Va, length: u64) -> Outcome<Parts> {
    let mut mdl = Fields::read(k, list)?;
    let mut offset = va - mdl.start;
    if offset >= mdl.length.into() {
        let message = format!(
            "{va} lies outside of the MDL {list}: {} bytes at {}",
            mdl.length, mdl.start
        );
        let details = [va.get(), list.get(), 0];
        return Err(violation(k, DmaRule::OUTSIDE_MDL, details, message));
    }
    let mut found = Parts {
        parts: Vec::new(),
        missing: length,
    };
    for _ in 0..Kernel::MOST_ENTRIES {
        check_resident(k, list, &mdl)?;
        let frames = mdl::frames(k, list)?;
        let first = u64::from(mdl.start.offset_in_page());
        let end = u64::from(mdl.length).min(offset + found.missing);
        while offset < end {
            let within = first + offset;
            let frame = frames[usize::try_from(within / PAGE_SIZE).expect("an MDL fits the host")];
            let length = (PAGE_SIZE - within % PAGE_SIZE).min(end - offset);
            found.add(Part {
                physical: frame + within % PAGE_SIZE,
                length,
            });
            offset += length;
        }
        let next: Va = k.read(list + layout::NEXT)?;
        if found.missing == 0 || next.is_null() {
            return Ok(found);
        }
        list = next;
        mdl = Fields::read(k, list)?;
        offset = 0;
    }
    Err(k.endless_list("the chain of MDLs", list))
}

fn check_resident(k: &Kernel, list: Va, mdl: &Fields) -> Outcome<()> {
    if mdl.has(RESIDENT) {
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
