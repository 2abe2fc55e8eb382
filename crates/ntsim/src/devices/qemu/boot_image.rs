//! The firmware of the PC in QEMU: it halts the processor at once.
//!
//! A processor that runs would take part in QEMU's time, and drive devices. One that is halted with its interrupts disabled never wakes.

/// Bytes of a firmware image. QEMU maps it so that it ends at 4 GiB.
const SIZE: usize = 64 * 1024;
/// Where in it the processor begins: 16 bytes below 4 GiB.
const RESET_VECTOR: usize = SIZE - 16;

/// The instruction `cli`: no interrupt wakes the processor.
const CLI: u8 = 0xFA;
/// The instruction `hlt`.
const HLT: u8 = 0xF4;
/// The instruction `jmp` to the instruction before the last one: halts again after whatever has woken the processor all the same.
const JUMP_TO_HLT: [u8; 2] = [0xEB, 0xFD];

/// The image.
pub(super) fn boot_image() -> Vec<u8> {
    let mut image = vec![HLT; SIZE];
    image[RESET_VECTOR] = CLI;
    image[RESET_VECTOR + 1] = HLT;
    image[RESET_VECTOR + 2..RESET_VECTOR + 4].copy_from_slice(&JUMP_TO_HLT);
    image
}
