//! A device with its driver, from power-on to unload: what the PnP manager does around a scenario.

use std::{cell::RefCell, rc::Rc};

use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    bus::Slot,
    hal,
    io::{self, driver, pnp},
    kernel::Kernel,
    machine::Machine,
    mm::{Va, driver_image},
    ob,
    po::{self, SystemState},
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
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

/// Loads the driver: its driver object.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn load(k: &Kernel, name: &str) -> Outcome<Result<Va, StartFailure>> {
    let image = k.driver_image();
    let loaded = driver::load(k, name, image).await?;
    if loaded.is_ok() {
        driver_image::discard_initialization(k);
    }
    Ok(loaded.map_err(StartFailure::DriverEntry))
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
        if is_off(k) {
            return Ok(());
        }
        if !driver::unload(k, self.driver).await? {
            let why = "the driver has devices left or no unload routine".to_owned();
            return Err(k.bugcheck(left_behind(why)));
        }
        driver_image::unload(k, name)?;
        let mut leftovers = io::leftovers(k, self.driver);
        leftovers.extend(ob::leftovers(k));
        leftovers.extend(hal::leftovers(k));
        if leftovers.is_empty() {
            return Ok(());
        }
        Err(k.bugcheck(left_behind(leftovers.join("; "))))
    }
}

/// Whether the whole system was shut down: nothing is removed or unloaded then.
fn is_off(k: &Kernel) -> bool {
    po::state(k) == SystemState::Shutdown
}

fn left_behind(what: String) -> BugCheck {
    BugCheck::new(
        Code::DRIVER_VERIFIER_DETECTED_VIOLATION,
        [VerifierRule::LEFT_BEHIND.subcode, 0, 0, 0],
        "left-behind",
        what,
    )
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
