//! Driver objects: how a driver is loaded, initialised and unloaded.

use std::collections::BTreeMap;

use ntlayout::{device_object, driver_extension, driver_object as layout, unicode_string};

use super::{call::INVALID_DEVICE_REQUEST, device, image_users};
use crate::{
    bugcheck::Outcome,
    cm,
    kernel::Kernel,
    leftovers,
    mm::{Va, driver_image},
    ob, ps,
    rtl::unicode_string::write_new,
    status::NtStatus,
    trace::Event,
};

/// `IO_TYPE_DRIVER`.
const IO_TYPE_DRIVER: u16 = 4;
/// `DRVO_INITIALIZED`: `DriverEntry` has succeeded.
const DRVO_INITIALIZED: u32 = 0x0000_0010;
/// Where services are configured.
pub(crate) const SERVICES: &str = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\";
/// `DRIVER_OBJECT::HardwareDatabase`.
const HARDWARE_DATABASE: &str = "\\REGISTRY\\MACHINE\\HARDWARE\\DESCRIPTION\\SYSTEM";

/// The image that a driver object stands for.
#[derive(Clone, Copy, Debug)]
pub struct LoadedImage {
    /// Where it is loaded.
    pub base: Va,
    /// Its size in memory, bytes.
    pub size: u32,
    /// Its `DriverEntry`.
    pub entry: Va,
}

/// What the I/O manager knows of a driver object beside what lies in guest memory.
#[derive(Debug)]
struct Driver {
    name: String,
    extension: Va,
    image: LoadedImage,
}

/// All driver objects.
#[derive(Debug, Default)]
pub(crate) struct Drivers {
    by_address: BTreeMap<Va, Driver>,
    /// The hardware database's string; all driver objects share it.
    hardware_database: Option<Va>,
}

impl Drivers {
    /// The driver's name, without directory.
    pub(crate) fn name(&self, driver: Va) -> Option<&str> {
        self.by_address.get(&driver).map(|found| found.name.as_str())
    }
}

/// Makes a driver object called `name`, all of whose dispatch routines refuse.
pub(crate) fn create(k: &Kernel, name: &str, image: LoadedImage) -> Outcome<Va> {
    let driver = k.allocate_system(layout::SIZE, "DRIVER_OBJECT")?;
    let extension = k.allocate_system(driver_extension::SIZE, "DRIVER_EXTENSION")?;
    k.write(driver + layout::TYPE, IO_TYPE_DRIVER)?;
    k.write(driver + layout::SIZE_FIELD, u16::try_from(layout::SIZE).expect("336"))?;
    k.write(driver + layout::DRIVER_START, image.base)?;
    k.write(driver + layout::DRIVER_SIZE, image.size)?;
    k.write(driver + layout::DRIVER_EXTENSION, extension)?;
    k.write(driver + layout::DRIVER_INIT, image.entry)?;
    k.write(extension + driver_extension::DRIVER_OBJECT, driver)?;
    let refuse = k.routine_address(INVALID_DEVICE_REQUEST);
    for major in 0..super::irp::Major::COUNT {
        k.write(driver + layout::MAJOR_FUNCTION + usize::from(major) * 8, refuse)?;
    }
    write_new(k, driver + layout::DRIVER_NAME, &format!("\\Driver\\{name}"))?;
    write_new(k, extension + driver_extension::SERVICE_KEY_NAME, name)?;
    let database = hardware_database(k)?;
    k.write(driver + layout::HARDWARE_DATABASE, database)?;
    let books = Driver {
        name: name.to_owned(),
        extension,
        image,
    };
    k.io().borrow_mut().drivers.by_address.insert(driver, books);
    // A second driver object of a name has to do without one.
    let path = format!("\\Driver\\{name}");
    let _: Result<(), NtStatus> = ob::namespace::insert_foreign(k, &path, driver, ob::object::Type::Driver)?;
    Ok(driver)
}

fn hardware_database(k: &Kernel) -> Outcome<Va> {
    let known = k.io().borrow().drivers.hardware_database;
    if let Some(string) = known {
        return Ok(string);
    }
    let string = k.allocate_system(unicode_string::SIZE, "hardware database")?;
    write_new(k, string, HARDWARE_DATABASE)?;
    k.io().borrow_mut().drivers.hardware_database = Some(string);
    Ok(string)
}

/// Loads a driver: makes its driver object and calls its `DriverEntry`. The driver object, or the status with which
/// `DriverEntry` failed; the image is gone then, and must have left nothing behind.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn load(k: &Kernel, name: &str, image: LoadedImage) -> Outcome<Result<Va, NtStatus>> {
    ps::notify::image_loaded(k, name, image.base, image.size).await?;
    let driver = create(k, name, image)?;
    let path = k.allocate_system(unicode_string::SIZE, "registry path")?;
    let registry_path = format!("{SERVICES}{name}");
    cm::set_value(k, &registry_path, "ImagePath", cm::Value::Sz(format!("{name}.sys")));
    write_new(k, path, &registry_path)?;
    k.trace(Event::Note(format!("DriverEntry of {name} called")));
    let returned = k
        .call(image.entry, &[driver.get(), path.get()])
        .label("DriverEntry")
        .await?;
    // A driver that needs the path later has to copy it: both string and buffer are gone now.
    free_buffer(k, path)?;
    k.free_system(path)?;
    let status = NtStatus((returned & 0xFFFF_FFFF) as u32);
    k.trace(Event::Note(format!("DriverEntry of {name} returned {status}")));
    if !status.is_success() {
        gone(k, driver, name, &format!("DriverEntry of {name} failed with {status}"))?;
        return Ok(Err(status));
    }
    driver_image::discard_initialization(k, image);
    let flags: u32 = k.read(driver + layout::FLAGS)?;
    k.write(driver + layout::FLAGS, flags | DRVO_INITIALIZED)?;
    device::initialized(k, driver)?;
    super::reinitialize::call(k, driver).await?;
    Ok(Ok(driver))
}

/// Why a driver cannot be unloaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CannotUnload {
    /// It has no `DriverUnload`: it stays until the system is shut down.
    NoUnloadRoutine,
    /// It has an `AddDevice`, and this device left: such a driver is unloaded after its last device went.
    HasDevice(Va),
}

/// Unloads a driver: calls its `DriverUnload` and frees its driver object. A driver without an `AddDevice` is unloaded while it has
/// devices: to delete them is its `DriverUnload`'s business.
///
/// A device object that is deleted in a work item's routine goes, and with it the driver, when the routine has returned.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn unload(k: &Kernel, driver: Va) -> Outcome<Result<(), CannotUnload>> {
    let routine: Va = k.read(driver + layout::DRIVER_UNLOAD)?;
    if routine.is_null() {
        return Ok(Err(CannotUnload::NoUnloadRoutine));
    }
    let device: Va = k.read(driver + layout::DEVICE_OBJECT)?;
    if !device.is_null() && !is_legacy(k, driver)? {
        return Ok(Err(CannotUnload::HasDevice(device)));
    }
    wait_for_devices(k, driver).await?;
    k.call(routine, &[driver.get()]).label("DriverUnload").await?;
    k.trace(Event::Note("DriverUnload returned".to_owned()));
    image_users::wait(k, driver).await?;
    Ok(Ok(()))
}

/// Waits a while for those who refer to devices that the driver has deleted. Who still does then has forgotten to let go of them.
async fn wait_for_devices(k: &Kernel, driver: Va) -> Outcome<()> {
    /// Nanoseconds between two looks.
    const STEP: u64 = 1_000;
    const LOOKS: u32 = 1_000;
    for _ in 0..LOOKS {
        if device::deleted_and_referenced(k, driver)?.is_none() {
            return Ok(());
        }
        k.delay(STEP).await?;
    }
    Ok(())
}

/// Whether the driver takes no part in Plug and Play: it has no `AddDevice`.
///
/// # Errors
/// When the driver object cannot be read.
pub fn is_legacy(k: &Kernel, driver: Va) -> Outcome<bool> {
    let extension: Va = k.read(driver + layout::DRIVER_EXTENSION)?;
    let add_device: Va = k.read(extension + driver_extension::ADD_DEVICE)?;
    Ok(add_device.is_null())
}

/// The image of a driver object.
pub(crate) fn image(k: &Kernel, driver: Va) -> Option<LoadedImage> {
    let io = k.io().borrow();
    io.drivers.by_address.get(&driver).map(|found| found.image)
}

/// The driver's device objects, the one made last first.
///
/// # Errors
/// When one of them cannot be read.
pub fn devices(k: &Kernel, driver: Va) -> Outcome<Vec<Va>> {
    let mut devices = Vec::new();
    let mut device: Va = k.read(driver + layout::DEVICE_OBJECT)?;
    while !device.is_null() {
        devices.push(device);
        device = k.read(device + device_object::NEXT_DEVICE)?;
    }
    Ok(devices)
}

/// The driver goes, which must leave nothing behind: unmaps its image and frees its driver object. `when` says on what occasion.
///
/// # Errors
/// When it has left something behind.
pub(crate) fn gone(k: &Kernel, driver: Va, name: &str, when: &str) -> Outcome<()> {
    if let Some(image) = image(k, driver) {
        driver_image::unload(k, image, name)?;
        leftovers::check(k, driver, image, when)?;
    }
    delete(k, driver)
}

fn delete(k: &Kernel, driver: Va) -> Outcome<()> {
    ob::namespace::remove(k, driver);
    super::query::driver_gone(k, driver)?;
    super::reinitialize::driver_gone(k, driver);
    let books = k.io().borrow_mut().drivers.by_address.remove(&driver);
    if let Some(Driver { extension, .. }) = books {
        free_buffer(k, extension + driver_extension::SERVICE_KEY_NAME)?;
        k.free_system(extension)?;
    }
    free_buffer(k, driver + layout::DRIVER_NAME)?;
    k.free_system(driver)
}

/// Frees the buffer of a `UNICODE_STRING` of the system's own.
fn free_buffer(k: &Kernel, string: Va) -> Outcome<()> {
    let buffer: Va = k.read(string + unicode_string::BUFFER)?;
    k.free_system(buffer)
}
