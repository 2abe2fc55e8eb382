//! The PnP manager: device nodes, their states, and the IRPs that take them from one to the next.

pub(crate) mod bus_driver;
pub(in crate::io) mod bus_interface;
mod bus_power;
mod capabilities;
mod config_request;
mod device_state;
mod dma_adapter;
mod eject;
mod identify;
pub(crate) mod manager;
mod minor;
pub(in crate::io) mod registry_key;
mod relations;
mod removal;
mod send;
mod start;

use std::collections::BTreeMap;

pub(in crate::io) use bus_driver::GUID_BUS_TYPE_PCI;
pub use identify::set_drivers;
pub use manager::{add_device, add_drivers, enumerate, enumerate_root};
pub use minor::Minor;
pub(crate) use registry_key::hardware_key;
pub use removal::{
    Removal, cancel_remove_device, query_remove_device, remove_device, surprise_remove, surprise_remove_present,
    wait_for_removal,
};
pub use send::query;
pub use start::{
    cancel_stop_device, query_capabilities, query_stop_device, rebalance, start_device, start_device_failed_above,
    start_started_device, stop_device,
};

use crate::{
    bugcheck::Halted,
    bus::{ConfigSpace, Resources, Slot},
    ddi::Registry,
    io::violation::{IoRule, violation},
    kernel::Kernel,
    mm::Va,
    sched::WaitQueue,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    bus_driver::register(ddi);
    bus_interface::register(ddi);
    device_state::register(ddi);
    dma_adapter::register(ddi);
    eject::register(ddi);
    relations::register(ddi);
    registry_key::register(ddi);
}

/// Where a device is in its life: "State Transitions for PnP Devices".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeviceState {
    /// The bus driver has reported it.
    Enumerated,
    /// Its drivers' `AddDevice` routines have run.
    Added,
    /// Started.
    Started,
    /// Asked whether it can be stopped, and agreed.
    StopPending,
    /// Stopped, to be started again with other resources.
    Stopped,
    /// Asked whether it can be removed, and agreed.
    RemovePending,
    /// Gone without warning; handles may still be open.
    SurpriseRemoved,
    /// Its drivers have let go of it.
    Removed,
}

/// What a device node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Origin {
    /// A device on the PCI bus.
    Slot(Slot),
    /// A device that the PnP manager itself reports: it has no hardware.
    Root,
    /// A device that a bus driver reports, whose own physical device object this is.
    Child(Va),
}

#[derive(Debug)]
struct Node {
    origin: Origin,
    /// Its bus driver has not reported it the last time.
    missing: bool,
    /// The resources that its firmware or bus has given it: a `CM_RESOURCE_LIST`.
    boot_configuration: Option<Vec<u8>>,
    instance_path: String,
    state: DeviceState,
    /// Resources that the PnP manager has assigned to it while it is started: its bus driver gives it them at `IRP_MN_START_DEVICE`.
    to_be_assigned: Option<Resources>,
    /// Its configuration space from before it went to D3.
    saved_config: Option<ConfigSpace>,
    /// What it was before it was asked whether it can be removed.
    before_removal: Option<DeviceState>,
    /// A driver has said that the system needs it.
    not_disableable: bool,
    /// File objects on it.
    open: u32,
    /// The IRPs that its bus driver has; the bus driver's remove lock.
    at_bus: u32,
    /// Threads that wait for its files to be closed, for its bus driver to be done with its IRPs, or for it to be removed.
    waiters: WaitQueue,
}

impl Node {
    /// A device that has just been found.
    fn new(origin: Origin, instance_path: String) -> Self {
        Self {
            origin,
            missing: false,
            boot_configuration: None,
            instance_path,
            state: DeviceState::Enumerated,
            to_be_assigned: None,
            saved_config: None,
            before_removal: None,
            not_disableable: false,
            open: 0,
            at_bus: 0,
            waiters: WaitQueue::default(),
        }
    }
}

/// The PnP manager's state.
#[derive(Debug, Default)]
pub(crate) struct Pnp {
    /// By physical device object.
    nodes: BTreeMap<Va, Node>,
    /// The drivers of devices that bus drivers report, by hardware ID in lower case.
    assigned: BTreeMap<String, Vec<Va>>,
    bus_driver: Option<Va>,
    /// An action is under way: the manager does one at a time.
    busy: bool,
    queue: WaitQueue,
}

/// The state of the device whose physical device object is `pdo`.
#[must_use]
pub fn state(k: &Kernel, pdo: Va) -> Option<DeviceState> {
    k.io().borrow().pnp.nodes.get(&pdo).map(|node| node.state)
}

/// The device in a slot of the bus, by its physical device object.
#[must_use]
pub fn pdo_of_slot(k: &Kernel, slot: Slot) -> Option<Va> {
    let io = k.io().borrow();
    let mut nodes = io.pnp.nodes.iter();
    nodes
        .find(|(_, node)| node.origin == Origin::Slot(slot) && node.state != DeviceState::Removed)
        .map(|(&pdo, _)| pdo)
}

/// The devices that have drivers and have not gone, by physical device object.
pub(crate) fn with_drivers(k: &Kernel) -> Vec<Va> {
    let io = k.io().borrow();
    let there = DeviceState::Added..DeviceState::SurpriseRemoved;
    let nodes = io.pnp.nodes.iter().filter(|(_, node)| there.contains(&node.state));
    nodes.map(|(&pdo, _)| pdo).collect()
}

/// The device's number on its bus: what the story calls it by.
pub(crate) fn device_number(k: &Kernel, pdo: Va) -> u8 {
    slot(k, pdo).map_or(0, |slot| slot.0)
}

/// Whether the device is still plugged in.
pub(crate) fn is_present(k: &Kernel, pdo: Va) -> bool {
    let missing = k.io().borrow().pnp.nodes.get(&pdo).is_none_or(|node| node.missing);
    match slot(k, pdo) {
        Some(slot) => k.bus().borrow().function(slot).present(),
        None => !missing,
    }
}

/// Whether `device` is the physical device object of a device.
pub(crate) fn is_pdo(k: &Kernel, device: Va) -> bool {
    k.io().borrow().pnp.nodes.contains_key(&device)
}

/// The devices that the bus driver of the device `parent` has reported and that have not been removed.
#[must_use]
pub fn children(k: &Kernel, parent: Va) -> Vec<Va> {
    let io = k.io().borrow();
    let nodes = io.pnp.nodes.iter();
    let children = nodes.filter(|(_, node)| node.origin == Origin::Child(parent) && node.state != DeviceState::Removed);
    children.map(|(&pdo, _)| pdo).collect()
}

/// The device `pdo` and all below it on the buses that it is, those farthest from it first.
fn subtree(k: &Kernel, pdo: Va) -> Vec<Va> {
    let mut found: Vec<Va> = children(k, pdo)
        .into_iter()
        .flat_map(|child| subtree(k, child))
        .collect();
    found.push(pdo);
    found
}

/// Where the device whose physical device object is `pdo` is plugged into the PCI bus; none when it is not, or `pdo` is no physical device
/// object.
pub(crate) fn slot(k: &Kernel, pdo: Va) -> Option<Slot> {
    match k.io().borrow().pnp.nodes.get(&pdo)?.origin {
        Origin::Slot(slot) => Some(slot),
        Origin::Root | Origin::Child(_) => None,
    }
}

/// The instance path of a device; none when `pdo` is no physical device object.
pub(crate) fn instance_path(k: &Kernel, pdo: Va) -> Option<String> {
    k.io()
        .borrow()
        .pnp
        .nodes
        .get(&pdo)
        .map(|node| node.instance_path.clone())
}

/// The name of a device's physical device object; none when it has none.
pub(in crate::io) fn object_name(k: &Kernel, pdo: Va) -> Option<String> {
    crate::ob::namespace::name_of(k, pdo)
}

/// The device of the enabled interface with the symbolic link `link`; the status of a link that leads nowhere.
///
/// An interface that its driver enabled while the device was not started is enabled by the system when it is.
pub(crate) fn interface_target(k: &Kernel, link: &str) -> Result<Va, NtStatus> {
    let io = k.io().borrow();
    let interface = io.interfaces.find(link).filter(|interface| interface.enabled);
    let pdo = interface
        .map(|interface| interface.pdo)
        .ok_or(NtStatus::OBJECT_NAME_NOT_FOUND)?;
    match io.pnp.nodes.get(&pdo).map(|node| node.state) {
        None | Some(DeviceState::Enumerated | DeviceState::Added) => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
        Some(_) => Ok(pdo),
    }
}

/// Counts a file object on the device whose physical device object is `pdo`; the status when none can be opened on it.
pub(crate) fn count_open(k: &Kernel, pdo: Va) -> Result<(), NtStatus> {
    let mut io = k.io().borrow_mut();
    let node = io.pnp.nodes.get_mut(&pdo).ok_or(NtStatus::NO_SUCH_DEVICE)?;
    match node.state {
        DeviceState::Enumerated | DeviceState::Added | DeviceState::SurpriseRemoved | DeviceState::Removed => {
            Err(NtStatus::NO_SUCH_DEVICE)
        }
        DeviceState::Started | DeviceState::StopPending | DeviceState::Stopped | DeviceState::RemovePending => {
            node.open += 1;
            Ok(())
        }
    }
}

/// A file object on the device has gone.
pub(crate) fn file_closed(k: &Kernel, pdo: Va) {
    let waiters = {
        let mut io = k.io().borrow_mut();
        let Some(node) = io.pnp.nodes.get_mut(&pdo) else {
            return;
        };
        node.open -= 1;
        node.waiters.clone()
    };
    waiters.wake_all(k);
}

/// Stops the machine because `routine` needs a physical device object, which `given` is not.
pub(crate) fn not_a_pdo(k: &Kernel, routine: &str, given: Va) -> Halted {
    let message = format!("{routine} was given {given}, which is no physical device object");
    violation(k, IoRule::NOT_A_PDO, Va::NULL, given, message)
}
