//! `cpuid`: a processor without AVX, which is what the emulator executes. The leaves are those of the processor manuals.

use super::super::execute::with_guest;
use crate::{cpu::Gpr, kernel::Kernel};

/// eax, ebx, ecx, edx.
type Leaf = [u32; 4];

const HIGHEST: u32 = 7;
const HIGHEST_EXTENDED: u32 = 0x8000_0008;

/// Family 6, model 60, stepping 3.
const SIGNATURE: u32 = 0x0003_06C3;
/// Cache lines of 64 bytes, in units of eight.
const LINE_SIZE: u32 = 8 << 8;
/// SSE3, PCLMULQDQ, SSSE3, CMPXCHG16B, SSE4.1, SSE4.2, MOVBE, POPCNT, AES, XSAVE and its use by the system, RDRAND.
const FEATURES_C: u32 =
    1 | 1 << 1 | 1 << 9 | 1 << 13 | 1 << 19 | 1 << 20 | 1 << 22 | 1 << 23 | 1 << 25 | 3 << 26 | 1 << 30;
/// x87, TSC, MSR, PAE, CMPXCHG8B, APIC, PGE, CMOV, PAT, CLFLUSH, MMX, FXSAVE, SSE, SSE2 and what comes with them.
const FEATURES_D: u32 = 0x078B_FBFF;
/// FSGSBASE, BMI1, SMEP, BMI2, fast strings, RDSEED.
const FEATURES_7: u32 = 1 | 1 << 3 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 18;
/// LAHF in 64-bit mode, LZCNT.
const EXTENDED_C: u32 = 1 | 1 << 5;
/// SYSCALL, no-execute, RDTSCP, 64-bit mode.
const EXTENDED_D: u32 = 1 << 11 | 1 << 20 | 1 << 27 | 1 << 29;
/// The time stamp counts at one rate.
const INVARIANT_TSC: u32 = 1 << 8;
/// 48 bits of virtual and 40 of physical addresses.
const ADDRESS_BITS: u32 = 0x30 << 8 | 0x28;

const VENDOR: &[u8; 12] = b"GenuineIntel";
const BRAND: &[u8; 48] = b"ntsim virtual processor\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn word(text: &[u8], index: usize) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|byte| text[4 * index + byte]))
}

fn leaf(k: &Kernel, number: u32, sub_leaf: u32) -> Leaf {
    let processor = u32::try_from(k.processor()).unwrap_or(0);
    let processors = u32::try_from(k.config().processors).unwrap_or(1);
    match number {
        0 => [HIGHEST, word(VENDOR, 0), word(VENDOR, 2), word(VENDOR, 1)],
        1 => [
            SIGNATURE,
            processor << 24 | processors << 16 | LINE_SIZE,
            FEATURES_C,
            FEATURES_D,
        ],
        7 if sub_leaf == 0 => [0, FEATURES_7, 0, 0],
        0x8000_0000 => [HIGHEST_EXTENDED, 0, 0, 0],
        0x8000_0001 => [0, 0, EXTENDED_C, EXTENDED_D],
        0x8000_0002..=0x8000_0004 => {
            let first = 4 * (number - 0x8000_0002) as usize;
            std::array::from_fn(|index| word(BRAND, first + index))
        }
        0x8000_0007 => [0, 0, 0, INVARIANT_TSC],
        0x8000_0008 => [ADDRESS_BITS, 0, 0, 0],
        _ => [0; 4],
    }
}

/// Answers `cpuid`.
pub(super) fn answer(k: &Kernel) {
    let (number, sub_leaf) = with_guest(k, |guest| (guest.get(Gpr::Rax), guest.get(Gpr::Rcx)));
    let low = |value: u64| (value & 0xFFFF_FFFF) as u32;
    let values = leaf(k, low(number), low(sub_leaf));
    with_guest(k, |guest| {
        for (register, value) in [Gpr::Rax, Gpr::Rbx, Gpr::Rcx, Gpr::Rdx].into_iter().zip(values) {
            guest.set(register, value.into());
        }
    });
}
