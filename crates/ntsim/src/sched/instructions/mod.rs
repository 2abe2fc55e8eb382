//! The instructions that the machine carries out in the processor's place: those that reach beyond the emulated core, and those whose
//! answer would not be the same in every run.
//!
//! Each is modelled, or the run ends with what is not modelled: none is a bug check, since Windows lets a driver use them all.

mod control;
mod cpuid;
mod machine_specific;
mod operand;
mod ports;
mod random;
#[cfg(test)]
mod tests;

use iced_x86::{Instruction, Mnemonic};

use super::execute::with_guest;
use crate::{
    bugcheck::Outcome,
    cpu::Gpr,
    image::{SystemInstruction, SystemInstructionKind},
    ke::{self, Irql},
    kernel::Kernel,
};

/// Carries out the instruction at the program counter, and moves on.
pub(super) fn carry_out(k: &Kernel, instruction: &SystemInstruction) -> Outcome<()> {
    match &instruction.kind {
        SystemInstructionKind::ReadCr8 { register } => {
            let irql = u64::from(k.irql().0);
            with_guest(k, |guest| guest.set_by_number(usize::from(*register), irql));
        }
        SystemInstructionKind::WriteCr8 { register } => {
            let value = with_guest(k, |guest| guest.by_number(usize::from(*register)));
            let irql = u8::try_from(value).unwrap_or(u8::MAX);
            ke::irql::write_cr8(k, Irql(irql))?;
        }
        SystemInstructionKind::Rdtsc => time_stamp(k, false),
        SystemInstructionKind::Rdtscp => time_stamp(k, true),
        SystemInstructionKind::Other(instruction) => other(k, instruction)?,
    }
    let length = u64::from(instruction.length);
    with_guest(k, |guest| {
        let next = guest.program_counter() + length;
        guest.set_program_counter(next);
    });
    Ok(())
}

fn other(k: &Kernel, instruction: &Instruction) -> Outcome<()> {
    match instruction.mnemonic() {
        Mnemonic::In | Mnemonic::Insb | Mnemonic::Insw | Mnemonic::Insd => ports::input(k, instruction),
        Mnemonic::Out | Mnemonic::Outsb | Mnemonic::Outsw | Mnemonic::Outsd => ports::output(k, instruction),
        Mnemonic::Rdmsr => machine_specific::read(k),
        Mnemonic::Wrmsr => machine_specific::write(k),
        Mnemonic::Mov => control::move_register(k, instruction),
        Mnemonic::Rdrand | Mnemonic::Rdseed => random::draw(k, instruction),
        Mnemonic::Cpuid => {
            cpuid::answer(k);
            Ok(())
        }
        Mnemonic::Xgetbv => control::extended_control(k),
        Mnemonic::Smsw => control::machine_status(k, instruction),
        Mnemonic::Rdpid => operand::write(k, instruction, k.processor() as u64),
        Mnemonic::Rdgsbase => operand::write(k, instruction, control::gs_base(k)),
        Mnemonic::Rdfsbase | Mnemonic::Sldt => operand::write(k, instruction, 0),
        Mnemonic::Str => operand::write(k, instruction, control::TASK_SELECTOR),
        Mnemonic::Hlt => control::halt(k),
        // There are neither caches nor translations that a driver could see.
        Mnemonic::Wbinvd | Mnemonic::Wbnoinvd | Mnemonic::Invlpg | Mnemonic::Clts => Ok(()),
        _ => Err(not_modelled(k, instruction)),
    }
}

/// Ends the run at an instruction that the machine does not have.
fn not_modelled(k: &Kernel, instruction: &Instruction) -> crate::bugcheck::Halted {
    let pc = with_guest(k, |guest| guest.program_counter());
    k.not_modelled(format!("the instruction {} at {pc} is not modelled", name(instruction)))
}

/// The instruction's name in assembly language, and for a move of a system register that one's.
fn name(instruction: &Instruction) -> String {
    let mnemonic = format!("{:?}", instruction.mnemonic()).to_lowercase();
    let system_register = instruction
        .op_registers()
        .find(|register| register.is_cr() || register.is_dr() || register.is_tr());
    match system_register {
        Some(register) => format!("{mnemonic} with {}", format!("{register:?}").to_lowercase()),
        None => mnemonic,
    }
}

/// The time stamp counts virtual nanoseconds, the same on every processor.
fn time_stamp(k: &Kernel, with_processor: bool) {
    let (now, processor) = (k.now(), k.processor() as u64);
    with_guest(k, |guest| {
        guest.set(Gpr::Rax, now & 0xFFFF_FFFF);
        guest.set(Gpr::Rdx, now >> 32);
        if with_processor {
            guest.set(Gpr::Rcx, processor);
        }
    });
}

/// The registers of an instruction's operands.
trait OperandRegisters {
    fn op_registers(&self) -> impl Iterator<Item = iced_x86::Register>;
}

impl OperandRegisters for Instruction {
    fn op_registers(&self) -> impl Iterator<Item = iced_x86::Register> {
        (0..self.op_count()).map(|operand| self.op_register(operand))
    }
}
