//! What a disassembly of the image says before it runs: the instructions that the processor cannot run by itself, and how
//! each instruction accesses memory.
//!
//! An emulated instruction is never torn, so an unlocked `inc [counter]` works in every emulated interleaving although it
//! loses counts on real processors. [`CodeMap`] therefore finds the read-modify-writes beforehand, for
//! [`SharingRule`](crate::verifier::SharingRule) to judge: a single instruction that reads and writes its operand without a
//! `lock` prefix, and a store of a value computed from an earlier load of the same operand (`mov eax, [m]; inc eax;
//! mov [m], eax`). The latter is found along straight-line code: a branch out of it does not end the search, a branch
//! into it does.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{
    Code, Decoder, DecoderOptions, EncodingKind, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};

use super::Image;
use super::dataflow::{Dataflow, Operand};

/// How an instruction accesses memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AccessKind {
    /// A load or a store with nothing to it.
    #[default]
    Plain,
    /// A read-modify-write that the processor makes atomic: `lock`-prefixed, or `xchg` with memory.
    Atomic,
    /// A read-modify-write in one instruction that is atomic on its own processor only.
    Rmw,
    /// The load with which a read-modify-write of several instructions begins.
    RmwLoad,
    /// The store with which a read-modify-write of several instructions ends.
    RmwStore {
        /// How many bytes before this instruction the load lies with which it began.
        back: u32,
    },
}

/// An instruction that the machine must run in the processor's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemInstruction {
    /// Where it is.
    pub rva: u32,
    /// Its length, bytes.
    pub length: u8,
    /// What it is.
    pub kind: SystemInstructionKind,
}

/// What a [`SystemInstruction`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SystemInstructionKind {
    /// `mov r64, cr8`: reads the IRQL.
    ReadCr8 {
        /// The destination, by its encoding: 0 = rax, 1 = rcx, 2 = rdx, 3 = rbx, 4 = rsp, …, 15 = r15.
        register: u8,
    },
    /// `mov cr8, r64`: sets the IRQL.
    WriteCr8 {
        /// The source, encoded as in `ReadCr8`.
        register: u8,
    },
    /// `rdtsc`: the time-stamp counter to edx:eax.
    Rdtsc,
    /// `rdtscp`: the same, and the processor's number to ecx.
    Rdtscp,
    /// Anything else that reaches beyond the emulated core, that the emulator does not execute as the processor does, or that would
    /// not be the same in every run: port I/O, `hlt`, model-specific registers, `rdrand`, AVX, …
    Other(Instruction),
}

impl SystemInstruction {
    /// The instruction that starts with `bytes`, at the address `ip`, when it is one that the machine must run. For code that no
    /// image shows beforehand; its RVA is 0.
    #[must_use]
    pub fn decode(bytes: &[u8], ip: u64) -> Option<Self> {
        let instruction = Decoder::with_ip(64, bytes, ip, DecoderOptions::NONE).decode();
        let kind = system_kind(&instruction)?;
        Some(Self {
            rva: 0,
            length: length_of(&instruction),
            kind,
        })
    }
}

/// What a disassembly says of the code at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodeAt {
    /// No instruction was found that starts there: the bytes are data, or are written while the image runs.
    Unknown,
    /// An instruction that the processor runs.
    Instruction,
    /// A string instruction that the processor runs, with a prefix that repeats it (`rep movsb`).
    Repeated,
    /// One that the machine runs.
    System,
}

/// The disassembly's findings, by RVA.
#[derive(Debug, Clone, Default)]
pub struct CodeMap {
    /// One byte per byte of the image: the [`AccessKind`] of the instruction that starts there.
    classes: Vec<Class>,
    /// The load of each [`AccessKind::RmwStore`].
    loads: BTreeMap<u32, u32>,
    system: Vec<SystemInstruction>,
    /// String instructions with a prefix that repeats them, by ascending RVA.
    repeated: Vec<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
enum Class {
    #[default]
    Unknown,
    Plain,
    Atomic,
    Rmw,
    RmwLoad,
    RmwStore,
}

impl CodeMap {
    /// Disassembles every executable section of `image`.
    ///
    /// Decoding restarts at every function the exception directory names, so bytes that are no code disturb nothing but
    /// themselves.
    #[must_use]
    pub fn scan(image: &Image) -> Self {
        let mut map = Self {
            classes: vec![Class::Unknown; image.size() as usize],
            ..Self::default()
        };
        let functions = function_starts(image);
        for section in image.sections() {
            // What can be written may be other code by the time it runs.
            if !section.protection.execute || section.protection.write {
                continue;
            }
            let range = section.rva..section.rva + section.size;
            let instructions = disassemble(image, range, &functions);
            map.classify(&instructions, &functions);
        }
        map
    }

    /// How the instruction at `rva` accesses memory.
    #[must_use]
    pub fn access(&self, rva: u32) -> AccessKind {
        match self.classes.get(rva as usize) {
            None | Some(Class::Unknown | Class::Plain) => AccessKind::Plain,
            Some(Class::Atomic) => AccessKind::Atomic,
            Some(Class::Rmw) => AccessKind::Rmw,
            Some(Class::RmwLoad) => AccessKind::RmwLoad,
            Some(Class::RmwStore) => AccessKind::RmwStore {
                back: rva - self.loads[&rva],
            },
        }
    }

    /// For each byte of the image, what starts there.
    pub fn code(&self) -> impl Iterator<Item = CodeAt> + '_ {
        let mut system = self.system.iter().map(|instruction| instruction.rva).peekable();
        let mut repeated = self.repeated.iter().peekable();
        self.classes.iter().enumerate().map(move |(rva, class)| {
            if system.next_if(|&next| next as usize == rva).is_some() {
                CodeAt::System
            } else if repeated.next_if(|&&next| next as usize == rva).is_some() {
                CodeAt::Repeated
            } else if *class == Class::Unknown {
                CodeAt::Unknown
            } else {
                CodeAt::Instruction
            }
        })
    }

    /// The instructions that the machine must run itself, by ascending RVA.
    #[must_use]
    pub fn system_instructions(&self) -> &[SystemInstruction] {
        &self.system
    }

    fn classify(&mut self, instructions: &[Instruction], functions: &BTreeSet<u32>) {
        let joins = branch_targets(instructions);
        let mut info = InstructionInfoFactory::new();
        let mut flow = Dataflow::default();
        for instruction in instructions {
            let rva = instruction.ip32();
            if joins.contains(&rva) || functions.contains(&rva) {
                flow.forget();
            }
            let class = &mut self.classes[rva as usize];
            if *class == Class::Unknown {
                *class = Class::Plain;
            }
            if let Some(kind) = system_kind(instruction) {
                self.system.push(SystemInstruction {
                    rva,
                    length: length_of(instruction),
                    kind,
                });
            }
            if instruction.is_string_instruction() && (instruction.has_rep_prefix() || instruction.has_repne_prefix()) {
                self.repeated.push(rva);
            }
            let info = info.info(instruction);
            for memory in info.used_memory() {
                match memory.access() {
                    OpAccess::ReadWrite | OpAccess::ReadCondWrite => {
                        let atomic = instruction.has_lock_prefix() || instruction.mnemonic() == Mnemonic::Xchg;
                        self.classes[rva as usize] = if atomic { Class::Atomic } else { Class::Rmw };
                    }
                    OpAccess::Write | OpAccess::CondWrite => {
                        let load = flow.load_behind(stored_registers(instruction), &Operand::new(memory, &flow));
                        if let Some(load) = load {
                            self.classes[rva as usize] = Class::RmwStore;
                            self.loads.insert(rva, load);
                            let first = &mut self.classes[load as usize];
                            if *first == Class::Plain {
                                *first = Class::RmwLoad;
                            }
                        }
                    }
                    _ => {}
                }
            }
            flow.step(rva, info);
            match instruction.flow_control() {
                FlowControl::Next | FlowControl::ConditionalBranch => {}
                FlowControl::Call | FlowControl::IndirectCall => flow.call(),
                _ => flow.forget(),
            }
        }
    }
}

/// The functions that the exception directory names: 12-byte entries that begin with the function's RVA.
fn function_starts(image: &Image) -> BTreeSet<u32> {
    image
        .exception_directory()
        .chunks_exact(12)
        .map(|entry| u32::from_le_bytes([entry[0], entry[1], entry[2], entry[3]]))
        .collect()
}

fn disassemble(image: &Image, range: std::ops::Range<u32>, functions: &BTreeSet<u32>) -> Vec<Instruction> {
    let mut instructions = Vec::new();
    let starts = functions.range(range.clone()).copied();
    let mut starts = std::iter::once(range.start).chain(starts).peekable();
    while let Some(start) = starts.next() {
        let end = starts.peek().copied().unwrap_or(range.end);
        let bytes = &image.memory()[start as usize..end as usize];
        let decoder = Decoder::with_ip(64, bytes, u64::from(start), DecoderOptions::NONE);
        instructions.extend(decoder.into_iter().filter(|instruction| !instruction.is_invalid()));
    }
    instructions
}

fn branch_targets(instructions: &[Instruction]) -> BTreeSet<u32> {
    instructions
        .iter()
        .filter(|instruction| {
            matches!(
                instruction.flow_control(),
                FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
            )
        })
        .filter_map(|instruction| u32::try_from(instruction.near_branch_target()).ok())
        .collect()
}

/// The registers whose values a store writes to memory; those of its address are not among them.
fn stored_registers(instruction: &Instruction) -> impl Iterator<Item = Register> + '_ {
    (1..instruction.op_count())
        .filter(|&operand| instruction.op_kind(operand) == OpKind::Register)
        .map(|operand| instruction.op_register(operand))
}

fn length_of(instruction: &Instruction) -> u8 {
    u8::try_from(instruction.len()).expect("at most 15")
}

fn system_kind(instruction: &Instruction) -> Option<SystemInstructionKind> {
    let encoding = |register: Register| u8::try_from(register.number()).expect("below 16");
    match instruction.code() {
        Code::Mov_r64_cr if instruction.op1_register() == Register::CR8 => Some(SystemInstructionKind::ReadCr8 {
            register: encoding(instruction.op0_register()),
        }),
        Code::Mov_cr_r64 if instruction.op0_register() == Register::CR8 => Some(SystemInstructionKind::WriteCr8 {
            register: encoding(instruction.op1_register()),
        }),
        Code::Rdtsc => Some(SystemInstructionKind::Rdtsc),
        Code::Rdtscp => Some(SystemInstructionKind::Rdtscp),
        _ => by_machine(instruction).then_some(SystemInstructionKind::Other(*instruction)),
    }
}

/// Whether the machine runs an instruction without a kind of its own, or stops at it.
fn by_machine(instruction: &Instruction) -> bool {
    match instruction.mnemonic() {
        // The interrupt flag is a part of the emulated core.
        Mnemonic::Cli | Mnemonic::Sti => false,
        Mnemonic::Cpuid
        | Mnemonic::Rdpid
        | Mnemonic::Rdrand
        | Mnemonic::Rdseed
        | Mnemonic::Rdpmc
        | Mnemonic::Rdfsbase
        | Mnemonic::Rdgsbase
        | Mnemonic::Wrfsbase
        | Mnemonic::Wrgsbase
        | Mnemonic::Sgdt
        | Mnemonic::Sidt
        | Mnemonic::Sldt
        | Mnemonic::Smsw
        | Mnemonic::Str
        | Mnemonic::Syscall
        | Mnemonic::Sysenter
        | Mnemonic::Iretq
        | Mnemonic::Xgetbv
        | Mnemonic::Xsave
        | Mnemonic::Xsave64
        | Mnemonic::Xsavec
        | Mnemonic::Xsavec64
        | Mnemonic::Xsaveopt
        | Mnemonic::Xsaveopt64
        | Mnemonic::Xrstor
        | Mnemonic::Xrstor64 => true,
        _ => instruction.is_privileged() || is_wide_vector(instruction),
    }
}

/// Whether an instruction has an AVX encoding of vector or mask registers. The emulator takes some of them for their SSE forms, which
/// have other operands.
fn is_wide_vector(instruction: &Instruction) -> bool {
    if instruction.encoding() == EncodingKind::Legacy {
        return false;
    }
    let general = (0..instruction.op_count()).all(|operand| match instruction.op_kind(operand) {
        OpKind::Register => instruction.op_register(operand).is_gpr(),
        _ => true,
    });
    // The bit-manipulation instructions share the encoding, and work on general registers alone.
    !general || instruction.op_count() == 0
}

#[cfg(test)]
mod tests {
    use iced_x86::code_asm::*;

    use super::*;
    use crate::image::synthetic::{ImageBuilder, TEXT};

    /// Scans `code` and gives the kinds of its instructions in order.
    fn kinds(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> Vec<AccessKind> {
        let (map, starts) = scan(write);
        starts.into_iter().map(|rva| map.access(rva)).collect()
    }

    fn scan(write: impl FnOnce(&mut CodeAssembler) -> Result<(), IcedError>) -> (CodeMap, Vec<u32>) {
        let mut assembler = CodeAssembler::new(64).unwrap();
        write(&mut assembler).unwrap();
        let code = assembler.assemble(u64::from(TEXT)).unwrap();
        let image = Image::parse("t.sys", &ImageBuilder::new(&code).build()).unwrap();
        let decoder = Decoder::with_ip(64, &code, u64::from(TEXT), DecoderOptions::NONE);
        let starts = decoder.into_iter().map(|instruction| instruction.ip32()).collect();
        (CodeMap::scan(&image), starts)
    }

    use AccessKind::{Atomic, Plain, Rmw, RmwLoad};
    use iced_x86::IcedError;

    fn store_after(back: u32) -> AccessKind {
        AccessKind::RmwStore { back }
    }

    #[test]
    fn a_lock_prefix_tells_atomic_from_not() {
        let found = kinds(|a| {
            a.inc(dword_ptr(rcx))?;
            a.lock().inc(dword_ptr(rcx))?;
            a.xchg(dword_ptr(rcx), eax)?;
            a.cmpxchg(dword_ptr(rcx), edx)?;
            a.lock().cmpxchg(dword_ptr(rcx), edx)?;
            a.mov(dword_ptr(rcx), eax)?;
            a.cmp(dword_ptr(rcx), eax)
        });
        assert_eq!(found, [Rmw, Atomic, Atomic, Rmw, Atomic, Plain, Plain]);
    }

    #[test]
    fn load_compute_store_of_one_operand_is_a_read_modify_write() {
        let found = kinds(|a| {
            a.mov(eax, dword_ptr(rcx + 8))?;
            a.add(eax, 1)?;
            a.mov(edx, eax)?;
            a.mov(dword_ptr(rcx + 8), edx)
        });
        assert_eq!(found, [RmwLoad, Plain, Plain, store_after(10)]);
    }

    #[test]
    fn another_operand_or_a_changed_address_register_is_none() {
        let found = kinds(|a| {
            a.mov(eax, dword_ptr(rcx + 8))?;
            a.inc(eax)?;
            a.mov(dword_ptr(rcx + 12), eax)
        });
        assert_eq!(found, [Plain; 3]);
        let found = kinds(|a| {
            a.mov(eax, dword_ptr(rcx + 8))?;
            a.inc(eax)?;
            a.mov(rcx, rdx)?;
            a.mov(dword_ptr(rcx + 8), eax)
        });
        assert_eq!(found, [Plain; 4]);
    }

    #[test]
    fn an_overwritten_register_forgets_the_load() {
        let found = kinds(|a| {
            a.mov(eax, dword_ptr(rcx))?;
            a.xor(eax, eax)?;
            a.mov(dword_ptr(rcx), eax)
        });
        assert_eq!(found, [Plain; 3]);
    }

    #[test]
    fn a_branch_out_keeps_the_load_and_a_branch_in_forgets_it() {
        let found = kinds(|a| {
            let mut end = a.create_label();
            a.mov(eax, dword_ptr(rcx))?;
            a.inc(eax)?;
            a.jo(end)?;
            a.mov(dword_ptr(rcx), eax)?;
            a.set_label(&mut end)?;
            a.mov(dword_ptr(rcx), eax)?;
            a.ret()
        });
        assert_eq!(found, [RmwLoad, Plain, Plain, store_after(6), Plain, Plain]);
    }

    #[test]
    fn a_call_forgets_volatile_registers_only() {
        let found = kinds(|a| {
            a.mov(ebx, dword_ptr(rsi))?;
            a.mov(eax, dword_ptr(rsi + 4))?;
            a.call(u64::from(TEXT))?;
            a.mov(dword_ptr(rsi), ebx)?;
            a.mov(dword_ptr(rsi + 4), eax)
        });
        assert_eq!(found, [RmwLoad, Plain, Plain, store_after(10), Plain]);
    }

    #[test]
    fn a_value_taken_through_the_loaded_pointer_still_depends_on_it() {
        // The pop of a singly linked list: head = head->next.
        let found = kinds(|a| {
            a.mov(rax, qword_ptr(rcx))?;
            a.mov(rdx, qword_ptr(rax + 8))?;
            a.mov(qword_ptr(rcx), rdx)
        });
        assert_eq!(found, [RmwLoad, Plain, store_after(7)]);
    }

    #[test]
    fn avx_is_not_taken_for_sse_and_bit_manipulation_is_not_taken_for_avx() {
        let (map, starts) = scan(|a| {
            a.vpaddd(xmm0, xmm1, xmm2)?;
            a.vzeroupper()?;
            a.paddd(xmm0, xmm1)?;
            a.andn(rax, rcx, rdx)?;
            a.vaddps(ymm0, ymm1, ymm2)
        });
        let found: Vec<_> = map.system_instructions().iter().map(|i| i.rva).collect();
        assert_eq!(found, [starts[0], starts[1], starts[4]]);
    }

    #[test]
    fn instructions_beyond_the_processor_are_listed() {
        let (map, starts) = scan(|a| {
            a.mov(r9, cr8)?;
            a.mov(cr8, rax)?;
            a.rdtsc()?;
            a.rdtscp()?;
            a.cli()?;
            a.rdmsr()?;
            a.mov(rax, rcx)
        });
        let mut found: Vec<_> = map.system_instructions().iter().map(|i| i.kind.clone()).collect();
        let last = found.pop();
        assert!(matches!(last, Some(SystemInstructionKind::Other(i)) if i.mnemonic() == Mnemonic::Rdmsr));
        assert_eq!(
            found,
            [
                SystemInstructionKind::ReadCr8 { register: 9 },
                SystemInstructionKind::WriteCr8 { register: 0 },
                SystemInstructionKind::Rdtsc,
                SystemInstructionKind::Rdtscp,
            ]
        );
        let first = &map.system_instructions()[0];
        assert_eq!((first.rva, u32::from(first.length)), (TEXT, starts[1] - starts[0]));
    }
}
