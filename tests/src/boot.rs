//! A machine that has booted a driver, from `DriverEntry` to the last check after it was unloaded.

use std::{env, future::Future, rc::Rc, thread};

use edu::interface::GUID_DEVINTERFACE_EDU;
use ntsim::{
    Config, Kernel, Outcome,
    bus::{InterruptMode, Placement, Slot},
    devices::{Edu, EduProfile, Noise, noise},
    io::{device_interface::Guid, pnp},
    machine::{DriverImage, Machine},
    mm::Va,
    sched::{RunEnd, ThreadSpec},
    system,
    trace::{Counter, Trace},
    user,
};

use crate::seeds::SEED;

/// What a run starts from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Seed and processors.
    pub config: Config,
    /// How the device behaves.
    pub profile: EduProfile,
    /// How it interrupts.
    pub interrupts: InterruptMode,
    /// Whether another device shares its interrupt line.
    pub neighbour: bool,
    /// Whether several devices are wired to one interrupt line.
    pub share_line: bool,
}

/// Has devices signal their interrupts by messages wherever a scenario leaves it open: `INTERRUPTS=message cargo test -p scenarios`.
const INTERRUPTS: &str = "INTERRUPTS";

/// What [`INTERRUPTS`] says; by their line if it says nothing.
fn usual_interrupts() -> InterruptMode {
    match env::var(INTERRUPTS).as_deref() {
        Err(env::VarError::NotPresent) | Ok("line") => InterruptMode::Line,
        Ok("message") => InterruptMode::Message,
        other => panic!("{INTERRUPTS}={other:?} is neither line nor message"),
    }
}

impl Setup {
    /// As [`seed`](Self::seed), with interrupts by the line, whatever `INTERRUPTS` says: for a driver that knows no messages.
    ///
    /// # Panics
    /// As there.
    #[must_use]
    pub fn by_line(seed: u64) -> Self {
        Self {
            interrupts: InterruptMode::Line,
            ..Self::seed(seed)
        }
    }

    /// Two processors and a device as QEMU has it.
    ///
    /// # Panics
    /// When `INTERRUPTS` names no way to interrupt.
    #[must_use]
    pub fn seed(seed: u64) -> Self {
        Self {
            config: Config {
                seed,
                ..Config::default()
            },
            profile: EduProfile::default(),
            interrupts: usual_interrupts(),
            neighbour: false,
            share_line: false,
        }
    }
}

/// A machine with the driver's device on it, as the script of a scenario sees it.
#[derive(Clone)]
pub struct Pc {
    /// The simulated system.
    pub k: Kernel,
    /// Where the device is plugged in.
    pub slot: Slot,
    /// The device's physical device object.
    pub pdo: Va,
    /// The driver object.
    pub driver: Va,
    /// Where the device that shares its interrupt line is plugged in.
    neighbour: Option<Slot>,
}

impl Pc {
    /// The device `system` in `slot`.
    #[must_use]
    pub fn new(k: &Kernel, slot: Slot, system: system::System, neighbour: Option<Slot>) -> Self {
        Self {
            k: k.clone(),
            slot,
            pdo: system.pdo,
            driver: system.driver,
            neighbour,
        }
    }

    /// The links of the enabled interfaces of the device.
    #[must_use]
    pub fn interfaces(&self) -> Vec<String> {
        let class = GUID_DEVINTERFACE_EDU;
        let class = Guid::from_fields(class.data1, class.data2, class.data3, class.data4);
        user::interfaces_of_device(&self.k, class, self.pdo)
    }

    /// `IRP_MN_START_DEVICE`; must succeed.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    ///
    /// # Panics
    /// When the device does not start.
    pub async fn start(&self) -> Outcome<()> {
        let status = pnp::start_device(&self.k, self.pdo).await?;
        assert!(status.is_success(), "the device does not start: {status}");
        Ok(())
    }

    /// Does something to the device itself.
    ///
    /// # Panics
    /// When it is not an edu.
    pub fn with_device<T>(&self, work: impl FnOnce(&mut Edu) -> T) -> T {
        let mut bus = self.k.bus().borrow_mut();
        work(bus.device_mut::<Edu>(self.slot).expect("the device is an edu"))
    }

    /// How often the driver has called a routine that gives it pool, or something that is in pool.
    #[must_use]
    pub fn allocations(&self) -> u64 {
        let trace = self.k.recorded();
        let calls = trace.counters.calls().iter();
        calls
            .filter(|(routine, _)| routine.starts_with("ExAllocatePool") || routine.starts_with("IoAllocate"))
            .map(|(_, count)| count)
            .sum()
    }

    /// Connects the neighbour's own driver to the line that it shares with the device.
    ///
    /// # Errors
    /// When the machine has stopped.
    ///
    /// # Panics
    /// When the device has no neighbour.
    pub fn connect_neighbour(&self) -> Outcome<()> {
        noise::connect(&self.k, self.neighbour.expect("the device has a neighbour"))
    }

    /// Has the neighbour interrupt.
    ///
    /// # Panics
    /// When the device has no neighbour.
    pub fn raise_neighbour(&self) {
        let slot = self.neighbour.expect("the device has a neighbour");
        let mut bus = self.k.bus().borrow_mut();
        bus.device_mut::<Noise>(slot).expect("the neighbour is noise").raise();
    }
}

/// A machine with `count` devices as `setup` says and the images in memory; where the devices are, and where the neighbour is.
fn assemble(images: &[Rc<DriverImage>], setup: Setup, count: usize) -> (Machine, Vec<Slot>, Option<Slot>) {
    let Setup {
        config,
        profile,
        interrupts,
        neighbour,
        share_line,
    } = setup;
    let mut machine = Machine::new(config).expect("the machine can be built");
    let mut slots: Vec<Slot> = Vec::new();
    for _ in 0..count {
        let placement = Placement {
            interrupts,
            shares_line_of: slots.first().copied().filter(|_| share_line),
        };
        let slot = machine.plug_with(Box::new(Edu::new(profile.clone())), placement);
        slots.push(slot.expect("there is room on the bus"));
    }
    let neighbour = neighbour.then(|| {
        let placement = Placement {
            shares_line_of: slots.first().copied(),
            ..Placement::default()
        };
        machine
            .plug_with(Box::new(Noise::default()), placement)
            .expect("it has no registers")
    });
    for image in images {
        machine.load(image).unwrap_or_else(|error| panic!("{error}"));
    }
    (machine, slots, neighbour)
}

/// The name that an image's driver is loaded by.
fn name_of(image: &Rc<DriverImage>) -> String {
    image.image().name().trim_end_matches(".sys").to_owned()
}

/// A run that is over.
pub struct Run {
    machine: Machine,
    end: RunEnd,
    seed: u64,
}

impl Run {
    /// Loads `image`, finds the device and adds it, hands over to `script`, then removes the device if that was not done, unloads the
    /// driver and checks that it has left nothing behind.
    ///
    /// # Panics
    /// When the machine cannot be built, or the driver does not do what it must on the way.
    pub fn of<F>(image: &Rc<DriverImage>, setup: Setup, script: impl FnOnce(Pc) -> F + 'static) -> Self
    where
        F: Future<Output = Outcome<()>> + 'static,
    {
        Self::several(image, setup, 1, |mut pcs| script(pcs.remove(0)))
    }

    /// The same with `count` devices, all alike, of the one driver.
    ///
    /// # Panics
    /// As [`of`](Self::of).
    pub fn several<F>(
        image: &Rc<DriverImage>,
        setup: Setup,
        count: usize,
        script: impl FnOnce(Vec<Pc>) -> F + 'static,
    ) -> Self
    where
        F: Future<Output = Outcome<()>> + 'static,
    {
        let seed = setup.config.seed;
        let (machine, slots, neighbour) = assemble(std::slice::from_ref(image), setup, count);
        let name = name_of(image);
        machine.spawn(ThreadSpec::system("scenario"), move |k| async move {
            let loaded = system::load(&k, &name).await?;
            let driver = loaded.unwrap_or_else(|failure| panic!("the driver cannot be loaded: {failure:?}"));
            let mut systems = Vec::new();
            for slot in &slots {
                let added = system::add_device(&k, driver, *slot).await?;
                systems.push(added.unwrap_or_else(|failure| panic!("the device cannot be added: {failure:?}")));
            }
            let pcs = slots.iter().zip(&systems);
            let pcs = pcs.map(|(&slot, &system)| Pc::new(&k, slot, system, neighbour));
            script(pcs.collect()).await?;
            let last = systems.pop().expect("there is a device");
            for system in systems {
                system.remove(&k).await?;
            }
            last.shut_down(&k, &name).await
        });
        let end = machine.run();
        Self { machine, end, seed }
    }

    /// As [`of`](Self::of), with several drivers in the device's stack: `images` from the lowest to the highest. The last one is the [`Pc`]'s driver.
    ///
    /// # Panics
    /// As [`of`](Self::of).
    pub fn stacked<F>(images: &[Rc<DriverImage>], setup: Setup, script: impl FnOnce(Pc) -> F + 'static) -> Self
    where
        F: Future<Output = Outcome<()>> + 'static,
    {
        let seed = setup.config.seed;
        let (machine, slots, neighbour) = assemble(images, setup, 1);
        let names: Vec<String> = images.iter().map(name_of).collect();
        machine.spawn(ThreadSpec::system("scenario"), move |k| async move {
            let mut drivers = Vec::new();
            for name in &names {
                let loaded = system::load(&k, name).await?;
                drivers.push(loaded.unwrap_or_else(|failure| panic!("{name} cannot be loaded: {failure:?}")));
            }
            let added = system::add_stack(&k, system::Hardware::Slot(slots[0]), &drivers).await?;
            let pdo = added.unwrap_or_else(|failure| panic!("the device cannot be added: {failure:?}"));
            let driver = *drivers.last().expect("there is a function driver");
            let system = system::System { driver, pdo };
            script(Pc::new(&k, slots[0], system, neighbour)).await?;
            system.remove(&k).await?;
            for (&driver, name) in drivers.iter().zip(&names).rev() {
                system::unload(&k, driver, name).await?;
            }
            Ok(())
        });
        let end = machine.run();
        Self { machine, end, seed }
    }

    /// Runs `script` on a machine with the image in memory and the device plugged in. It loads the driver, adds the device and takes both down
    /// itself.
    ///
    /// # Panics
    /// When the machine cannot be built.
    pub fn bare<F>(image: &Rc<DriverImage>, setup: Setup, script: impl FnOnce(Kernel, Slot) -> F + 'static) -> Self
    where
        F: Future<Output = Outcome<()>> + 'static,
    {
        let seed = setup.config.seed;
        let (machine, slots, _) = assemble(std::slice::from_ref(image), setup, 1);
        machine.spawn(ThreadSpec::system("scenario"), move |k| script(k, slots[0]));
        let end = machine.run();
        Self { machine, end, seed }
    }

    /// As [`of`](Self::of), with a device of the shipped driver that has been started.
    ///
    /// # Panics
    /// As [`of`](Self::of).
    pub fn started<F>(setup: Setup, script: impl FnOnce(Pc) -> F + 'static) -> Self
    where
        F: Future<Output = Outcome<()>> + 'static,
    {
        Self::of(&crate::image::customdpc(), setup, async move |pc: Pc| {
            pc.start().await?;
            script(pc).await
        })
    }

    /// The run has ended without a broken rule; its trace.
    ///
    /// # Panics
    /// When it has not, with the report.
    #[must_use]
    pub fn clean(&self) -> std::cell::Ref<'_, Trace> {
        self.result()
            .unwrap_or_else(|report| panic!("seed {}: {report}", self.seed))
    }

    /// The trace of a run that has ended without a broken rule.
    ///
    /// # Errors
    /// When a rule was broken, with the report.
    pub fn result(&self) -> Result<std::cell::Ref<'_, Trace>, String> {
        if self.end == RunEnd::Idle {
            Ok(self.machine.kernel().recorded())
        } else {
            Err(self.report())
        }
    }

    /// The report of the broken rule.
    #[must_use]
    pub fn report(&self) -> String {
        self.machine
            .crash_report(Some(self.replay()))
            .unwrap_or_else(|| "no rule was broken".to_owned())
    }

    /// The command that runs the test again, with this seed only if it tries many.
    fn replay(&self) -> String {
        let interrupts = match usual_interrupts() {
            InterruptMode::Line => "line",
            InterruptMode::Message => "message",
        };
        let test = thread::current().name().unwrap_or_default().to_owned();
        format!(
            "{SEED}={} {INTERRUPTS}={interrupts} cargo test --package scenarios --test scenarios -- --exact {test}",
            self.seed
        )
    }

    /// The machine as it was left.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// How often something happened.
    #[must_use]
    pub fn count(&self, counter: Counter) -> u64 {
        self.machine.kernel().recorded().counters.get(counter)
    }
}
