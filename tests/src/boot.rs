//! A machine that has booted a driver, from `DriverEntry` to the last check after it was unloaded.

use std::{future::Future, rc::Rc};

use edu::interface::GUID_DEVINTERFACE_EDU;
use ntsim::{
    Config, Kernel, Outcome,
    bus::Slot,
    devices::{Edu, EduProfile},
    io::{
        self,
        device_interface::Guid,
        driver::{self, LoadedImage},
        pnp::{self, DeviceState, Removal},
    },
    machine::{DriverImage, Machine},
    mm::{Va, layout},
    sched::{RunEnd, ThreadSpec},
    trace::{Counter, Trace},
    user,
};

/// What a run starts from.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Seed and processors.
    pub config: Config,
    /// How the device behaves.
    pub profile: EduProfile,
}

impl Setup {
    /// Two processors and a device as QEMU has it.
    #[must_use]
    pub fn seed(seed: u64) -> Self {
        Self {
            config: Config {
                seed,
                ..Config::default()
            },
            profile: EduProfile::default(),
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
}

impl Pc {
    /// The links of the enabled interfaces of the device.
    #[must_use]
    pub fn interfaces(&self) -> Vec<String> {
        let class = GUID_DEVINTERFACE_EDU;
        let class = Guid::from_fields(class.data1, class.data2, class.data3, class.data4);
        user::device_interfaces(&self.k, class)
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
        let seed = setup.config.seed;
        let mut machine = Machine::new(setup.config).expect("the machine can be built");
        let slot = machine
            .plug(Box::new(Edu::new(setup.profile)))
            .expect("there is room on the bus");
        machine.load(image).unwrap_or_else(|error| panic!("{error}"));
        let name = image.image().name().trim_end_matches(".sys").to_owned();
        let loaded = LoadedImage {
            base: layout::DRIVER,
            size: image.image().size(),
            entry: layout::DRIVER + u64::from(image.image().entry()),
        };
        machine.spawn(ThreadSpec::system("scenario"), move |k| async move {
            let driver = driver::load(&k, &name, loaded).await?.expect("DriverEntry succeeds");
            let pdo = pnp::enumerate(&k, slot)?;
            let status = pnp::add_device(&k, pdo, driver).await?;
            assert!(status.is_success(), "AddDevice failed: {status}");
            let pc = Pc { k, slot, pdo, driver };
            script(pc.clone()).await?;
            take_down(&pc).await
        });
        let end = machine.run();
        Self { machine, end, seed }
    }

    /// The same, with a device that has been started.
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
        if self.end != RunEnd::Idle {
            panic!("seed {}: {}", self.seed, self.report());
        }
        self.machine.kernel().recorded()
    }

    /// The report of the broken rule.
    #[must_use]
    pub fn report(&self) -> String {
        self.machine
            .crash_report(None)
            .unwrap_or_else(|| "no rule was broken".to_owned())
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

async fn take_down(pc: &Pc) -> Outcome<()> {
    let Pc { k, pdo, driver, .. } = pc;
    match pnp::state(k, *pdo) {
        None | Some(DeviceState::Removed) => {}
        Some(DeviceState::SurpriseRemoved) => pnp::wait_for_removal(k, *pdo).await?,
        Some(_) => assert_eq!(
            pnp::remove_device(k, *pdo).await?,
            Removal::Done,
            "the device can be removed"
        ),
    }
    assert!(driver::unload(k, *driver).await?, "the driver can be unloaded");
    let leftovers = io::leftovers(k, *driver);
    assert!(leftovers.is_empty(), "left behind: {}", leftovers.join("; "));
    let allocations = k.driver_allocations();
    assert!(allocations.is_empty(), "pool left behind: {allocations:?}");
    Ok(())
}
