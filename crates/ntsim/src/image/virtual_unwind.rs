//! One frame of a stack undone by the exception directory, as `RtlVirtualUnwind` does it.
//!
//! The rules are those of "x64 exception handling" in Microsoft's C++ documentation. Stacks and registers are a driver's, so every
//! address computation wraps.

use iced_x86::{Code, Decoder, DecoderOptions, Instruction, OpKind, Register as IcedRegister};
use pe_unwind_info::x86_64::{UnwindInfo, UnwindOperation};

use super::Image;

/// The registers that unwinding works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FrameRegisters {
    /// The instruction pointer.
    pub rip: u64,
    /// rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8 … r15: the order of their encoding.
    pub general: [u64; 16],
    /// xmm0 to xmm15.
    pub vector: [u128; 16],
}

/// Index of rsp in [`FrameRegisters::general`].
pub const RSP: usize = 4;

impl FrameRegisters {
    /// rsp.
    #[must_use]
    pub const fn rsp(&self) -> u64 {
        self.general[RSP]
    }

    /// Takes the return address off the stack: how a function without unwind information is left.
    pub fn unwind_leaf(&mut self, read: &mut dyn FnMut(u64) -> Option<u64>) -> Option<()> {
        self.rip = read(self.rsp())?;
        self.general[RSP] = self.rsp().wrapping_add(8);
        Some(())
    }
}

/// A `RUNTIME_FUNCTION`: an entry of the exception directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuntimeFunction {
    /// The entry's own RVA.
    pub entry: u32,
    /// The RVA of the function's first instruction.
    pub begin: u32,
    /// The RVA after its last one.
    pub end: u32,
    /// The RVA of its `UNWIND_INFO`.
    pub unwind_info: u32,
}

/// A language-specific handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LanguageHandler {
    /// The RVA of the routine.
    pub routine: u32,
    /// The RVA of its data.
    pub data: u32,
    /// `UNW_FLAG_EHANDLER`: it is called while a handler is searched.
    pub exception: bool,
    /// `UNW_FLAG_UHANDLER`: it is called while the stack is unwound.
    pub unwind: bool,
}

/// What unwinding a frame tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnwoundFrame {
    /// The establisher frame: the stack pointer after the prologue, by which a handler finds the function's variables.
    pub establisher: u64,
    /// The function's handler, unless control is in its prologue or an epilogue.
    pub handler: Option<LanguageHandler>,
}

/// `sizeof(RUNTIME_FUNCTION)`.
const ENTRY: usize = 12;

/// How many entries a chain may have: compilers make chains of a few.
const LONGEST_CHAIN: usize = 32;

impl Image {
    /// The entry of the exception directory for the function that `rva` lies in. A leaf function has none.
    #[must_use]
    pub fn runtime_function(&self, rva: u32) -> Option<RuntimeFunction> {
        let directory = self.exception_directory();
        let count = directory.len() / ENTRY;
        let (mut low, mut high) = (0, count);
        while low < high {
            let middle = usize::midpoint(low, high);
            let function = self.function_entry(self.exception_directory_rva() + u32::try_from(middle * ENTRY).ok()?)?;
            if rva < function.begin {
                high = middle;
            } else if rva >= function.end {
                low = middle + 1;
            } else {
                return self.direct(function);
            }
        }
        None
    }

    fn function_entry(&self, entry: u32) -> Option<RuntimeFunction> {
        let bytes = self.memory().get(entry as usize..)?.get(..ENTRY)?;
        let field = |index: usize| u32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[4 * index + byte]));
        Some(RuntimeFunction {
            entry,
            begin: field(0),
            end: field(1),
            unwind_info: field(2),
        })
    }

    /// An entry whose lowest bit of `UnwindData` is set stands for another entry.
    fn direct(&self, function: RuntimeFunction) -> Option<RuntimeFunction> {
        if function.unwind_info & 1 == 0 {
            return Some(function);
        }
        self.function_entry(function.unwind_info & !1)
    }

    fn unwind_info(&self, rva: u32) -> Option<UnwindInfo<'_>> {
        UnwindInfo::parse(self.memory().get(rva as usize..)?)
    }

    /// Undoes the frame of `function`, which control is in at `rva`: afterwards `registers` are those of its caller. None when the
    /// unwind information is malformed or the stack cannot be read.
    pub fn virtual_unwind(
        &self,
        function: RuntimeFunction,
        rva: u32,
        registers: &mut FrameRegisters,
        read: &mut dyn FnMut(u64) -> Option<u64>,
    ) -> Option<UnwoundFrame> {
        let mut frame = registers.rsp();
        let mut current = function;
        for depth in 0..LONGEST_CHAIN {
            let info = self.unwind_info(current.unwind_info)?;
            let offset = rva.wrapping_sub(current.begin);
            let in_prologue = depth == 0 && offset < u32::from(info.prolog_size);
            if let Some(register) = info.frame_register()
                && !in_prologue
            {
                frame = registers.general[register as usize].wrapping_sub(info.frame_register_offset().into());
            }
            if depth == 0 && !in_prologue && info.unwind_codes_len > 0 {
                let epilogue = self.epilogue_at(function, rva, info.frame_register().map(|register| register as usize));
                if let Some(steps) = epilogue {
                    for step in steps {
                        step.apply(registers, read)?;
                    }
                    registers.unwind_leaf(read)?;
                    return Some(UnwoundFrame {
                        establisher: frame,
                        handler: None,
                    });
                }
            }
            let mut machine_frame = false;
            for (code_offset, operation) in info.unwind_operations() {
                if !in_prologue || u32::from(code_offset) <= offset {
                    machine_frame |= undo(&info, operation, registers, &mut frame, read)?;
                }
            }
            let trailer = trailer_of(current.unwind_info, &info);
            if info.flags_raw() & CHAINED != 0 {
                current = self.direct(self.function_entry(trailer)?)?;
                continue;
            }
            if !machine_frame {
                registers.unwind_leaf(read)?;
            }
            return Some(UnwoundFrame {
                establisher: frame,
                handler: self.handler(&info, trailer).filter(|_| !in_prologue),
            });
        }
        None
    }

    fn handler(&self, info: &UnwindInfo<'_>, trailer: u32) -> Option<LanguageHandler> {
        let flags = info.flags_raw();
        if flags & (EXCEPTION | UNWIND) == 0 {
            return None;
        }
        let routine = self.memory().get(trailer as usize..)?.get(..4)?;
        Some(LanguageHandler {
            routine: u32::from_le_bytes(routine.try_into().ok()?),
            data: trailer.wrapping_add(4),
            exception: flags & EXCEPTION != 0,
            unwind: flags & UNWIND != 0,
        })
    }

    /// What is left of the epilogue, when `rva` is in one.
    fn epilogue_at(&self, function: RuntimeFunction, rva: u32, frame_register: Option<usize>) -> Option<Vec<Step>> {
        let code = self.memory().get(rva as usize..function.end as usize)?;
        let decoder = Decoder::with_ip(64, code, rva.into(), DecoderOptions::NONE);
        let mut steps = Vec::new();
        for (index, instruction) in decoder.into_iter().enumerate() {
            let first_byte = code[(instruction.ip32() - rva) as usize];
            match epilogue_step(&instruction, index == 0, frame_register) {
                Some(step) => steps.push(step),
                None if leaves(&instruction, first_byte, function) => return Some(steps),
                None => return None,
            }
        }
        None
    }
}

/// `UNW_FLAG_EHANDLER`.
const EXCEPTION: u8 = 1;
/// `UNW_FLAG_UHANDLER`.
const UNWIND: u8 = 2;
/// `UNW_FLAG_CHAININFO`.
const CHAINED: u8 = 4;

/// What follows the array of codes, which has an even number of places.
fn trailer_of(unwind_info: u32, info: &UnwindInfo<'_>) -> u32 {
    const HEADER: u32 = 4;
    let codes = 2 * u32::from(info.unwind_codes_len).next_multiple_of(2);
    unwind_info.wrapping_add(HEADER + codes)
}

/// An instruction of an epilogue.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// `add rsp, n`.
    Add(u64),
    /// `lea rsp, [register + n]`.
    Lea(usize, u64),
    /// `pop register`.
    Pop(usize),
}

impl Step {
    fn apply(self, registers: &mut FrameRegisters, read: &mut dyn FnMut(u64) -> Option<u64>) -> Option<()> {
        match self {
            Self::Add(bytes) => registers.general[RSP] = registers.rsp().wrapping_add(bytes),
            Self::Lea(register, bytes) => registers.general[RSP] = registers.general[register].wrapping_add(bytes),
            Self::Pop(register) => {
                let value = read(registers.rsp())?;
                registers.general[RSP] = registers.rsp().wrapping_add(8);
                registers.general[register] = value;
            }
        }
        Some(())
    }
}

fn epilogue_step(instruction: &Instruction, first: bool, frame_register: Option<usize>) -> Option<Step> {
    match instruction.code() {
        Code::Pop_r64 => Some(Step::Pop(instruction.op0_register().number())),
        Code::Add_rm64_imm8 | Code::Add_rm64_imm32
            if first
                && instruction.op0_kind() == OpKind::Register
                && instruction.op0_register() == IcedRegister::RSP =>
        {
            Some(Step::Add(instruction.immediate(1)))
        }
        Code::Lea_r64_m
            if first
                && instruction.op0_register() == IcedRegister::RSP
                && instruction.memory_index() == IcedRegister::None
                && Some(instruction.memory_base().number()) == frame_register =>
        {
            Some(Step::Lea(
                instruction.memory_base().number(),
                instruction.memory_displacement64(),
            ))
        }
        _ => None,
    }
}

/// Whether the instruction ends an epilogue: a return, or a jump that is a call of another function in the tail.
fn leaves(instruction: &Instruction, first_byte: u8, function: RuntimeFunction) -> bool {
    const REX_W: u8 = 0x48;
    match instruction.code() {
        Code::Retnq | Code::Retnq_imm16 => true,
        Code::Jmp_rel8_64 | Code::Jmp_rel32_64 => {
            let target = instruction.near_branch_target();
            target <= u64::from(function.begin) || target >= u64::from(function.end)
        }
        // `jmp [rip + n]` jumps through a pointer; by a REX.W prefix a compiler says that a jump leaves the function.
        Code::Jmp_rm64 => {
            let through_pointer =
                instruction.op0_kind() == OpKind::Memory && instruction.memory_base() == IcedRegister::RIP;
            through_pointer || first_byte & 0xF8 == REX_W
        }
        _ => false,
    }
}

/// Undoes what the prologue did. Says whether it was a machine frame, whose return address and stack pointer are taken with it.
fn undo(
    info: &UnwindInfo<'_>,
    operation: UnwindOperation,
    registers: &mut FrameRegisters,
    frame: &mut u64,
    read: &mut dyn FnMut(u64) -> Option<u64>,
) -> Option<bool> {
    let frame_offset = u64::from(info.frame_register_offset());
    // The crate adds an offset to the frame's address; with an address of 0 the sum is the offset itself.
    let slot = |offset| match info.frame_register() {
        Some(_) => info.resolve_offset(|_| frame_offset, offset),
        None => info.resolve_offset(|_| 0, offset),
    };
    match operation {
        UnwindOperation::PopNonVolatile(register) => {
            let value = read(registers.rsp())?;
            registers.general[RSP] = registers.rsp().wrapping_add(8);
            registers.general[register as usize] = value;
        }
        UnwindOperation::UnStackAlloc(bytes) => {
            registers.general[RSP] = registers.rsp().wrapping_add(bytes.into());
        }
        UnwindOperation::RestoreSPFromFP => {
            let register = info.frame_register()?;
            *frame = registers.general[register as usize].wrapping_sub(frame_offset);
            registers.general[RSP] = *frame;
        }
        UnwindOperation::ReadNonVolatile(register, offset) => {
            registers.general[register as usize] = read(frame.wrapping_add(slot(offset)))?;
        }
        UnwindOperation::ReadXMM(register, offset) => {
            let address = frame.wrapping_add(slot(offset));
            let (low, high) = (read(address)?, read(address.wrapping_add(8))?);
            registers.vector[register as usize] = u128::from(high) << 64 | u128::from(low);
        }
        UnwindOperation::PopMachineFrame { error_code } => {
            let at = registers.rsp().wrapping_add(if error_code { 8 } else { 0 });
            registers.rip = read(at)?;
            registers.general[RSP] = read(at.wrapping_add(24))?;
            return Some(true);
        }
        UnwindOperation::EpilogInformation(_) => {}
    }
    Some(false)
}

#[cfg(test)]
#[path = "tests/virtual_unwind.rs"]
mod tests;
