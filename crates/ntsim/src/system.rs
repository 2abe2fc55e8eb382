//! A device with its driver, from power-on to unload: what the PnP manager does around a scenario.

use std::{cell::RefCell, fmt, rc::Rc};

use crate::{
    bugcheck::Outcome,
    bus::Slot,
    io::{
        driver::{self, CannotUnload, LoadedImage},
        pnp,
    },
    kernel::Kernel,
    leftovers::{self, left_behind},
    machine::Machine,
    mm::Va,
    po::{self, SystemState},
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
    trace::Event,
};

/// A started device and its driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct System {
    /// The driver object.
    pub driver: Va,
    /// The device's physical device object.
    pub pdo: Va,
}

/// Which step on the way to a started device failed, as the driver answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFailure {
    /// `DriverEntry`.
    DriverEntry(NtStatus),
    /// `AddDevice`.
    AddDevice(NtStatus),
    /// `IRP_MN_START_DEVICE`.
    StartDevice(NtStatus),
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DriverEntry(status) => write!(f, "the driver cannot be loaded: its DriverEntry returned {status}"),
            Self::AddDevice(status) => write!(
                f,
                "the device cannot be added: the driver's AddDevice returned {status}"
            ),
            Self::StartDevice(status) => {
                write!(f, "the device does not start: IRP_MN_START_DEVICE ended with {status}")
            }
        }
    }
}

/// Loads the driver whose image is called `name`, or the only one: its driver object.
///
/// # Errors
/// When the driver breaks a rule.
///
/// # Panics
/// When no image was loaded into the machine.
pub async fn load(k: &Kernel, name: &str) -> Outcome<Result<Va, StartFailure>> {
    let image = k.driver_image_called(name).unwrap_or_else(|| k.driver_image());
    load_image(k, name, image).await
}

/// Makes a loaded image the driver `name`: its driver object.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn load_image(k: &Kernel, name: &str, image: LoadedImage) -> Outcome<Result<Va, StartFailure>> {
    let loaded = driver::load(k, name, image).await?;
    Ok(loaded.map_err(StartFailure::DriverEntry))
}

/// Unloads a driver whose devices are gone; a legacy driver may still have its own. It must leave nothing behind.
///
/// A driver without `DriverUnload` cannot be unloaded, which is no fault: it stays, and the requests that it has not completed are all
/// that can be checked.
///
/// # Errors
/// When the driver breaks a rule, or leaves something behind.
pub async fn unload(k: &Kernel, driver: Va, name: &str) -> Outcome<()> {
    if is_off(k) {
        return Ok(());
    }
    match driver::unload(k, driver).await? {
        Ok(()) => driver::gone(k, driver, name, &format!("{name} is unloaded")),
        Err(CannotUnload::NoUnloadRoutine) => {
            k.trace(Event::Note(format!("{name} has no DriverUnload: it stays loaded")));
            leftovers::check_requests(k, driver, &format!("{name} stays loaded, but its devices are gone"))
        }
        Err(CannotUnload::HasDevice(device)) => Err(k.bugcheck(left_behind(format!(
            "{name} cannot be unloaded: it has an AddDevice, and such a driver is unloaded after its last device went, but the device \
             object {device} was never deleted"
        )))),
    }
}

/// Loads the driver and adds the device in `slot`.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn add(k: &Kernel, name: &str, slot: Slot) -> Outcome<Result<System, StartFailure>> {
    match load(k, name).await? {
        Ok(driver) => add_device(k, driver, slot).await,
        Err(failure) => Ok(Err(failure)),
    }
}

/// Adds the device in `slot` to a loaded driver, which may have others.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn add_device(k: &Kernel, driver: Va, slot: Slot) -> Outcome<Result<System, StartFailure>> {
    let pdo = pnp::enumerate(k, slot)?;
    let added = pnp::add_device(k, pdo, driver).await?;
    if !added.is_success() {
        return Ok(Err(StartFailure::AddDevice(added)));
    }
    Ok(Ok(System { driver, pdo }))
}

/// What a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hardware<'n> {
    /// A device on the PCI bus.
    Slot(Slot),
    /// A root-enumerated device, which has no hardware: software devices are such. The name is the middle of its instance path.
    Root(&'n str),
}

/// Adds a device whose stack has several drivers, the lowest first: lower filters, the function driver, upper filters. Its physical device
/// object, for [`pnp::start_device`] and what follows.
///
/// The devices that a bus driver reports get their drivers by [`pnp::set_drivers`].
///
/// # Errors
/// When a driver breaks a rule.
pub async fn add_stack(k: &Kernel, hardware: Hardware<'_>, drivers: &[Va]) -> Outcome<Result<Va, StartFailure>> {
    let pdo = match hardware {
        Hardware::Slot(slot) => pnp::enumerate(k, slot)?,
        Hardware::Root(name) => pnp::enumerate_root(k, name)?,
    };
    let added = pnp::add_drivers(k, pdo, drivers).await?;
    Ok(if added.is_success() {
        Ok(pdo)
    } else {
        Err(StartFailure::AddDevice(added))
    })
}

/// Loads the driver, and adds and starts the device in `slot`.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn start(k: &Kernel, name: &str, slot: Slot) -> Outcome<Result<System, StartFailure>> {
    let system = match add(k, name, slot).await? {
        Ok(system) => system,
        Err(failure) => return Ok(Err(failure)),
    };
    let started = pnp::start_device(k, system.pdo).await?;
    if !started.is_success() {
        return Ok(Err(StartFailure::StartDevice(started)));
    }
    Ok(Ok(system))
}

impl System {
    /// Removes the device in order and unloads the driver, which must leave nothing behind.
    ///
    /// # Errors
    /// When the driver breaks a rule, refuses, or leaves something behind.
    pub async fn shut_down(self, k: &Kernel, name: &str) -> Outcome<()> {
        self.remove(k).await?;
        self.unload(k, name).await
    }

    /// Removes the device in order, or waits until it has been removed when it has gone already. Other devices of its driver stay.
    ///
    /// # Errors
    /// When the driver breaks a rule or refuses.
    pub async fn remove(self, k: &Kernel) -> Outcome<()> {
        if is_off(k) {
            return Ok(());
        }
        if pnp::state(k, self.pdo).is_some_and(|state| state < pnp::DeviceState::SurpriseRemoved) {
            let removal = pnp::remove_device(k, self.pdo).await?;
            if removal != pnp::Removal::Done {
                return Err(k.bugcheck(left_behind(format!("the device cannot be removed: {removal:?}"))));
            }
        } else {
            pnp::wait_for_removal(k, self.pdo).await?;
        }
        Ok(())
    }

    /// Unloads the driver after its last device is gone. It must leave nothing behind.
    ///
    /// # Errors
    /// When the driver breaks a rule, refuses, or leaves something behind.
    pub async fn unload(self, k: &Kernel, name: &str) -> Outcome<()> {
        unload(k, self.driver, name).await
    }
}

/// Whether the whole system was shut down: nothing is removed or unloaded then.
fn is_off(k: &Kernel) -> bool {
    po::state(k) == SystemState::Shutdown
}

impl Machine {
    /// Runs until the device in `slot` is started; none when a rule was broken on the way.
    #[must_use]
    pub fn start(&self, name: &str, slot: Slot) -> Option<Result<System, StartFailure>> {
        let started = Rc::new(RefCell::new(None));
        let (report, name) = (started.clone(), name.to_owned());
        self.spawn(ThreadSpec::system("PnP manager"), move |k| async move {
            let result = start(&k, &name, slot).await?;
            *report.borrow_mut() = Some(result);
            Ok(())
        });
        let end = self.run_until(|_| started.borrow().is_some());
        if end == RunEnd::Crashed {
            return None;
        }
        started.take()
    }

    /// Shuts the device and its driver down and runs to the end.
    #[must_use]
    pub fn shut_down(&self, name: &str, system: System) -> RunEnd {
        let name = name.to_owned();
        self.spawn(ThreadSpec::system("PnP manager"), move |k| async move {
            system.shut_down(&k, &name).await
        });
        self.run()
    }
}
