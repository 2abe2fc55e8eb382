//! The images that guest code runs in, with what their disassembly says.

use std::{collections::BTreeMap, rc::Rc};

use super::{Access, Exit};
use crate::{
    image::{AccessKind, CodeAt, CodeMap, Image, SystemInstruction},
    ke::Irql,
    mm::{PAGE_SIZE, Pa, Va, layout},
};

/// An image that guest code runs in.
#[derive(Debug)]
pub struct LoadedCode {
    /// Where it is loaded.
    pub base: Va,
    /// What Windows' loader sees of it.
    pub image: Rc<Image>,
    /// Its disassembly.
    pub map: Rc<CodeMap>,
    /// It was unloaded: nothing lies there any more.
    pub unloaded: bool,
}

impl LoadedCode {
    /// The code of an image loaded at `base`.
    #[must_use]
    pub fn new(base: Va, image: Rc<Image>, map: Rc<CodeMap>) -> Self {
        Self {
            base,
            image,
            map,
            unloaded: false,
        }
    }

    /// `va` as an offset into the image.
    #[must_use]
    pub fn rva(&self, va: Va) -> Option<u32> {
        let offset = va - self.base;
        u32::try_from(offset).ok().filter(|&rva| rva < self.image.size())
    }

    /// The name of the image without its extension, as a service is called.
    #[must_use]
    pub fn stem(&self) -> &str {
        let name = self.image.name();
        name.rsplit_once('.').map_or(name, |(stem, _)| stem)
    }

    fn system_instruction(&self, rva: u32) -> Option<&SystemInstruction> {
        let found = self.map.system_instructions();
        let index = found.binary_search_by_key(&rva, |instruction| instruction.rva).ok()?;
        found.get(index)
    }
}

/// An instruction starts at this byte that the model carries out.
const TRAPPED: u8 = 1;
/// The byte may be paged out: it must not be touched at `DISPATCH_LEVEL` or above.
const PAGED: u8 = 2;
/// An instruction starts at this byte.
const KNOWN: u8 = 4;
/// A string instruction with a repeat prefix starts at this byte: the emulator reports each of its rounds.
const REPEATED: u8 = 8;

/// Unmapped pages between images, so that what runs off the end of one does not reach the next.
const GAP: u64 = 16 * PAGE_SIZE;

/// All images of a machine, in the order of loading, which is that of their addresses. No address is used twice.
#[derive(Debug, Default)]
pub struct LoadedImages {
    images: Vec<LoadedCode>,
    /// For each byte from the first image's base on: what is special about it.
    flags: Vec<u8>,
    /// The physical memory of what may be paged out: start, length, and where it is mapped.
    paged: BTreeMap<Pa, (u64, Va)>,
}

impl LoadedImages {
    /// Where the next image goes.
    #[must_use]
    pub fn next_base(&self) -> Va {
        self.images.last().map_or(layout::DRIVER, |last| {
            Va((last.base + u64::from(last.image.size())).get().next_multiple_of(GAP)) + GAP
        })
    }

    /// Adds an image.
    ///
    /// # Panics
    /// When it does not lie at [`next_base`](Self::next_base).
    pub fn add(&mut self, code: LoadedCode) {
        assert_eq!(code.base, self.next_base(), "images lie one after the other");
        let start = usize::try_from(code.base - layout::DRIVER).expect("images fit the host");
        self.flags.resize(start, 0);
        self.flags.extend(code.map.code().map(|at| match at {
            CodeAt::Unknown => 0,
            CodeAt::Instruction => KNOWN,
            CodeAt::Repeated => KNOWN | REPEATED,
            CodeAt::System => KNOWN | TRAPPED,
        }));
        self.images.push(code);
    }

    /// The images, unloaded ones as well.
    pub fn iter(&self) -> impl Iterator<Item = &LoadedCode> {
        self.images.iter()
    }

    /// The image that `va` lies in, or lay in before it was unloaded.
    #[must_use]
    pub fn at(&self, va: Va) -> Option<&LoadedCode> {
        self.images.iter().find(|code| code.rva(va).is_some())
    }

    /// The image that is loaded at `base`.
    #[must_use]
    pub fn based_at(&self, base: Va) -> Option<&LoadedCode> {
        self.images.iter().find(|code| code.base == base)
    }

    /// Notes that the image at `base` is gone.
    pub fn unloaded(&mut self, base: Va) {
        if let Some(code) = self.images.iter_mut().find(|code| code.base == base) {
            code.unloaded = true;
        }
    }

    /// How the instruction at `pc` accesses memory.
    pub(super) fn access(&self, pc: Va) -> AccessKind {
        let found = self.images.iter().find_map(|code| Some((code, code.rva(pc)?)));
        found.map_or(AccessKind::Plain, |(code, rva)| code.map.access(rva))
    }

    fn flags_at(&self, va: Va) -> u8 {
        let offset = usize::try_from(va - layout::DRIVER).ok();
        offset.and_then(|offset| self.flags.get(offset)).copied().unwrap_or(0)
    }

    /// Whether the disassembly has found the instruction at `pc`.
    pub(super) fn is_known(&self, pc: Va) -> bool {
        self.flags_at(pc) & KNOWN != 0
    }

    /// Whether the instruction at `pc` does what it does several times.
    pub(super) fn is_repeated(&self, pc: Va) -> bool {
        self.flags_at(pc) & REPEATED != 0
    }

    /// Why the instruction at `pc` must not simply run at this IRQL.
    pub(super) fn stop_at(&self, pc: Va, irql: Irql) -> Option<Exit> {
        let flags = self.flags_at(pc);
        if flags & !(KNOWN | REPEATED) == 0 {
            return None;
        }
        if flags & PAGED != 0 && irql >= Irql::DISPATCH {
            return Some(Exit::Paged {
                address: pc,
                access: Access::Execute,
            });
        }
        if flags & TRAPPED == 0 {
            return None;
        }
        let code = self.at(pc)?;
        let instruction = code.system_instruction(code.rva(pc)?)?;
        Some(Exit::System(instruction.clone()))
    }

    /// Whether what lies at `va` may be paged out.
    pub(crate) fn is_paged(&self, va: Va) -> bool {
        self.flags_at(va) & PAGED != 0
    }

    /// The virtual address of physical memory that may be paged out.
    pub(super) fn paged_at(&self, pa: Pa) -> Option<Va> {
        let (&start, &(length, va)) = self.paged.range(..=pa).next_back()?;
        let offset = pa - start;
        (offset < length).then(|| va + offset)
    }

    /// Says whether `length` bytes from `start`, with this memory behind them, may be paged out.
    pub(crate) fn set_paged(&mut self, start: Va, length: u64, physical: Pa, paged: bool) {
        let first = usize::try_from(start - layout::DRIVER).unwrap_or(usize::MAX);
        let length_here = usize::try_from(length).unwrap_or(usize::MAX);
        let bytes = self.flags.iter_mut().skip(first).take(length_here);
        if paged {
            self.paged.insert(physical, (length, start));
            bytes.for_each(|flags| *flags |= PAGED);
        } else if self.paged.remove(&physical).is_some() {
            bytes.for_each(|flags| *flags &= !PAGED);
        }
    }
}
