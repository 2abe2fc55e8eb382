//! `rdmsr` and `wrmsr`: the model-specific registers that a driver has a use for.

use super::super::execute::with_guest;
use crate::{bugcheck::Outcome, cpu::Gpr, kernel::Kernel};

/// Registers by their numbers in the processor manuals.
mod number {
    pub(super) const TIME_STAMP_COUNTER: u32 = 0x10;
    pub(super) const PLATFORM_ID: u32 = 0x17;
    pub(super) const APIC_BASE: u32 = 0x1B;
    pub(super) const FEATURE_CONTROL: u32 = 0x3A;
    pub(super) const MICROCODE: u32 = 0x8B;
    pub(super) const MISC_ENABLE: u32 = 0x1A0;
    pub(super) const PAGE_ATTRIBUTES: u32 = 0x277;
    pub(super) const EXTENDED_FEATURES: u32 = 0xC000_0080;
    pub(super) const SYSCALL_SELECTORS: u32 = 0xC000_0081;
    pub(super) const FS_BASE: u32 = 0xC000_0100;
    pub(super) const GS_BASE: u32 = 0xC000_0101;
    pub(super) const KERNEL_GS_BASE: u32 = 0xC000_0102;
    pub(super) const TIME_STAMP_AUXILIARY: u32 = 0xC000_0103;
}

fn value_of(k: &Kernel, register: u32) -> Option<u64> {
    const APIC: u64 = 0xFEE0_0000;
    const APIC_ENABLED: u64 = 1 << 11;
    const BOOTSTRAP_PROCESSOR: u64 = 1 << 8;
    /// Locked, without virtualization.
    const LOCKED: u64 = 1;
    /// Fast strings.
    const ENABLED: u64 = 1;
    /// The processor's default.
    const ATTRIBUTES: u64 = 0x0007_0406_0007_0406;
    /// System calls, long mode enabled and active, no-execute.
    const FEATURES: u64 = 0xD01;
    const SELECTORS: u64 = 0x0023_0010_0000_0000;
    Some(match register {
        number::TIME_STAMP_COUNTER => k.now(),
        number::APIC_BASE if k.processor() == 0 => APIC | APIC_ENABLED | BOOTSTRAP_PROCESSOR,
        number::APIC_BASE => APIC | APIC_ENABLED,
        number::FEATURE_CONTROL => LOCKED,
        number::MISC_ENABLE => ENABLED,
        number::PAGE_ATTRIBUTES => ATTRIBUTES,
        number::EXTENDED_FEATURES => FEATURES,
        number::SYSCALL_SELECTORS => SELECTORS,
        number::GS_BASE => super::control::gs_base(k),
        number::TIME_STAMP_AUXILIARY => k.processor() as u64,
        number::PLATFORM_ID | number::MICROCODE | number::FS_BASE | number::KERNEL_GS_BASE => 0,
        _ => return None,
    })
}

fn selected(k: &Kernel) -> u32 {
    (with_guest(k, |guest| guest.get(Gpr::Rcx)) & 0xFFFF_FFFF) as u32
}

/// `rdmsr`.
pub(super) fn read(k: &Kernel) -> Outcome<()> {
    let register = selected(k);
    let Some(value) = value_of(k, register) else {
        return Err(k.not_modelled(format!("rdmsr of the register {register:#x} is not modelled")));
    };
    with_guest(k, |guest| {
        guest.set(Gpr::Rax, value & 0xFFFF_FFFF);
        guest.set(Gpr::Rdx, value >> 32);
    });
    Ok(())
}

/// `wrmsr`. What is written must be what is there.
pub(super) fn write(k: &Kernel) -> Outcome<()> {
    let register = selected(k);
    let value = with_guest(k, |guest| guest.get(Gpr::Rdx) << 32 | guest.get(Gpr::Rax) & 0xFFFF_FFFF);
    if value_of(k, register) == Some(value) && register != number::TIME_STAMP_COUNTER {
        return Ok(());
    }
    Err(k.not_modelled(format!(
        "wrmsr of {value:#x} to the register {register:#x} is not modelled"
    )))
}
