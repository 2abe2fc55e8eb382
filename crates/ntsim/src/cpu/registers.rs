//! A saved register file.

use std::fmt;

use unicorn_engine::{Context, RegisterX86};

use crate::mm::Va;

/// The general-purpose registers by their encoding numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the registers' own names say it all")]
pub enum Gpr {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

const GPRS: [RegisterX86; 16] = [
    RegisterX86::RAX,
    RegisterX86::RCX,
    RegisterX86::RDX,
    RegisterX86::RBX,
    RegisterX86::RSP,
    RegisterX86::RBP,
    RegisterX86::RSI,
    RegisterX86::RDI,
    RegisterX86::R8,
    RegisterX86::R9,
    RegisterX86::R10,
    RegisterX86::R11,
    RegisterX86::R12,
    RegisterX86::R13,
    RegisterX86::R14,
    RegisterX86::R15,
];

/// The names in the order of the encoding numbers.
const NAMES: [&str; 16] = [
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
];

/// `IF` of rflags.
const INTERRUPT_FLAG: u64 = 1 << 9;

/// The whole register file (general-purpose, flags, vector) of guest code that does not run at the moment.
pub struct Registers(pub(super) Context);

impl Registers {
    /// The general-purpose register with encoding number `index`.
    ///
    /// # Panics
    /// When there is no such register.
    #[must_use]
    pub fn by_number(&self, index: usize) -> u64 {
        self.read(GPRS[index])
    }

    /// Sets the general-purpose register with encoding number `index`.
    ///
    /// # Panics
    /// When there is no such register.
    pub fn set_by_number(&mut self, index: usize, value: u64) {
        self.write(GPRS[index], value);
    }

    /// A general-purpose register.
    #[must_use]
    pub fn get(&self, register: Gpr) -> u64 {
        self.by_number(register as usize)
    }

    /// Sets a general-purpose register.
    pub fn set(&mut self, register: Gpr, value: u64) {
        self.set_by_number(register as usize, value);
    }

    /// rsp.
    #[must_use]
    pub fn stack_pointer(&self) -> Va {
        Va(self.get(Gpr::Rsp))
    }

    /// rip.
    #[must_use]
    pub fn program_counter(&self) -> Va {
        Va(self.read(RegisterX86::RIP))
    }

    /// Sets rip.
    pub fn set_program_counter(&mut self, pc: Va) {
        self.write(RegisterX86::RIP, pc.get());
    }

    /// rflags.
    #[must_use]
    pub fn flags(&self) -> u64 {
        self.read(RegisterX86::RFLAGS)
    }

    /// Whether the interrupt flag is set.
    #[must_use]
    pub fn interrupts_enabled(&self) -> bool {
        self.flags() & INTERRUPT_FLAG != 0
    }

    /// Clears the interrupt flag.
    pub fn disable_interrupts(&mut self) {
        self.set_flags(self.flags() & !INTERRUPT_FLAG);
    }

    /// Sets rflags.
    pub fn set_flags(&mut self, flags: u64) {
        self.write(RegisterX86::RFLAGS, flags);
    }

    /// All general-purpose registers, by encoding number.
    #[must_use]
    pub fn general(&self) -> [u64; 16] {
        std::array::from_fn(|index| self.by_number(index))
    }

    fn read(&self, register: RegisterX86) -> u64 {
        self.0.reg_read(register).expect("x86-64 has the register")
    }

    fn write(&mut self, register: RegisterX86, value: u64) {
        self.0.reg_write(register, value).expect("x86-64 has the register");
    }
}

impl fmt::Debug for Registers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rip={:016x} rfl={:08x}", self.program_counter().get(), self.flags())?;
        for (index, name) in NAMES.iter().enumerate() {
            write!(f, " {name}={:016x}", self.by_number(index))?;
        }
        Ok(())
    }
}

impl fmt::Display for Registers {
    /// A table of four columns, as debuggers print registers.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in NAMES.iter().enumerate() {
            let end = if index % 4 == 3 { "\n" } else { "  " };
            write!(f, "{name:>3}={:016x}{end}", self.by_number(index))?;
        }
        write!(f, "rip={:016x}  rfl={:08x}", self.program_counter().get(), self.flags())
    }
}
