//! Page faults: which address an instruction could not access.

use iced_x86::{Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register};

use super::Registers;
use crate::mm::Va;

/// What was attempted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// A load.
    Read,
    /// A store.
    Write,
    /// An instruction fetch.
    Execute,
}

impl Access {
    /// The verb for messages.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "written",
            Self::Execute => "executed",
        }
    }
}

/// What an instruction divides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divisor {
    /// A register's value.
    Register(u64),
    /// A place in memory.
    Memory {
        /// Where.
        address: Va,
        /// Its bytes.
        size: usize,
    },
}

/// The divisor of the division at the program counter; none when there is no division.
#[must_use]
pub fn divisor(registers: &Registers, gs_base: Va, code: &[u8]) -> Option<Divisor> {
    let pc = registers.program_counter();
    let instruction = Decoder::with_ip(64, code, pc.get(), DecoderOptions::NONE).decode();
    if !matches!(instruction.mnemonic(), Mnemonic::Div | Mnemonic::Idiv) {
        return None;
    }
    let value = |register: Register, _, _| register_value(register, registers, gs_base);
    if instruction.op0_kind() == OpKind::Memory {
        let address = Va(instruction.virtual_address(0, 0, value)?);
        let size = instruction.memory_size().size();
        return Some(Divisor::Memory { address, size });
    }
    let register = instruction.op0_register();
    let whole = registers.by_number(register.full_register().number());
    let high_byte = matches!(register, Register::AH | Register::BH | Register::CH | Register::DH);
    let shifted = if high_byte { whole >> 8 } else { whole };
    Some(Divisor::Register(shifted & (u64::MAX >> (64 - 8 * register.size()))))
}

fn register_value(register: Register, registers: &Registers, gs_base: Va) -> Option<u64> {
    match register {
        Register::GS => Some(gs_base.get()),
        register if register.is_segment_register() => Some(0),
        register => register
            .full_register()
            .is_gpr()
            .then(|| registers.by_number(register.full_register().number())),
    }
}

/// An access that the address space does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The page, as the emulator reports it.
    pub page: Va,
    /// What was attempted.
    pub access: Access,
}

impl PageFault {
    /// The address itself: the emulator reports its page only, so the instruction's own operand that lies there says it.
    #[must_use]
    pub fn address(self, registers: &Registers, gs_base: Va, code: &[u8]) -> Va {
        if self.access == Access::Execute {
            return registers.program_counter();
        }
        let pc = registers.program_counter();
        let instruction = Decoder::with_ip(64, code, pc.get(), DecoderOptions::NONE).decode();
        self.operand(&instruction, registers, gs_base).unwrap_or(self.page)
    }

    fn operand(self, instruction: &Instruction, registers: &Registers, gs_base: Va) -> Option<Va> {
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(instruction);
        let value = |register: Register, _, _| register_value(register, registers, gs_base);
        info.used_memory()
            .iter()
            .filter(|memory| match self.access {
                Access::Write => matches!(
                    memory.access(),
                    OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
                ),
                _ => !matches!(memory.access(), OpAccess::Write | OpAccess::NoMemAccess),
            })
            .filter_map(|memory| memory.virtual_address(0, value))
            .map(Va)
            // An operand may begin on the page before and reach into the one that is missing.
            .find(|address| address.page() == self.page || (*address + 31_u64).page() == self.page)
            .map(|address| address.max(self.page))
    }
}
