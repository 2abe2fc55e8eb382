//! Device objects and the stacks they are attached in: `IoCreateDevice`, `IoDeleteDevice`, `IoAttachDeviceToDeviceStack`,
//! `IoDetachDevice`.

use std::collections::BTreeMap;

use ntlayout::{device_object as layout, driver_object};

use super::violation::{IoRule, violation};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ex,
    ke::{Irql, device_queue},
    kernel::Kernel,
    mm::Va,
    ob, po,
    rtl::unicode_string,
    status::NtStatus,
    trace::Event,
};

/// `IO_TYPE_DEVICE`.
const IO_TYPE_DEVICE: u16 = 3;

/// `DO_BUFFERED_IO`.
pub(crate) const DO_BUFFERED_IO: u32 = 0x0000_0004;
/// `DO_DIRECT_IO`.
pub(crate) const DO_DIRECT_IO: u32 = 0x0000_0010;
/// `DO_EXCLUSIVE`.
const DO_EXCLUSIVE: u32 = 0x0000_0008;
/// `DO_DEVICE_HAS_NAME`.
const DO_DEVICE_HAS_NAME: u32 = 0x0000_0040;
/// `DO_DEVICE_INITIALIZING`.
pub(crate) const DO_DEVICE_INITIALIZING: u32 = 0x0000_0080;
/// `DO_POWER_PAGABLE`.
pub(crate) const DO_POWER_PAGABLE: u32 = 0x0000_2000;
/// `DO_POWER_INRUSH`.
pub(crate) const DO_POWER_INRUSH: u32 = 0x0000_4000;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("IoCreateDevice", 7, Contract::at_most(Irql::APC), create_device);
    ddi.function("IoDeleteDevice", 1, Contract::at_most(Irql::APC), |k, a| {
        delete(k, a.va(0))
    });
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("IoAttachDeviceToDeviceStack", 2, contract, |k, a| {
        attach(k, a.va(0), a.va(1))
    });
    ddi.function("IoDetachDevice", 1, Contract::exactly(Irql::PASSIVE), |k, a| {
        detach(k, a.va(0))
    });
    ddi.function("IoGetAttachedDeviceReference", 1, contract, |k, a| {
        let top = top_of_stack(k, a.va(0))?;
        ob::reference::reference(k, top)?;
        Ok(top)
    });
}

/// What the I/O manager knows of a device object beside what lies in guest memory.
#[derive(Debug, Default)]
struct Device {
    extension: Va,
    extension_size: u64,
    name: Option<String>,
    /// The device below it.
    attached_to: Option<Va>,
    /// `IoDeleteDevice` was called; it goes with its last reference.
    deleted: bool,
}

/// All device objects.
#[derive(Debug, Default)]
pub(crate) struct Devices {
    by_address: BTreeMap<Va, Device>,
}

impl Devices {
    /// Whether a device object lies at `device`.
    pub(crate) fn exists(&self, device: Va) -> bool {
        self.by_address.contains_key(&device)
    }

    /// The device that `device` is attached to.
    pub(crate) fn below(&self, device: Va) -> Option<Va> {
        self.by_address.get(&device)?.attached_to
    }

    /// Whether `IoDeleteDevice` was called for it.
    pub(crate) fn is_deleted(&self, device: Va) -> bool {
        self.by_address.get(&device).is_none_or(|found| found.deleted)
    }
}

/// What `IoCreateDevice` is asked for.
pub(crate) struct Spec {
    pub driver: Va,
    pub extension_size: u32,
    pub name: Option<String>,
    pub device_type: u32,
    pub characteristics: u32,
    pub exclusive: bool,
}

fn create_device(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let name = match a.va(2) {
        Va::NULL => None,
        name => Some(unicode_string::read(k, name)?),
    };
    let spec = Spec {
        driver: a.va(0),
        extension_size: a.u32(1),
        name,
        device_type: a.u32(3),
        characteristics: a.u32(4),
        exclusive: a.bool(5),
    };
    match create(k, spec)? {
        Some(device) => {
            k.write(a.va(6), device)?;
            Ok(NtStatus::SUCCESS)
        }
        None => Ok(NtStatus::OBJECT_NAME_COLLISION),
    }
}

/// Creates a device object; none when its name is taken.
pub(crate) fn create(k: &Kernel, spec: Spec) -> Outcome<Option<Va>> {
    let taken = |name: &String| {
        let io = k.io().borrow();
        io.devices
            .by_address
            .values()
            .any(|device| device.name.as_ref() == Some(name))
    };
    if spec.name.as_ref().is_some_and(taken) {
        return Ok(None);
    }
    let device = k.allocate_system(layout::SIZE, "DEVICE_OBJECT")?;
    // Apart from its device object, so that no access to one can reach the other unseen.
    let extension = match spec.extension_size {
        0 => Va::NULL,
        size => k.allocate_system(size as usize, "device extension")?,
    };
    let mut flags = DO_DEVICE_INITIALIZING;
    if spec.exclusive {
        flags |= DO_EXCLUSIVE;
    }
    if spec.name.is_some() {
        flags |= DO_DEVICE_HAS_NAME;
    }
    let first: Va = k.read(spec.driver + driver_object::DEVICE_OBJECT)?;
    k.write(device + layout::TYPE, IO_TYPE_DEVICE)?;
    let size = layout::SIZE + spec.extension_size as usize;
    k.write(device + layout::SIZE_FIELD, u16::try_from(size).unwrap_or(u16::MAX))?;
    k.write(device + layout::DRIVER_OBJECT, spec.driver)?;
    k.write(device + layout::NEXT_DEVICE, first)?;
    k.write(device + layout::FLAGS, flags)?;
    k.write(device + layout::CHARACTERISTICS, spec.characteristics)?;
    k.write(device + layout::DEVICE_EXTENSION, extension)?;
    k.write(device + layout::DEVICE_TYPE, spec.device_type)?;
    k.write(device + layout::STACK_SIZE, 1_u8)?;
    device_queue::initialize(k, device + layout::DEVICE_QUEUE)?;
    k.write(spec.driver + driver_object::DEVICE_OBJECT, device)?;
    let books = Device {
        extension,
        extension_size: spec.extension_size.into(),
        name: spec.name,
        ..Device::default()
    };
    k.io().borrow_mut().devices.by_address.insert(device, books);
    Ok(Some(device))
}

/// `IoDeleteDevice`: the device object goes now, or with its last reference.
pub(crate) fn delete(k: &Kernel, device: Va) -> Outcome<()> {
    let deleted = k
        .io()
        .borrow()
        .devices
        .by_address
        .get(&device)
        .map(|found| found.deleted);
    if deleted != Some(false) {
        let message = format!("{device} is no device object, or one that was deleted before");
        return Err(violation(k, IoRule::DELETED_TWICE, Va::NULL, device, message));
    }
    let attached: Va = k.read(device + layout::ATTACHED_DEVICE)?;
    let below = k.io().borrow().devices.below(device);
    if let Some(below) = below {
        let message = format!("device {device} is deleted while it is attached to {below}: IoDetachDevice comes first");
        return Err(violation(k, IoRule::DELETED_ATTACHED, Va::NULL, device, message));
    }
    po::forget_device(k, device)?;
    let driver: Va = k.read(device + layout::DRIVER_OBJECT)?;
    unlink(k, driver, device)?;
    if let Some(found) = k.io().borrow_mut().devices.by_address.get_mut(&device) {
        found.deleted = true;
    }
    k.trace(Event::Detail(format!("device object {device} deleted")));
    if attached.is_null() {
        free_unreferenced(k, device)?;
    }
    Ok(())
}

fn unlink(k: &Kernel, driver: Va, device: Va) -> Outcome<()> {
    let mut link = driver + driver_object::DEVICE_OBJECT;
    loop {
        let found: Va = k.read(link)?;
        if found == device {
            let next: Va = k.read(device + layout::NEXT_DEVICE)?;
            return k.write(link, next);
        }
        if found.is_null() {
            return Ok(());
        }
        link = found + layout::NEXT_DEVICE;
    }
}

/// Frees a deleted device object that nothing refers to any more.
pub(super) fn free_unreferenced(k: &Kernel, device: Va) -> Outcome<()> {
    let references: i32 = k.read(device + layout::REFERENCE_COUNT)?;
    if references > 0 || ob::reference::count(k, device) > 0 || !k.io().borrow().devices.is_deleted(device) {
        return Ok(());
    }
    let books = k.io().borrow_mut().devices.by_address.remove(&device);
    if let Some(Device {
        extension,
        extension_size,
        ..
    }) = books
        && !extension.is_null()
    {
        ex::pool::check_idle(k, extension, extension_size)?;
        k.free_system(extension)?;
    }
    ex::pool::check_idle(k, device, layout::SIZE as u64)?;
    k.free_system(device)
}

/// Counts a file object that is open on `device`, which so stays in memory.
pub(crate) fn reference(k: &Kernel, device: Va) -> Outcome<()> {
    let references: i32 = k.read(device + layout::REFERENCE_COUNT)?;
    k.write(device + layout::REFERENCE_COUNT, references + 1)
}

/// Undoes [`reference()`].
pub(crate) fn dereference(k: &Kernel, device: Va) -> Outcome<()> {
    let references: i32 = k.read(device + layout::REFERENCE_COUNT)?;
    k.write(device + layout::REFERENCE_COUNT, references - 1)?;
    free_unreferenced(k, device)
}

/// The highest device of the stack that `device` belongs to: the one that IRPs are sent to.
pub(crate) fn top_of_stack(k: &Kernel, device: Va) -> Outcome<Va> {
    let mut top = device;
    loop {
        let above: Va = k.read(top + layout::ATTACHED_DEVICE)?;
        if above.is_null() {
            return Ok(top);
        }
        top = above;
    }
}

/// The lowest device of the stack that `device` belongs to: the physical device object.
pub(crate) fn bottom_of_stack(k: &Kernel, device: Va) -> Va {
    let io = k.io().borrow();
    let mut bottom = device;
    while let Some(below) = io.devices.below(bottom) {
        bottom = below;
    }
    bottom
}

/// `IoAttachDeviceToDeviceStack`: puts `source` on top of the stack of `target`; the device that was on top before, null when
/// that one is being initialised or removed.
pub(super) fn attach(k: &Kernel, source: Va, target: Va) -> Outcome<Va> {
    let top = top_of_stack(k, target)?;
    let flags: u32 = k.read(top + layout::FLAGS)?;
    if flags & DO_DEVICE_INITIALIZING != 0 || k.io().borrow().devices.is_deleted(top) {
        return Ok(Va::NULL);
    }
    let stack_size: u8 = k.read(top + layout::STACK_SIZE)?;
    let alignment: u32 = k.read(top + layout::ALIGNMENT_REQUIREMENT)?;
    let sector_size: u16 = k.read(top + layout::SECTOR_SIZE)?;
    k.write(top + layout::ATTACHED_DEVICE, source)?;
    k.write(source + layout::STACK_SIZE, stack_size + 1)?;
    k.write(source + layout::ALIGNMENT_REQUIREMENT, alignment)?;
    k.write(source + layout::SECTOR_SIZE, sector_size)?;
    if let Some(books) = k.io().borrow_mut().devices.by_address.get_mut(&source) {
        books.attached_to = Some(top);
    }
    k.trace(Event::Detail(format!("device {source} attached to {top}")));
    Ok(top)
}

/// `IoDetachDevice`: takes what is attached to `target` off it.
pub(super) fn detach(k: &Kernel, target: Va) -> Outcome<()> {
    let attached: Va = if k.io().borrow().devices.exists(target) {
        k.read(target + layout::ATTACHED_DEVICE)?
    } else {
        Va::NULL
    };
    if attached.is_null() {
        let message = format!("nothing is attached to device {target}");
        return Err(violation(k, IoRule::DETACHED_TWICE, Va::NULL, target, message));
    }
    k.write(target + layout::ATTACHED_DEVICE, Va::NULL)?;
    if let Some(books) = k.io().borrow_mut().devices.by_address.get_mut(&attached) {
        books.attached_to = None;
    }
    k.trace(Event::Detail(format!("device {attached} detached from {target}")));
    free_unreferenced(k, target)
}
