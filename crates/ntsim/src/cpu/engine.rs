//! The emulator: one unicorn instance whose register file the processors take turns with.
//!
//! Unicorn runs with its virtual TLB, so that kernel addresses are what they are on Windows and several mappings may share
//! memory; translations come from the [`AddressSpace`](crate::mm::AddressSpace). All hooks are installed before the first
//! instruction runs, since unicorn does not instrument what it has translated already.

use std::rc::Rc;

use thiserror::Error;
use unicorn_engine::{Arch, HookType, MemType, Mode, Prot, RegisterX86, TlbEntry, TlbType, Unicorn, uc_error};

use super::{Access, Exit, PageFault, Registers, hooks::Watch};
use crate::mm::{PAGE_SIZE, Pa, Va};

/// Why the emulator could not be set up or given memory.
#[derive(Debug, Error)]
#[error("the emulator cannot {action}: {error:?}")]
pub struct EngineError {
    action: &'static str,
    error: uc_error,
}

fn cannot(action: &'static str) -> impl FnOnce(uc_error) -> EngineError {
    move |error| EngineError { action, error }
}

/// The emulator.
pub struct Engine {
    unicorn: Unicorn<'static, ()>,
    watch: Rc<Watch>,
    fresh: Registers,
}

/// What came of running guest code.
#[derive(Debug)]
pub struct Ran {
    /// Why it stopped.
    pub exit: Exit,
    /// How many steps it took.
    pub steps: u64,
    /// How many instructions it began.
    pub instructions: u64,
}

/// The emulator's number of vector register `index`: they are consecutive.
fn vector_register(index: usize) -> i32 {
    RegisterX86::XMM0 as i32 + i32::try_from(index).expect("below 16")
}

/// Has the emulator give every range of RAM numbers of its own.
///
/// Unicorn numbers all pages of RAM, and finds by a page's number the code that it has translated from it. As long as nothing was unmapped it
/// gives a range the numbers behind those of the last one in its list, which is sorted by size: two ranges may share numbers then. A store to
/// one invalidates code of the other, and if that code is running, the store is executed again. Once something was unmapped, it looks for
/// numbers that are free.
fn keep_ram_apart(unicorn: &mut Unicorn<'static, ()>) -> Result<(), uc_error> {
    unicorn.mem_map(0, PAGE_SIZE, Prot::NONE)?;
    unicorn.mem_unmap(0, PAGE_SIZE)
}

/// `IF` and the bit that is always set.
const INITIAL_FLAGS: u64 = 0x202;

impl Engine {
    /// An emulator without memory.
    ///
    /// # Errors
    /// When unicorn cannot be set up.
    pub fn new(watch: Rc<Watch>) -> Result<Self, EngineError> {
        let mut unicorn = Unicorn::new(Arch::X86, Mode::MODE_64).map_err(cannot("be created"))?;
        unicorn
            .ctl_set_tlb_type(TlbType::VIRTUAL)
            .map_err(cannot("use a virtual TLB"))?;
        keep_ram_apart(&mut unicorn).map_err(cannot("keep RAM apart"))?;
        Self::install_hooks(&mut unicorn, &watch).map_err(cannot("be hooked"))?;
        unicorn
            .reg_write(RegisterX86::RFLAGS, INITIAL_FLAGS)
            .map_err(cannot("set flags"))?;
        let fresh = Registers(unicorn.context_init().map_err(cannot("save registers"))?);
        Ok(Self { unicorn, watch, fresh })
    }

    fn install_hooks(unicorn: &mut Unicorn<'static, ()>, watch: &Rc<Watch>) -> Result<(), uc_error> {
        // A hook whose start lies above its end is called for every address.
        const EVERYWHERE: (u64, u64) = (1, 0);
        let (begin, end) = EVERYWHERE;

        let on = Rc::clone(watch);
        unicorn.add_code_hook(begin, end, move |unicorn, address, _| {
            let go_on = on.on_instruction(Va(address), &mut |pa, bytes| unicorn.mem_read(pa.0, bytes).is_ok());
            if on.steps.wanted()
                && let Ok(stack) = unicorn.reg_read(RegisterX86::RSP)
            {
                on.steps.note_stack(Va(stack));
            }
            if !go_on {
                // Stopping fails only without a running emulation, and this is one.
                let _ = unicorn.emu_stop();
            }
        })?;

        let on = Rc::clone(watch);
        let accesses = HookType::MEM_READ | HookType::MEM_WRITE;
        unicorn.add_mem_hook(accesses, begin, end, move |unicorn, kind, address, size, value| {
            let write = kind == MemType::WRITE;
            let go_on = on.on_memory(Pa(address), size, write, value.cast_unsigned());
            if !go_on {
                let _ = unicorn.emu_stop();
            }
            go_on
        })?;

        let on = Rc::clone(watch);
        unicorn.add_tlb_hook(0, u64::MAX, move |_, page, kind| {
            let access = match kind {
                MemType::WRITE => Access::Write,
                MemType::FETCH => Access::Execute,
                _ => Access::Read,
            };
            let (pa, write, execute) = on.on_translate(Va(page), access)?;
            let mut perms = Prot::READ;
            if write {
                perms |= Prot::WRITE;
            }
            if execute {
                perms |= Prot::EXEC;
            }
            Some(TlbEntry { paddr: pa.0, perms })
        })?;

        let on = Rc::clone(watch);
        unicorn.add_intr_hook(move |unicorn, vector| {
            on.on_exception(vector);
            let _ = unicorn.emu_stop();
        })?;
        Ok(())
    }

    /// Gives the machine RAM at a physical address.
    ///
    /// # Errors
    /// When the range is not free.
    pub fn map_ram(&mut self, start: Pa, length: u64) -> Result<(), EngineError> {
        self.unicorn
            .mem_map(start.0, length, Prot::ALL)
            .map_err(cannot("map memory"))
    }

    /// Makes a physical range a device window.
    ///
    /// # Errors
    /// When the range is not free.
    pub fn map_device(&mut self, start: Pa, length: u64) -> Result<(), EngineError> {
        let (reads, writes) = (Rc::clone(&self.watch), Rc::clone(&self.watch));
        self.unicorn
            .mmio_map(
                start.0,
                length,
                Some(move |_: &mut Unicorn<'_, ()>, offset, size| reads.on_device_read(start + offset, size)),
                Some(move |_: &mut Unicorn<'_, ()>, offset, size, value| {
                    writes.on_device_write(start + offset, size, value);
                }),
            )
            .map_err(cannot("map a device"))
    }

    /// Reads RAM.
    ///
    /// # Panics
    /// When there is none at those addresses: translation has said there is.
    pub fn read(&self, start: Pa, bytes: &mut [u8]) {
        self.unicorn.mem_read(start.0, bytes).expect("translated memory exists");
    }

    /// Reads RAM that may never have been used. Says whether it was.
    #[must_use]
    pub fn try_read(&self, start: Pa, bytes: &mut [u8]) -> bool {
        self.unicorn.mem_read(start.0, bytes).is_ok()
    }

    /// Writes RAM.
    ///
    /// # Panics
    /// When there is none at those addresses: translation has said there is.
    pub fn write(&mut self, start: Pa, bytes: &[u8]) {
        self.unicorn
            .mem_write(start.0, bytes)
            .expect("translated memory exists");
    }

    /// Forgets translations after the address space has shrunk.
    ///
    /// # Panics
    /// Never: unicorn can always flush its TLB.
    pub fn flush_translations(&mut self) {
        self.unicorn.ctl_flush_tlb().expect("the TLB can always be flushed");
    }

    /// The register file of code that has not run yet.
    ///
    /// # Panics
    /// When the host has no memory for it.
    #[must_use]
    pub fn fresh_registers(&self) -> Registers {
        let mut registers = self.unicorn.context_alloc().expect("registers can be saved");
        self.unicorn
            .context_restore(&self.fresh.0)
            .expect("registers can be restored");
        self.unicorn
            .context_save(&mut registers)
            .expect("registers can be saved");
        Registers(registers)
    }

    /// xmm0 to xmm15 of a register file.
    ///
    /// # Panics
    /// Never: x86-64 has the registers.
    pub fn vector_registers(&mut self, registers: &Registers) -> [u128; 16] {
        self.unicorn
            .context_restore(&registers.0)
            .expect("registers can be restored");
        std::array::from_fn(|index| {
            let bytes = self
                .unicorn
                .reg_read_long(vector_register(index))
                .expect("x86-64 has sixteen vector registers");
            u128::from_le_bytes(bytes[..].try_into().expect("a vector register has 16 bytes"))
        })
    }

    /// Sets xmm0 to xmm15 of a register file.
    ///
    /// # Panics
    /// Never: x86-64 has the registers.
    pub fn set_vector_registers(&mut self, registers: &mut Registers, values: &[u128; 16]) {
        self.unicorn
            .context_restore(&registers.0)
            .expect("registers can be restored");
        for (index, value) in values.iter().enumerate() {
            self.unicorn
                .reg_write_long(vector_register(index), &value.to_le_bytes())
                .expect("x86-64 has sixteen vector registers");
        }
        self.unicorn
            .context_save(&mut registers.0)
            .expect("registers can be saved");
    }

    /// Runs guest code for at most `budget` steps. A step is an instruction, or a round of a repeated one. `last` is the instruction that the
    /// code has executed before.
    ///
    /// # Panics
    /// Never: unicorn takes back what it has saved.
    pub fn run(&mut self, registers: &mut Registers, gs_base: Va, budget: u64, last: Va) -> Ran {
        self.watch.begin(budget, last);
        if self.watch.translations_for_slice.take() {
            self.flush_translations();
        }
        self.unicorn
            .context_restore(&registers.0)
            .expect("registers can be restored");
        self.unicorn
            .reg_write(RegisterX86::GS_BASE, gs_base.get())
            .expect("x86-64 has gs");
        let pc = registers.program_counter();
        let result = self.unicorn.emu_start(pc.get(), 0, 0, 0);
        self.unicorn
            .context_save(&mut registers.0)
            .expect("registers can be saved");
        let noted = self.watch.exit.borrow_mut().take();
        let exit = noted.unwrap_or_else(|| match result {
            Err(uc_error::INSN_INVALID) => Exit::InvalidInstruction,
            _ => Exit::PageFault(PageFault {
                page: registers.program_counter().page(),
                access: Access::Execute,
            }),
        });
        Ran {
            exit,
            steps: self.watch.executed.get(),
            instructions: self.watch.instructions.get(),
        }
    }
}
