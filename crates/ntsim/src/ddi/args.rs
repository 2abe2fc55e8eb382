//! Arguments and return values in the x64 calling convention.

use crate::{bugcheck::Outcome, ke::Irql, kernel::Kernel, mm::Va, status::NtStatus};

/// The most arguments a modelled routine takes.
pub const MAX_ARGUMENTS: usize = 15;

/// How many arguments are passed in registers: rcx, rdx, r8, r9.
const IN_REGISTERS: usize = 4;

/// The arguments of one call, read when the call was made.
#[derive(Clone, Copy, Debug)]
pub struct Args {
    values: [u64; MAX_ARGUMENTS],
    count: usize,
    /// Where the call returns to: the instruction after it.
    return_address: Va,
    /// The stack pointer on entry: the return address lies there.
    stack_pointer: Va,
}

impl Args {
    /// Gathers `count` arguments: four registers, then the stack behind the return address and the four home slots.
    pub(crate) fn read(k: &Kernel, registers: [u64; IN_REGISTERS], stack_pointer: Va, count: usize) -> Outcome<Self> {
        let mut args = Self {
            values: [0; MAX_ARGUMENTS],
            count,
            return_address: k.read(stack_pointer)?,
            stack_pointer,
        };
        args.values[..registers.len()].copy_from_slice(&registers);
        for index in registers.len()..count {
            args.values[index] = k.read(Self::slot(stack_pointer, index))?;
        }
        Ok(args)
    }

    fn slot(stack_pointer: Va, index: usize) -> Va {
        stack_pointer + 8_u64 + index * 8
    }

    /// Arguments for a routine that the model calls itself.
    #[must_use]
    pub fn of(values: &[u64]) -> Self {
        let mut args = Self {
            values: [0; MAX_ARGUMENTS],
            count: values.len(),
            return_address: Va::NULL,
            stack_pointer: Va::NULL,
        };
        args.values[..values.len()].copy_from_slice(values);
        args
    }

    /// All of them.
    #[must_use]
    pub fn values(&self) -> &[u64] {
        &self.values[..self.count]
    }

    /// Where the call returns to.
    #[must_use]
    pub fn return_address(&self) -> Va {
        self.return_address
    }

    /// The argument at `index` of a variadic routine, beyond those registered.
    ///
    /// # Errors
    /// When the stack slot is not readable.
    pub fn variadic(&self, k: &Kernel, index: usize) -> Outcome<u64> {
        // A variadic call passes its first four arguments in registers like any other.
        if index < self.count.max(IN_REGISTERS) {
            return Ok(self.values[index]);
        }
        k.read(Self::slot(self.stack_pointer, index))
    }

    /// The argument as 64 bits.
    #[must_use]
    pub fn u64(&self, index: usize) -> u64 {
        self.values()[index]
    }

    /// The argument as a pointer.
    #[must_use]
    pub fn va(&self, index: usize) -> Va {
        Va(self.u64(index))
    }

    /// The argument's low 32 bits (`ULONG`); the rest of the register is undefined in this calling convention.
    #[must_use]
    pub fn u32(&self, index: usize) -> u32 {
        (self.u64(index) & 0xFFFF_FFFF) as u32
    }

    /// The argument's low 16 bits (`USHORT`).
    #[must_use]
    pub fn u16(&self, index: usize) -> u16 {
        (self.u64(index) & 0xFFFF) as u16
    }

    /// The argument's low 8 bits (`UCHAR`, `KIRQL`, `CCHAR`).
    #[must_use]
    pub fn u8(&self, index: usize) -> u8 {
        (self.u64(index) & 0xFF) as u8
    }

    /// The argument as a `BOOLEAN`.
    #[must_use]
    pub fn bool(&self, index: usize) -> bool {
        self.u8(index) != 0
    }
}

/// What a modelled routine returns: it goes to rax.
pub trait ReturnValue {
    /// The value of rax.
    fn into_rax(self) -> u64;
}

impl ReturnValue for () {
    fn into_rax(self) -> u64 {
        0
    }
}

impl ReturnValue for bool {
    fn into_rax(self) -> u64 {
        u64::from(self)
    }
}

impl ReturnValue for u8 {
    fn into_rax(self) -> u64 {
        u64::from(self)
    }
}

impl ReturnValue for u32 {
    fn into_rax(self) -> u64 {
        u64::from(self)
    }
}

impl ReturnValue for i32 {
    fn into_rax(self) -> u64 {
        u64::from(self.cast_unsigned())
    }
}

impl ReturnValue for u64 {
    fn into_rax(self) -> u64 {
        self
    }
}

impl ReturnValue for Va {
    fn into_rax(self) -> u64 {
        self.get()
    }
}

impl ReturnValue for NtStatus {
    fn into_rax(self) -> u64 {
        u64::from(self.0)
    }
}

impl ReturnValue for Irql {
    fn into_rax(self) -> u64 {
        u64::from(self.0)
    }
}
