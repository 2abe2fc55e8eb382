//! Building a machine and loading a driver image into it.

pub(crate) mod guard;
mod hardware;
pub(crate) mod imports;
mod loader;

use std::{cell::RefCell, future::Future, rc::Rc};

use thiserror::Error;

pub use hardware::Port;
pub use imports::{Binding, BoundImport, Framework};
pub use loader::{DriverImage, LoadError};

use crate::{
    bugcheck::Outcome,
    bus::{self, Bus, Device, Placement, Slot},
    cpu::{EngineError, Watch},
    ddi::{Registry, ReturnValue},
    io::driver::LoadedImage,
    ke,
    kernel::{Config, Kernel},
    mm::{Pa, Va, layout},
    report::{AddressBook, Report, ResolvedStack},
    sched::{RunEnd, ThreadId, ThreadSpec},
};

/// Why a machine cannot be built.
#[derive(Debug, Error)]
pub enum MachineError {
    /// The emulator refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The driver image cannot be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Too few or too many processors.
    #[error("a machine has 1 to {max} processors, not {asked}", max = crate::verifier::MAX_PROCESSORS)]
    Processors {
        /// What was asked for.
        asked: usize,
    },
}

/// A machine: processors, memory, a bus with devices, and the kernel model.
pub struct Machine {
    kernel: Kernel,
    /// Each with where it is loaded, in the order of loading.
    images: Vec<(Va, Rc<DriverImage>)>,
}

impl Registry {
    /// Every export that the model has.
    #[must_use]
    pub fn modelled() -> Self {
        let mut ddi = Self::default();
        crate::cm::register(&mut ddi);
        crate::crt::register(&mut ddi);
        crate::devices::register(&mut ddi);
        crate::etw::register(&mut ddi);
        crate::ex::register(&mut ddi);
        crate::fs::register(&mut ddi);
        crate::exception::register(&mut ddi);
        guard::register(&mut ddi);
        crate::hal::register(&mut ddi);
        crate::io::register(&mut ddi);
        ke::register(&mut ddi);
        crate::mm::register(&mut ddi);
        crate::ob::register(&mut ddi);
        crate::po::register(&mut ddi);
        crate::ps::register(&mut ddi);
        crate::rtl::register(&mut ddi);
        crate::wmi::register(&mut ddi);
        crate::se::register(&mut ddi);
        ddi
    }
}

impl Machine {
    /// A machine without a driver.
    ///
    /// # Errors
    /// When the configuration or the emulator does not allow it.
    pub fn new(config: Config) -> Result<Self, MachineError> {
        Self::with_registry(config, |_| {})
    }

    /// A machine without a driver, whose kernel has more exports than the model: `extend` adds them.
    ///
    /// An export is found by its name, whatever module a driver imports it from.
    ///
    /// ```
    /// use ntsim::{Config, NtStatus, ddi::Contract, ke::Irql, machine::Machine};
    ///
    /// let machine = Machine::with_registry(Config::default(), |registry| {
    ///     // NTSTATUS VendorAdd(ULONG a, ULONG b, ULONG *sum)
    ///     registry.function("VendorAdd", 3, Contract::at_most(Irql::DISPATCH), |k, args| {
    ///         k.write(args.va(2), args.u32(0).wrapping_add(args.u32(1)))?;
    ///         Ok(NtStatus::SUCCESS)
    ///     });
    ///     // void VendorNotify(void (*callback)(void *), void *context): it calls the driver back.
    ///     registry.flow("VendorNotify", 2, Contract::at_most(Irql::APC), |k, args| async move {
    ///         k.call(args.va(0), &[args.u64(1)]).label("notification").await?;
    ///         Ok(())
    ///     });
    ///     // extern ULONG VendorVersion;
    ///     registry.data("VendorVersion", 4, |k, address| k.write(address, 7_u32));
    /// })?;
    /// # Ok::<(), ntsim::machine::MachineError>(())
    /// ```
    ///
    /// # Errors
    /// When the configuration or the emulator does not allow it.
    ///
    /// # Panics
    /// When `extend` adds an export that the model has already.
    pub fn with_registry(config: Config, extend: impl FnOnce(&mut Registry)) -> Result<Self, MachineError> {
        if !(1..=crate::verifier::MAX_PROCESSORS).contains(&config.processors) {
            return Err(MachineError::Processors {
                asked: config.processors,
            });
        }
        let bus = Rc::new(RefCell::new(Bus::new(config.bus.absent)));
        let port = Rc::new(RefCell::new(Port::new(bus.clone(), config.seed)));
        let watch = Rc::new(Watch::new(config.processors, port));
        let mut registry = Registry::modelled();
        extend(&mut registry);
        watch.exports.set((layout::EXPORTS, layout::EXPORTS_LENGTH));
        let kernel = Kernel::new(config, watch, registry, bus)?;
        for processor in 0..config.processors {
            ke::processor::add(&kernel, processor);
        }
        loader::map_exports(&kernel);
        ke::shared_data::map(&kernel);
        Ok(Self {
            kernel,
            images: Vec::new(),
        })
    }

    /// Plugs a device into the bus. Before the run starts.
    ///
    /// # Errors
    /// When the emulator has no room for its registers.
    pub fn plug(&mut self, device: Box<dyn Device>) -> Result<Slot, MachineError> {
        self.plug_with(device, Placement::default())
    }

    /// Plugs a device into the bus. Before the run starts.
    ///
    /// # Errors
    /// When the emulator has no room for its registers.
    pub fn plug_with(&mut self, device: Box<dyn Device>, placement: Placement) -> Result<Slot, MachineError> {
        let mut bus = self.kernel.bus().borrow_mut();
        if bus.functions().is_empty() {
            // All of it: a device can be given another place in it later, and where none answers can be read.
            let (start, length) = (Pa(bus::WINDOW.start), bus::WINDOW.length);
            self.kernel.engine().borrow_mut().map_device(start, length)?;
        }
        Ok(bus.plug_with(device, placement))
    }

    /// Loads a driver image: maps it and binds its imports. Its entry point has not run yet.
    ///
    /// Several images can be loaded, one after the other: a filter and the function driver below it, say, or a driver behind the one
    /// whose exports it imports. [`system::load_image`](crate::system::load_image) makes each a driver.
    ///
    /// An import that the model lacks is no error: the run stops when the driver uses it. [`DriverImage::imports`] lists them.
    ///
    /// # Errors
    /// When it imports more than there are addresses for.
    pub fn load(&mut self, image: &Rc<DriverImage>) -> Result<LoadedImage, MachineError> {
        let loaded = loader::load(&self.kernel, image)?;
        self.images.push((loaded.base, image.clone()));
        Ok(loaded)
    }

    /// The handle to the simulated system.
    #[must_use]
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// Adds a thread; it runs once [`Machine::run`] does.
    pub fn spawn<F, R, B>(&self, spec: ThreadSpec, body: B) -> ThreadId
    where
        B: FnOnce(Kernel) -> F,
        F: Future<Output = Outcome<R>> + 'static,
        R: ReturnValue + 'static,
    {
        self.kernel.spawn(spec, body)
    }

    /// Runs until every thread has ended or a rule is broken.
    #[must_use]
    pub fn run(&self) -> RunEnd {
        self.kernel.run()
    }

    /// Runs until `reached` holds, every thread has ended, or a rule is broken.
    #[must_use]
    pub fn run_until(&self, reached: impl Fn(&Kernel) -> bool) -> RunEnd {
        self.kernel.run_until(reached)
    }

    /// What the addresses of the machine's images mean. Reading their symbols takes a while: for reports only.
    #[must_use]
    pub fn address_book(&self) -> AddressBook {
        let mut book = AddressBook::default();
        for (base, image) in &self.images {
            image.add_to(&mut book, *base);
        }
        book
    }

    /// The call stack of the crash with source lines, if there was a crash. Without symbols, addresses only.
    #[must_use]
    pub fn crash_stack(&self) -> Option<ResolvedStack> {
        Some(self.kernel.crash()?.resolve(&self.address_book()))
    }

    /// The report of the crash, if there was one.
    #[must_use]
    pub fn crash_report(&self, replay: Option<String>) -> Option<String> {
        let crash = self.kernel.crash()?;
        let trace = self.kernel.recorded();
        let report = Report {
            crash: &crash,
            book: &self.address_book(),
            records: trace.records(),
            replay,
        };
        Some(report.to_string())
    }
}

impl Drop for Machine {
    /// Gives the host's memory back: what a run leaves in the middle of its work would keep the machine for ever.
    fn drop(&mut self) {
        self.kernel.abandon();
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
