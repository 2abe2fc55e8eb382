//! Control and debug registers, extended control registers, `hlt`.

use iced_x86::{Instruction, Register};

use super::{super::execute::with_guest, not_modelled, operand};
use crate::{bugcheck::Outcome, cpu::Gpr, kernel::Kernel};

/// Protected mode, monitor coprocessor, extension type, numeric errors, write protection, alignment mask, paging.
const CR0: u64 = 0x8005_0033;
/// The page tables' address: there are none, and a driver cannot make anything of it.
const CR3: u64 = 0x001A_D000;
/// Debugging extensions, page size and address extensions, machine checks, global pages, SSE and its exceptions, fsgsbase, xsave,
/// SMEP.
const CR4: u64 = 0x0015_06F8;
/// No breakpoint has been hit.
const DR6: u64 = 0xFFFF_0FF0;
/// No breakpoint is set.
const DR7: u64 = 0x400;
/// x87 and SSE state: the processor has no AVX.
const XCR0: u64 = 3;
/// The selector of the task state segment.
pub(super) const TASK_SELECTOR: u64 = 0x40;

/// What gs points to: the processor's KPCR.
pub(super) fn gs_base(k: &Kernel) -> u64 {
    let processor = k.processor();
    k.scheduler().borrow().processors[processor].kpcr.get()
}

fn value_of(register: Register) -> Option<u64> {
    Some(match register {
        Register::CR0 => CR0,
        // No page fault was handled that a driver would see.
        Register::CR2 | Register::DR0 | Register::DR1 | Register::DR2 | Register::DR3 => 0,
        Register::CR3 => CR3,
        Register::CR4 => CR4,
        Register::DR6 => DR6,
        Register::DR7 => DR7,
        _ => return None,
    })
}

/// `mov` from or to a control or debug register. What is written must be what is there: drivers restore what they have read, but
/// none is let change it.
pub(super) fn move_register(k: &Kernel, instruction: &Instruction) -> Outcome<()> {
    let (to, from) = (instruction.op0_register(), instruction.op1_register());
    if let Some(value) = value_of(from) {
        with_guest(k, |guest| operand::set_register(guest, to, value));
        return Ok(());
    }
    let written = with_guest(k, |guest| operand::register(guest, from));
    if value_of(to) == Some(written) {
        return Ok(());
    }
    Err(not_modelled(k, instruction))
}

/// `xgetbv`.
pub(super) fn extended_control(k: &Kernel) -> Outcome<()> {
    let index = with_guest(k, |guest| guest.get(Gpr::Rcx)) & 0xFFFF_FFFF;
    if index != 0 {
        return Err(k.not_modelled(format!(
            "xgetbv of the extended control register {index} is not modelled"
        )));
    }
    with_guest(k, |guest| {
        guest.set(Gpr::Rax, XCR0);
        guest.set(Gpr::Rdx, 0);
    });
    Ok(())
}

/// `smsw`.
pub(super) fn machine_status(k: &Kernel, instruction: &Instruction) -> Outcome<()> {
    operand::write(k, instruction, CR0)
}

/// `hlt` waits for an interrupt, which comes with the next tick of the clock at the latest; without interrupts it waits for ever.
pub(super) fn halt(k: &Kernel) -> Outcome<()> {
    const A_WHILE: u64 = 1_000;
    if with_guest(k, |guest| guest.interrupts_enabled()) {
        k.watch().clock.set(k.now() + A_WHILE);
        return Ok(());
    }
    let pc = with_guest(k, |guest| guest.program_counter());
    Err(k.not_modelled(format!(
        "hlt at {pc} with interrupts disabled, which stops the processor for good, is not modelled"
    )))
}
