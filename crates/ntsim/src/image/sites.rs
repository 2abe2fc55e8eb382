//! Which addresses of an image calls return to.

use iced_x86::{Decoder, DecoderOptions, FlowControl};

use super::Image;

/// Whether the instruction before `rva` is a call, so that `rva` is where it returns to.
///
/// The function that the exception directory names is disassembled from its start; for code without an entry there the answer is no.
#[must_use]
pub fn is_return_address(image: &Image, rva: u32) -> bool {
    let Some(start) = function_before(image, rva) else {
        return false;
    };
    let Some(bytes) = image.memory().get(start as usize..rva as usize) else {
        return false;
    };
    let decoder = Decoder::with_ip(64, bytes, u64::from(start), DecoderOptions::NONE);
    decoder.into_iter().last().is_some_and(|last| {
        last.next_ip32() == rva && matches!(last.flow_control(), FlowControl::Call | FlowControl::IndirectCall)
    })
}

/// The start of the function that `rva` lies in, or just behind: a call that never returns may be its last instruction.
fn function_before(image: &Image, rva: u32) -> Option<u32> {
    let field = |entry: &[u8], at: usize| u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]]);
    let entries = image.exception_directory().chunks_exact(12);
    entries
        .map(|entry| (field(entry, 0), field(entry, 4)))
        .find(|&(begin, end)| begin < rva && rva <= end)
        .map(|(begin, _)| begin)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::synthetic::{ImageBuilder, TEXT};

    #[test]
    fn the_instruction_behind_a_call_is_where_it_returns_to() {
        // call rax; nop; ret
        let info = [1, 0, 0, 0];
        let bytes = ImageBuilder::new(&[0xFF, 0xD0, 0x90, 0xC3])
            .function(TEXT, TEXT + 4, &info)
            .build();
        let image = Image::parse("t.sys", &bytes).unwrap();
        let found: Vec<u32> = (0..8)
            .filter(|offset| is_return_address(&image, TEXT + offset))
            .collect();
        assert_eq!(found, [2]);
    }
}
