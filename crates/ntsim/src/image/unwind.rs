//! Call stacks from the exception directory, as `RtlVirtualUnwind` finds them.

use super::{FrameRegisters, Image};

/// The registers a walk starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct GeneralRegisters {
    /// The instruction pointer.
    pub rip: u64,
    /// rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15: the order of their encoding.
    pub general: [u64; 16],
}

/// Walks the stack of code in images.
#[derive(Debug, Clone)]
pub struct Unwinder<'i> {
    /// Where each image is loaded.
    images: Vec<(u64, &'i Image)>,
}

impl<'i> Unwinder<'i> {
    /// An unwinder by the exception directories of `images`, each with the address that it is loaded at.
    #[must_use]
    pub fn new(images: impl IntoIterator<Item = (u64, &'i Image)>) -> Self {
        Self {
            images: images.into_iter().collect(),
        }
    }

    /// The program counters of the frames on a stack, innermost first: `registers.rip` itself, then return addresses.
    ///
    /// `read` gives the 8 bytes at an address of the stack. The walk ends with the first address outside every image (which is
    /// returned too, unless it is 0), at an unreadable stack, or after `limit` frames.
    pub fn walk(
        &self,
        registers: GeneralRegisters,
        mut read: impl FnMut(u64) -> Option<u64>,
        limit: usize,
    ) -> Vec<u64> {
        let mut frame = FrameRegisters {
            rip: registers.rip,
            general: registers.general,
            ..FrameRegisters::default()
        };
        let mut pcs = Vec::new();
        while frame.rip != 0 && pcs.len() < limit {
            pcs.push(frame.rip);
            let Some((image, rva)) = self.place(frame.rip) else {
                break;
            };
            let stack = frame.rsp();
            let undone = match image.runtime_function(rva) {
                Some(function) => image.virtual_unwind(function, rva, &mut frame, &mut read).map(|_| ()),
                None => frame.unwind_leaf(&mut read),
            };
            // A caller's frame lies above its callee's: anything else is a broken stack, and no walk of it would end.
            if undone.is_none() || frame.rsp() <= stack {
                break;
            }
        }
        pcs
    }

    /// The image that `pc` lies in, and where.
    fn place(&self, pc: u64) -> Option<(&'i Image, u32)> {
        self.images.iter().find_map(|&(base, image)| {
            let rva = u32::try_from(pc.wrapping_sub(base)).ok()?;
            (rva < image.size()).then_some((image, rva))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::RSP;
    use crate::image::synthetic::{ImageBuilder, TEXT};

    const BASE: u64 = 0xFFFF_F800_0000_0000;

    /// f: push rbx; sub rsp, 0x20; nop; add rsp, 0x20; pop rbx; ret.  g: a leaf, ret.
    fn image() -> Image {
        let code = [
            0x53, 0x48, 0x83, 0xEC, 0x20, 0x90, 0x48, 0x83, 0xC4, 0x20, 0x5B, 0xC3, 0xC3,
        ];
        // Version 1, prolog of 5 bytes, 2 codes: UWOP_ALLOC_SMALL(0x20) at 5, UWOP_PUSH_NONVOL(rbx) at 1.
        let info = [0x01, 5, 2, 0, 5, 0x32, 1, 0x30];
        let bytes = ImageBuilder::new(&code).function(TEXT, TEXT + 12, &info).build();
        Image::parse("t.sys", &bytes).unwrap()
    }

    /// Walks from `offset` in the code with a stack whose words, from rsp up, are `stack`.
    fn walk(offset: u64, stack: &[u64]) -> Vec<u64> {
        const STACK: u64 = 0x8000;
        let mut registers = GeneralRegisters {
            rip: BASE + u64::from(TEXT) + offset,
            ..GeneralRegisters::default()
        };
        registers.general[RSP] = STACK;
        let read = |va: u64| stack.get(usize::try_from((va - STACK) / 8).ok()?).copied();
        Unwinder::new([(BASE, &image())]).walk(registers, read, 16)
    }

    #[test]
    fn the_body_is_unwound_by_its_codes() {
        // 0x20 bytes of locals, rbx, then the return address.
        assert_eq!(walk(5, &[0, 0, 0, 0, 7, 0x1234]), [BASE + 0x1005, 0x1234]);
    }

    #[test]
    fn the_prolog_is_unwound_as_far_as_it_ran() {
        assert_eq!(walk(0, &[0x1234]), [BASE + 0x1000, 0x1234]);
        assert_eq!(walk(1, &[7, 0x1234]), [BASE + 0x1001, 0x1234]);
    }

    #[test]
    fn the_epilog_is_unwound_by_what_is_left_of_it() {
        assert_eq!(walk(10, &[7, 0x1234]), [BASE + 0x100A, 0x1234]);
        assert_eq!(walk(11, &[0x1234]), [BASE + 0x100B, 0x1234]);
    }

    #[test]
    fn a_leaf_returns_by_the_top_of_its_stack() {
        let into_f = BASE + u64::from(TEXT) + 5;
        let pcs = walk(12, &[into_f, 0, 0, 0, 0, 7, 0x1234]);
        assert_eq!(pcs, [BASE + 0x100C, into_f, 0x1234]);
    }

    #[test]
    fn an_unreadable_stack_ends_the_walk() {
        assert_eq!(walk(5, &[0, 0]), [BASE + 0x1005]);
    }
}
