//! What the emulator reports while guest code runs, and what makes it stop.
//!
//! The hooks see each instruction and each memory access. They look and note; whatever needs the kernel model stops the slice,
//! and the scheduler acts on the [`Exit`].

use std::{
    cell::{Cell, RefCell},
    fmt,
    rc::Rc,
};

use super::{Access, PageFault, Steps, code::LoadedImages};
use crate::{
    bus::{DeviceFault, Ram, Width},
    image::SystemInstruction,
    ke::Irql,
    mm::{
        AddressSpace, Pa, UserSpace, Va,
        pool::{Pool, PoolFault},
    },
    sched::{ThreadId, VirtualTime},
    verifier::{AccessSite, SharingRule, Violation},
};

/// Why a slice of guest code ended.
#[derive(Debug)]
pub enum Exit {
    /// Its instructions are used up.
    Budget,
    /// The guest has called or returned to the address of a kernel export.
    Export(Va),
    /// The guest has reached an instruction that the model carries out.
    System(SystemInstruction),
    /// The guest touched memory that is not there, or not like that.
    PageFault(PageFault),
    /// The guest touched pool that it must not.
    Pool {
        /// The address.
        address: Va,
        /// What it did there.
        access: Access,
        /// What is wrong.
        fault: PoolFault,
    },
    /// The guest touched a pageable section of an image at `DISPATCH_LEVEL` or above.
    Paged {
        /// The address.
        address: Va,
        /// What it did there.
        access: Access,
    },
    /// Two processors shared memory without order.
    Sharing(Violation),
    /// A device refused an access.
    Device {
        /// The register's physical address.
        address: Pa,
        /// Why.
        fault: DeviceFault,
    },
    /// The processor raised an exception or software interrupt.
    Exception(u32),
    /// The bytes at the program counter are no instruction.
    InvalidInstruction,
}

/// Devices behind physical addresses, as the processors reach them.
pub trait Hardware {
    /// A load from a device window.
    ///
    /// # Errors
    /// What rule of the device or bus the access breaks.
    fn read(&mut self, address: Pa, width: u8, now: VirtualTime) -> Result<u64, DeviceFault>;

    /// A store to a device window.
    ///
    /// # Errors
    /// What rule of the device or bus the access breaks.
    fn write(&mut self, address: Pa, width: u8, value: u64, now: VirtualTime) -> Result<(), DeviceFault>;

    /// A load from an I/O port; none when no device is known to have it.
    ///
    /// # Errors
    /// What rule of the device or bus the access breaks.
    fn read_port(&mut self, port: u16, width: Width, now: VirtualTime) -> Result<Option<u64>, DeviceFault>;

    /// A store to an I/O port; none when no device is known to have it.
    ///
    /// # Errors
    /// What rule of the device or bus the access breaks.
    fn write_port(&mut self, port: u16, width: Width, value: u64, now: VirtualTime) -> Result<Option<()>, DeviceFault>;

    /// When a device next does something by itself.
    fn next_event(&self) -> Option<VirtualTime>;

    /// Lets devices do what they do by themselves until `now`, `ram` being the memory that they reach.
    ///
    /// # Errors
    /// What rule a device breaks, or what it finds broken.
    fn advance(&mut self, now: VirtualTime, ram: &mut dyn Ram) -> Result<(), DeviceFault>;

    /// Whether a device asserts an interrupt line.
    fn line_asserted(&self, line: u32) -> bool;

    /// The vectors of the interrupt messages that no processor has taken yet, in ascending order.
    fn messages_pending(&self) -> Vec<u32>;

    /// A processor takes the interrupt message with `vector`.
    fn take_message(&mut self, vector: u32);

    /// The physical windows that devices answer in: start and length.
    fn windows(&self) -> Vec<(Pa, u64)>;
}

/// A device access wider than the emulator passes on in one piece: it splits eight bytes into two times four.
#[derive(Clone, Copy, Debug)]
struct WideAccess {
    address: Pa,
    value: u64,
}

/// A device register that was accessed, for the trace.
#[derive(Clone, Copy, Debug)]
pub struct DeviceAccess {
    /// Its physical address.
    pub address: Pa,
    /// Bytes.
    pub width: u8,
    /// What was read or written.
    pub value: u64,
    /// Written rather than read.
    pub write: bool,
}

/// State shared by the hooks and the model.
pub struct Watch {
    /// Virtual time.
    pub clock: Cell<VirtualTime>,
    /// The processor that runs.
    pub processor: Cell<usize>,
    /// Its IRQL.
    pub irql: Cell<Irql>,
    /// The virtual address space.
    pub space: RefCell<AddressSpace>,
    /// The programs' memory.
    pub user: RefCell<UserSpace>,
    /// The thread whose context the processor is in: it decides which program's memory is there.
    pub thread: Cell<Option<ThreadId>>,
    /// Pool.
    pub pool: RefCell<Pool>,
    /// The loaded images' code.
    pub code: RefCell<LoadedImages>,
    /// The rule of unlocked sharing.
    pub sharing: RefCell<SharingRule>,
    /// The devices.
    pub hardware: Rc<RefCell<dyn Hardware>>,
    /// Device accesses of the slice, for the trace.
    pub device_accesses: RefCell<Vec<DeviceAccess>>,
    /// The instructions of the slice, for a profile.
    pub steps: Steps,
    /// The addresses of kernel exports: fetching from there is a call into the model.
    pub exports: Cell<(Va, u64)>,
    pub(super) budget: Cell<u64>,
    pub(super) executed: Cell<u64>,
    pub(super) instructions: Cell<u64>,
    pub(super) exit: RefCell<Option<Exit>>,
    pc: Cell<Va>,
    /// The emulator has been given translations that hold for this slice only.
    pub(super) translations_for_slice: Cell<bool>,
    /// The physical addresses of pool: start and length reserved.
    pool_window: Cell<(Pa, u64)>,
    wide: Cell<Option<WideAccess>>,
    last_access: Cell<(Pa, usize, u64)>,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("clock", &self.clock)
            .field("processor", &self.processor)
            .field("irql", &self.irql)
            .field("pc", &self.pc)
            .finish_non_exhaustive()
    }
}

impl Watch {
    /// For a machine with `processors` processors.
    #[must_use]
    pub fn new(processors: usize, hardware: Rc<RefCell<dyn Hardware>>) -> Self {
        Self {
            clock: Cell::new(0),
            processor: Cell::new(0),
            irql: Cell::default(),
            space: RefCell::default(),
            user: RefCell::default(),
            thread: Cell::default(),
            pool: RefCell::default(),
            code: RefCell::default(),
            sharing: RefCell::new(SharingRule::new(processors)),
            hardware,
            device_accesses: RefCell::default(),
            steps: Steps::default(),
            exports: Cell::default(),
            budget: Cell::new(0),
            executed: Cell::new(0),
            instructions: Cell::new(0),
            exit: RefCell::default(),
            pc: Cell::default(),
            translations_for_slice: Cell::new(false),
            pool_window: Cell::default(),
            wide: Cell::new(None),
            last_access: Cell::new((Pa(0), 0, 0)),
        }
    }

    /// Says where pool's physical memory is.
    pub fn set_pool_window(&self, start: Pa, length: u64) {
        self.pool_window.set((start, length));
    }

    /// The instruction that ran last.
    #[must_use]
    pub fn program_counter(&self) -> Va {
        self.pc.get()
    }

    /// A slice begins of at most `budget` steps. The instruction at `last` is the one that its code has executed before.
    pub(super) fn begin(&self, budget: u64, last: Va) {
        self.pc.set(last);
        self.budget.set(budget);
        self.executed.set(0);
        self.instructions.set(0);
        *self.exit.borrow_mut() = None;
    }

    fn stop(&self, exit: Exit) {
        let mut slot = self.exit.borrow_mut();
        if slot.is_none() {
            *slot = Some(exit);
        }
    }

    /// Before an instruction. Says whether it may run.
    ///
    /// `memory` reads RAM, for code that no disassembly shows.
    pub(super) fn on_instruction(&self, pc: Va, memory: &mut dyn FnMut(Pa, &mut [u8]) -> bool) -> bool {
        if self.exit.borrow().is_some() {
            return false;
        }
        let (exports, length) = self.exports.get();
        if pc - exports < length {
            self.stop(Exit::Export(pc));
            return false;
        }
        if self.budget.get() == 0 {
            self.stop(Exit::Budget);
            return false;
        }
        let (stop, known, repeated) = {
            let code = self.code.borrow();
            (
                code.stop_at(pc, self.irql.get()),
                code.is_known(pc),
                code.is_repeated(pc),
            )
        };
        let stop = stop.or_else(|| {
            let unknown = (!known).then(|| self.decode(pc, memory)).flatten();
            unknown.map(Exit::System)
        });
        if let Some(exit) = stop {
            self.stop(exit);
            return false;
        }
        // The emulator asks before each round of a repeated instruction. All of them take time; they are one instruction.
        if !(repeated && pc == self.pc.get()) {
            self.instructions.set(self.instructions.get() + 1);
            self.steps.note(pc);
        }
        self.pc.set(pc);
        self.budget.set(self.budget.get() - 1);
        self.executed.set(self.executed.get() + 1);
        true
    }

    /// The instruction at `pc`, as memory holds it now, when the model must carry it out.
    fn decode(&self, pc: Va, memory: &mut dyn FnMut(Pa, &mut [u8]) -> bool) -> Option<SystemInstruction> {
        /// The longest x86 instruction.
        const LONGEST: usize = 15;
        let mut bytes = [0; LONGEST];
        let mut known = 0;
        while known < LONGEST {
            let Some((pa, _, available)) = self.space.borrow().translate_prefix(pc + known) else {
                break;
            };
            let rest = &mut bytes[known..];
            let length = usize::try_from(available).map_or(rest.len(), |available| rest.len().min(available));
            if !memory(pa, &mut rest[..length]) {
                break;
            }
            known += length;
        }
        SystemInstruction::decode(&bytes[..known], pc.get())
    }

    /// Before a memory access, by physical address. Says whether it may happen.
    pub(super) fn on_memory(&self, pa: Pa, size: usize, write: bool, value: u64) -> bool {
        if crate::mm::is_device(pa) {
            // The next instruction starts a new slice: other processors may see what the device does now.
            self.budget.set(0);
            self.last_access.set((pa, size, value));
            return true;
        }
        let (pool, length) = self.pool_window.get();
        if pa - pool < length {
            let va = crate::mm::pool::POOL_BASE + (pa - pool);
            let paged_allowed = self.irql.get() < Irql::DISPATCH;
            if let Err(fault) = self.pool.borrow().check(va, size as u64, paged_allowed) {
                let access = if write { Access::Write } else { Access::Read };
                self.stop(Exit::Pool {
                    address: va,
                    access,
                    fault,
                });
                return false;
            }
        }
        if self.irql.get() >= Irql::DISPATCH
            && let Some(address) = self.code.borrow().paged_at(pa)
        {
            let access = if write { Access::Write } else { Access::Read };
            self.stop(Exit::Paged { address, access });
            return false;
        }
        self.on_shared(pa, size, write)
    }

    fn on_shared(&self, pa: Pa, size: usize, write: bool) -> bool {
        let pc = self.pc.get();
        let access = AccessSite {
            processor: self.processor.get(),
            pc: pc.get(),
            kind: self.code.borrow().access(pc),
        };
        let bytes = pa.0..pa.0 + size as u64;
        match self.sharing.borrow_mut().access(access, bytes, write) {
            Some(violation) => {
                self.stop(Exit::Sharing(violation));
                false
            }
            None => true,
        }
    }

    /// A device load of the emulator's.
    pub(super) fn on_device_read(&self, pa: Pa, size: usize) -> u64 {
        if let Some(wide) = self.wide.take()
            && wide.address + 4_u64 == pa
        {
            return wide.value >> 32;
        }
        let width = self.true_width(pa, size);
        let answer = self
            .hardware
            .borrow_mut()
            .read(pa, width, self.clock.get() + self.executed.get());
        let value = self.refused_as(u64::MAX, pa, answer);
        self.note(pa, width, value, false);
        if usize::from(width) > size {
            self.wide.set(Some(WideAccess { address: pa, value }));
            return value & 0xFFFF_FFFF;
        }
        value
    }

    /// A device store of the emulator's.
    pub(super) fn on_device_write(&self, pa: Pa, size: usize, value: u64) {
        if let Some(wide) = self.wide.take()
            && wide.address + 4_u64 == pa
        {
            return;
        }
        let width = self.true_width(pa, size);
        let value = if usize::from(width) > size {
            let (_, _, whole) = self.last_access.get();
            self.wide.set(Some(WideAccess {
                address: pa,
                value: whole,
            }));
            whole
        } else {
            value
        };
        let answer = self
            .hardware
            .borrow_mut()
            .write(pa, width, value, self.clock.get() + self.executed.get());
        self.refused_as((), pa, answer);
        self.note(pa, width, value, true);
    }

    /// The width of the instruction's access, which the memory hook saw whole.
    fn true_width(&self, pa: Pa, size: usize) -> u8 {
        let (address, whole, _) = self.last_access.get();
        let size = if address == pa { whole } else { size };
        u8::try_from(size).unwrap_or(u8::MAX)
    }

    fn refused_as<T>(&self, instead: T, address: Pa, answer: Result<T, DeviceFault>) -> T {
        answer.unwrap_or_else(|fault| {
            self.stop(Exit::Device { address, fault });
            instead
        })
    }

    fn note(&self, address: Pa, width: u8, value: u64, write: bool) {
        self.device_accesses.borrow_mut().push(DeviceAccess {
            address,
            width,
            value,
            write,
        });
    }

    /// A translation that the emulator asks for: the page and what was attempted.
    pub(super) fn on_translate(&self, page: Va, access: Access) -> Option<(Pa, bool, bool)> {
        if !page.is_system() && access != Access::Execute {
            return self.on_translate_user(page, access);
        }
        if access != Access::Execute && crate::machine::imports::is_unmodelled(page) {
            self.stop(Exit::PageFault(PageFault { page, access }));
            return None;
        }
        let translation = self.space.borrow().translate(page, 1).filter(|&(pa, _)| {
            // By the physical address: the pages of an MDL of pool are pool's, wherever they are mapped.
            let (pool, length) = self.pool_window.get();
            let offset = pa - pool;
            offset >= length || self.pool.borrow().contains(crate::mm::pool::POOL_BASE + offset)
        });
        let allowed = translation.is_some_and(|(_, protection)| match access {
            Access::Read => true,
            Access::Write => protection.write,
            Access::Execute => protection.execute,
        });
        if !allowed {
            self.stop(Exit::PageFault(PageFault { page, access }));
            return None;
        }
        translation.map(|(pa, protection)| (pa, protection.write, protection.execute))
    }

    /// As [`on_translate`](Self::on_translate), for a program's memory: whether it is there depends on who asks.
    fn on_translate_user(&self, page: Va, access: Access) -> Option<(Pa, bool, bool)> {
        let user = self.user.borrow();
        let thread = self.thread.get();
        let found = user.find_for(page, thread, self.irql.get());
        if let Ok((pa, protection)) = found {
            let writable = protection.write && user.is_probed(page, thread, true);
            let readable = user.is_probed(page, thread, false);
            if (access == Access::Write && writable) || (access == Access::Read && readable) {
                self.translations_for_slice.set(true);
                return Some((pa, writable, false));
            }
        }
        self.stop(Exit::PageFault(PageFault { page, access }));
        None
    }

    pub(super) fn on_exception(&self, vector: u32) {
        self.stop(Exit::Exception(vector));
    }
}
