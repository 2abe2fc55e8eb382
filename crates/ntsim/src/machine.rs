//! Building a machine and loading a driver image into it.

mod hardware;
mod loader;

use std::{cell::RefCell, future::Future, rc::Rc};

use thiserror::Error;

pub use hardware::Port;
pub use loader::{DriverImage, LoadError};

use crate::{
    bugcheck::Outcome,
    bus::{self, Bus, Device, Placement, Slot},
    cpu::{EngineError, Watch},
    ddi::{Registry, ReturnValue},
    ke,
    kernel::{Config, Kernel},
    mm::{Pa, layout},
    report::{Report, ResolvedStack},
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
    image: Option<Rc<DriverImage>>,
}

/// Every export that the model has.
fn exports() -> Registry {
    let mut ddi = Registry::default();
    crate::cm::register(&mut ddi);
    crate::devices::register(&mut ddi);
    crate::ex::register(&mut ddi);
    crate::hal::register(&mut ddi);
    crate::io::register(&mut ddi);
    ke::register(&mut ddi);
    crate::mm::register(&mut ddi);
    crate::ob::register(&mut ddi);
    crate::po::register(&mut ddi);
    crate::rtl::register(&mut ddi);
    ddi
}

impl Machine {
    /// A machine without a driver.
    ///
    /// # Errors
    /// When the configuration or the emulator does not allow it.
    pub fn new(config: Config) -> Result<Self, MachineError> {
        if !(1..=crate::verifier::MAX_PROCESSORS).contains(&config.processors) {
            return Err(MachineError::Processors {
                asked: config.processors,
            });
        }
        let bus = Rc::new(RefCell::new(Bus::default()));
        let port = Rc::new(RefCell::new(Port::new(bus.clone(), config.seed)));
        let watch = Rc::new(Watch::new(config.processors, port));
        let registry = exports();
        watch.exports.set((layout::EXPORTS, registry.exports_length()));
        let kernel = Kernel::new(config, watch, registry, bus)?;
        for processor in 0..config.processors {
            ke::processor::add(&kernel, processor);
        }
        loader::map_exports(&kernel);
        ke::shared_data::map(&kernel);
        Ok(Self { kernel, image: None })
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
            // All of it: a device can be given another place in it later, and where none answers reads as ones.
            let (start, length) = (Pa(bus::WINDOW.start), bus::WINDOW.length);
            self.kernel.engine().borrow_mut().map_device(start, length)?;
        }
        Ok(bus.plug_with(device, placement))
    }

    /// Loads a driver image: maps it and binds its imports. Its entry point has not run yet.
    ///
    /// # Errors
    /// When it imports what the model does not have.
    pub fn load(&mut self, image: &Rc<DriverImage>) -> Result<(), MachineError> {
        loader::load(&self.kernel, image)?;
        self.image = Some(image.clone());
        Ok(())
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

    /// The call stack of the crash with source lines, if there was a crash. Without a PDB, addresses only.
    #[must_use]
    pub fn crash_stack(&self) -> Option<ResolvedStack> {
        let crash = self.kernel.crash()?;
        let symbols = self.image.as_ref().and_then(|image| image.symbols());
        let resolved = crash.resolve(symbols.as_ref());
        resolved.or_else(|_| crash.resolve(None)).ok()
    }

    /// The report of the crash, if there was one.
    #[must_use]
    pub fn crash_report(&self, replay: Option<String>) -> Option<String> {
        let stack = self.crash_stack()?;
        let crash = self.kernel.crash()?;
        let trace = self.kernel.recorded();
        let report = Report {
            crash: &crash,
            stack: &stack,
            records: trace.records(),
            replay,
        };
        Some(report.to_string())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
