//! The handle to the simulated system that all of the model's code works through.

mod context;
mod flows;
mod images;
mod memory;
mod not_modelled;
mod pool;
mod sites;

pub use sites::Site;

use std::{
    any::Any,
    cell::{Cell, Ref, RefCell},
    rc::Rc,
};

use crate::{
    bugcheck::{BugCheck, Halted, Outcome},
    bus::{Bus, BusProfile},
    cpu::{Engine, EngineError, Watch},
    ddi::Registry,
    exception::Exception,
    hal::DmaSupport,
    io::IoState,
    ke::KeState,
    mm,
    report::{Crash, StackEntry},
    sched::{Random, Scheduler, VirtualTime, flow::Request, random::Temperament},
    trace::{Counter, Event, Record, Trace},
    verifier::Settings,
};

/// What makes one run differ from another.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Decides every interleaving.
    pub seed: u64,
    /// How many processors the machine has.
    pub processors: usize,
    /// How many scheduler steps a run may take before it counts as one that never ends.
    pub step_limit: u64,
    /// The bus and its driver.
    pub bus: BusProfile,
    /// What DMA adapters give.
    pub dma: DmaSupport,
    /// How often `MmMapLockedPagesSpecifyCache` fails, as it may for lack of system resources, in percent.
    pub failing_mappings: u8,
    /// Which call of those that can fail for lack of resources does so, counted from 0 in the order in which the driver makes them.
    pub failing_call: Option<u64>,
    /// What memory holds that nobody has written to since it was somebody else's: pool that was not asked for zeroed, system buffers
    /// beyond the input, kernel stacks. Two runs that differ in this alone must not differ in what programs see.
    pub stale_byte: u8,
    /// Which rules are on.
    pub verifier: Settings,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            seed: 1,
            processors: 2,
            step_limit: 20_000_000,
            bus: BusProfile::default(),
            dma: DmaSupport::default(),
            failing_mappings: 0,
            failing_call: None,
            stale_byte: 0xA5,
            verifier: Settings::STANDARD,
        }
    }
}

/// The streams of [`Random`] that a machine draws from.
pub mod stream {
    /// The scheduler's.
    pub const SCHEDULER: u64 = 0;
    /// The devices'.
    pub const DEVICES: u64 = 1;
    /// The test script's.
    pub const SCRIPT: u64 = 2;
    /// Which mappings of MDLs fail.
    pub const MAPPINGS: u64 = 3;
    /// Whether threaded DPCs are disabled.
    pub const THREADED_DPCS: u64 = 4;
    /// Whether `KeFlushQueuedDpcs` waits for threaded DPCs.
    pub const FLUSHED_DPCS: u64 = 5;
    /// What deferring StartIo means.
    pub const START_IO: u64 = 6;
    /// `rdrand` and `rdseed`.
    pub const PROCESSOR: u64 = 16;
    /// The stack cookies of images.
    pub const COOKIES: u64 = 17;
}

/// The simulated system. Clones are handles to the same one.
#[derive(Clone)]
pub struct Kernel(Rc<Inner>);

struct Inner {
    config: Config,
    engine: RefCell<Engine>,
    watch: Rc<Watch>,
    registry: Registry,
    scheduler: RefCell<Scheduler>,
    random: RefCell<Random>,
    temperament: Temperament,
    trace: RefCell<Trace>,
    request: RefCell<Option<Request>>,
    /// The processor whose step is being taken; none between steps.
    current: Cell<Option<usize>>,
    crash: RefCell<Option<Box<Crash>>>,
    /// The exception that was raised in this step.
    raised: RefCell<Option<Box<Exception>>>,
    pool_mapped: Cell<u64>,
    ke: RefCell<KeState>,
    mm: RefCell<mm::io_space::IoSpace>,
    bus: Rc<RefCell<Bus>>,
    io: RefCell<IoState>,
    states: RefCell<Vec<Rc<dyn Any>>>,
}

impl Kernel {
    /// A system without a driver: processors idle, memory empty but for the kernel's own.
    ///
    /// # Errors
    /// When the emulator cannot be set up.
    pub(crate) fn new(
        config: Config,
        watch: Rc<Watch>,
        registry: Registry,
        bus: Rc<RefCell<Bus>>,
    ) -> Result<Self, EngineError> {
        let engine = Engine::new(watch.clone())?;
        let mut random = Random::new(config.seed, stream::SCHEDULER);
        let temperament = Temperament::draw(&mut random);
        Ok(Self(Rc::new(Inner {
            config,
            engine: RefCell::new(engine),
            watch,
            registry,
            scheduler: RefCell::default(),
            random: RefCell::new(random),
            temperament,
            trace: RefCell::default(),
            request: RefCell::default(),
            current: Cell::new(None),
            crash: RefCell::default(),
            raised: RefCell::default(),
            pool_mapped: Cell::new(0),
            ke: RefCell::default(),
            mm: RefCell::default(),
            bus,
            io: RefCell::default(),
            states: RefCell::default(),
        })))
    }

    /// How many handles to the system there are.
    #[cfg(test)]
    pub(crate) fn handles(&self) -> usize {
        Rc::strong_count(&self.0)
    }

    /// What this run was started with.
    #[must_use]
    pub fn config(&self) -> Config {
        self.0.config
    }

    pub(crate) fn engine(&self) -> &RefCell<Engine> {
        &self.0.engine
    }

    pub(crate) fn watch(&self) -> &Watch {
        &self.0.watch
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.0.registry
    }

    pub(crate) fn scheduler(&self) -> &RefCell<Scheduler> {
        &self.0.scheduler
    }

    pub(crate) fn temperament(&self) -> Temperament {
        self.0.temperament
    }

    pub(crate) fn current_cell(&self) -> &Cell<Option<usize>> {
        &self.0.current
    }

    /// The exception that was raised in this step and is to be dispatched at its end.
    pub(crate) fn raised(&self) -> &RefCell<Option<Box<Exception>>> {
        &self.0.raised
    }

    /// The scheduler's stream of decisions.
    #[must_use]
    pub fn random(&self) -> &RefCell<Random> {
        &self.0.random
    }

    /// The state of `ke`.
    #[must_use]
    pub fn ke(&self) -> &RefCell<KeState> {
        &self.0.ke
    }

    /// The bus and its devices.
    #[must_use]
    pub fn bus(&self) -> &RefCell<Bus> {
        &self.0.bus
    }

    /// The state of `io`.
    #[must_use]
    pub fn io(&self) -> &RefCell<IoState> {
        &self.0.io
    }

    /// A component's state: made when first asked for, one of each type.
    #[must_use]
    pub fn state<T: Default + 'static>(&self) -> Rc<RefCell<T>> {
        let mut states = self.0.states.borrow_mut();
        let found = states
            .iter()
            .find_map(|state| state.clone().downcast::<RefCell<T>>().ok());
        found.unwrap_or_else(|| {
            let state = Rc::new(RefCell::new(T::default()));
            states.push(state.clone());
            state
        })
    }

    pub(crate) fn io_space(&self) -> &RefCell<mm::io_space::IoSpace> {
        &self.0.mm
    }

    /// Virtual time.
    #[must_use]
    pub fn now(&self) -> VirtualTime {
        self.watch().clock.get()
    }

    /// Notes an event.
    pub fn trace(&self, event: Event) {
        let processor = self.0.current.get();
        let activity = processor.and_then(|processor| {
            let scheduler = self.0.scheduler.try_borrow().ok()?;
            scheduler.processors[processor].current().map(|activity| activity.kind)
        });
        self.0.trace.borrow_mut().push(Record {
            time: self.now(),
            processor,
            activity,
            event,
        });
    }

    /// The trace so far.
    #[must_use]
    pub fn recorded(&self) -> Ref<'_, Trace> {
        self.0.trace.borrow()
    }

    /// Counts one occurrence.
    pub fn count(&self, counter: Counter) {
        self.count_many(counter, 1);
    }

    pub(crate) fn count_many(&self, counter: Counter, amount: u64) {
        self.0.trace.borrow_mut().counters.add(counter, amount);
    }

    pub(crate) fn count_call(&self, routine: &'static str) {
        self.0.trace.borrow_mut().counters.add_call(routine);
    }

    /// Stops the machine. The first bug check counts; later ones are its consequences.
    #[must_use = "whoever raised it must stop as well"]
    pub fn bugcheck(&self, bugcheck: BugCheck) -> Halted {
        self.bugcheck_at(bugcheck, None)
    }

    /// Stops the machine unless the rule is off. With the rule off the violation is noted, and the caller goes on as Windows does
    /// without Driver Verifier.
    ///
    /// # Errors
    /// When the rule is on.
    pub fn verify(&self, bugcheck: BugCheck) -> Outcome<()> {
        if self.config().verifier.is_on(bugcheck.rule) {
            return Err(self.bugcheck(bugcheck));
        }
        self.trace(Event::Note(format!("let pass ({}): {bugcheck}", bugcheck.rule)));
        Ok(())
    }

    /// Stops the machine for what the driver did at `stack`, when that is not where it is now.
    #[must_use = "whoever raised it must stop as well"]
    pub(crate) fn bugcheck_at(&self, bugcheck: BugCheck, stack: Option<Vec<StackEntry>>) -> Halted {
        #[cfg(test)]
        assert!(
            crate::verifier::rules::find(bugcheck.rule).is_some() || bugcheck.rule.starts_with("test"),
            "the rule {} has no entry in verifier/rules",
            bugcheck.rule
        );
        if self.0.crash.borrow().is_none() {
            let crash = Crash::capture(self, bugcheck, stack);
            *self.0.crash.borrow_mut() = Some(Box::new(crash));
        }
        Halted
    }

    /// Why the machine has stopped, if it has.
    #[must_use]
    pub fn crash(&self) -> Option<Ref<'_, Crash>> {
        Ref::filter_map(self.0.crash.borrow(), Option::as_deref).ok()
    }

    /// An error once the machine has stopped.
    ///
    /// # Errors
    /// When it has.
    pub fn running(&self) -> Outcome<()> {
        if self.0.crash.borrow().is_some() {
            Err(Halted)
        } else {
            Ok(())
        }
    }
}
