//! `IRP_MN_QUERY_CAPABILITIES`, as the PCI bus driver answers it.

use ntlayout::device_capabilities as layout;

use crate::{
    bugcheck::Outcome,
    bus::{DevicePower, Slot},
    io::violation::{IoRule, verify},
    kernel::Kernel,
    mm::Va,
};

/// The structure's version.
pub(super) const VERSION: u16 = 1;
/// What `Address` and `UINumber` hold while they are not known.
pub(super) const UNKNOWN: u32 = u32::MAX;

/// The most power that a device has while the system is in each of its states: `DeviceState` by `SYSTEM_POWER_STATE`, from
/// `PowerSystemWorking` to `PowerSystemShutdown`. Nothing on this bus has power while the system sleeps.
const DEVICE_STATE: [DevicePower; 6] = [
    DevicePower::D0,
    DevicePower::D3,
    DevicePower::D3,
    DevicePower::D3,
    DevicePower::D3,
    DevicePower::D3,
];

/// Fills in what the bus knows of the device in `slot`, or without hardware: it has no state between D0 and D3 and wakes nobody, so all bits stay clear.
pub(super) fn answer(k: &Kernel, slot: Option<Slot>, capabilities: Va) -> Outcome<()> {
    let size: u16 = k.read(capabilities + layout::SIZE_FIELD)?;
    let version: u16 = k.read(capabilities + layout::VERSION)?;
    let check = |rule, what: String| verify(k, rule, Va::NULL, Va::NULL, what);
    if version != VERSION {
        let what = format!("IRP_MN_QUERY_CAPABILITIES was sent with version {version} of DEVICE_CAPABILITIES");
        check(IoRule::CAPABILITIES_VERSION, what)?;
    }
    if usize::from(size) < layout::SIZE {
        let what = format!("IRP_MN_QUERY_CAPABILITIES was sent with {size} bytes of DEVICE_CAPABILITIES");
        check(IoRule::CAPABILITIES_SIZE, what)?;
    }
    // Device number in the upper half, function number in the lower.
    if let Some(slot) = slot {
        k.write(capabilities + layout::ADDRESS, u32::from(slot.0) << 16)?;
    }
    // The entry of PowerSystemUnspecified comes first, and is the system's.
    for (index, power) in DEVICE_STATE.into_iter().enumerate() {
        k.write(capabilities + layout::DEVICE_STATE + 4 * (index + 1), power.value())?;
    }
    Ok(())
}
