//! Operands of instructions that the machine carries out: general registers and memory.

use iced_x86::{Instruction, OpKind, Register};

use super::{super::execute::with_guest, control};
use crate::{bugcheck::Outcome, cpu::Registers, kernel::Kernel, mm::Va};

/// The number of the general register that `register` is a part of.
fn number(register: Register) -> usize {
    register.full_register().number()
}

/// The general register `register`, or the part of one.
pub(super) fn register(guest: &Registers, register: Register) -> u64 {
    let whole = guest.by_number(number(register));
    whole & (u64::MAX >> (64 - 8 * register.size().clamp(1, 8)))
}

/// Sets the general register `register`, or the part of one. A 32-bit part clears the upper half, as the processor does.
pub(super) fn set_register(guest: &mut Registers, register: Register, value: u64) {
    let index = number(register);
    let whole = guest.by_number(index);
    let value = match register.size() {
        8 => value,
        4 => value & 0xFFFF_FFFF,
        size => {
            let mask = u64::MAX >> (64 - 8 * size.clamp(1, 8));
            whole & !mask | value & mask
        }
    };
    guest.set_by_number(index, value);
}

/// Writes the first operand: a general register, or two bytes of memory, which is what the instructions with a memory form store.
pub(super) fn write(k: &Kernel, instruction: &Instruction, value: u64) -> Outcome<()> {
    if instruction.op0_kind() == OpKind::Register {
        with_guest(k, |guest| set_register(guest, instruction.op0_register(), value));
        return Ok(());
    }
    let gs = control::gs_base(k);
    let address = with_guest(k, |guest| {
        instruction.virtual_address(0, 0, |register, _, _| match register {
            Register::GS => Some(gs),
            register if register.is_segment_register() => Some(0),
            other => Some(guest.by_number(number(other))),
        })
    });
    match address {
        Some(address) => k.write(Va(address), (value & 0xFFFF) as u16),
        None => Err(super::not_modelled(k, instruction)),
    }
}
