//! Which loads the values in the general registers were computed from, along straight-line code.

use iced_x86::{InstructionInfo, OpAccess, Register, UsedMemory};

/// How many loads one value is traced back to; beyond that the oldest are forgotten.
const LOADS_PER_VALUE: usize = 4;

/// The registers that a callee may change (Windows' x64 calling convention), by their encoding.
const VOLATILE: [usize; 7] = [0, 1, 2, 8, 9, 10, 11];

/// A memory operand. Two are equal when they name the same location, as far as their registers tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Operand {
    segment: Register,
    base: (Register, u32),
    index: (Register, u32),
    scale: u32,
    displacement: u64,
}

impl Operand {
    /// The operand `memory`, its registers with the values they have now.
    pub(super) fn new(memory: &UsedMemory, flow: &Dataflow) -> Self {
        let version = |register: Register| (register, general(register).map_or(0, |r| flow.versions[r]));
        Self {
            segment: memory.segment(),
            base: version(memory.base()),
            index: version(memory.index()),
            scale: memory.scale(),
            displacement: memory.displacement(),
        }
    }
}

/// A load that a value was computed from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Load {
    operand: Operand,
    rva: u32,
}

/// What is known of the general registers at one point of the code.
#[derive(Debug, Default)]
pub(super) struct Dataflow {
    loads: [Vec<Load>; 16],
    /// Counts the changes of each register, so that an operand is recognised only while its registers are unchanged.
    versions: [u32; 16],
}

impl Dataflow {
    /// Forgets everything: control may come from elsewhere.
    pub(super) fn forget(&mut self) {
        for register in 0..self.loads.len() {
            self.overwrite(register);
        }
    }

    /// Forgets what a callee may have changed.
    pub(super) fn call(&mut self) {
        for register in VOLATILE {
            self.overwrite(register);
        }
    }

    /// The earliest load of `operand` that any of `registers` was computed from.
    pub(super) fn load_behind(&self, registers: impl Iterator<Item = Register>, operand: &Operand) -> Option<u32> {
        registers
            .filter_map(general)
            .flat_map(|register| &self.loads[register])
            .filter(|load| load.operand == *operand)
            .map(|load| load.rva)
            .min()
    }

    /// Follows the instruction at `rva`: every general register it writes depends on all it reads.
    pub(super) fn step(&mut self, rva: u32, info: &InstructionInfo) {
        let reads = |access| {
            matches!(
                access,
                OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        };
        let writes = |access| {
            matches!(
                access,
                OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite
            )
        };
        let mut loads: Vec<Load> = Vec::new();
        for used in info.used_registers().iter().filter(|used| reads(used.access())) {
            for load in general(used.register()).into_iter().flat_map(|r| &self.loads[r]) {
                if !loads.contains(load) {
                    loads.push(load.clone());
                }
            }
        }
        for memory in info.used_memory() {
            // What a read-modify-write returns (`xchg`, `xadd`) has its own store behind it already.
            if !matches!(memory.access(), OpAccess::Read | OpAccess::CondRead) {
                continue;
            }
            loads.push(Load {
                operand: Operand::new(memory, self),
                rva,
            });
        }
        let excess = loads.len().saturating_sub(LOADS_PER_VALUE);
        loads.drain(..excess);
        for used in info.used_registers().iter().filter(|used| writes(used.access())) {
            if let Some(register) = general(used.register()) {
                self.overwrite(register);
                self.loads[register].clone_from(&loads);
            }
        }
    }

    fn overwrite(&mut self, register: usize) {
        self.loads[register].clear();
        self.versions[register] = self.versions[register].wrapping_add(1);
    }
}

/// The encoding of the general register that `register` is, or is a part of.
fn general(register: Register) -> Option<usize> {
    let full = register.full_register();
    full.is_gpr64().then(|| full.number())
}
