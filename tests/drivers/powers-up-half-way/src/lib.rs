//! A driver that enables its device's interrupt in `power_up`, and fails in it afterwards, once: the device is at work. Nothing in here is wrong: the
//! scenarios look for whether the safe layer has the device made silent.
#![no_std]
#![forbid(unsafe_code)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "in what pin_data generates")]

use core::sync::atomic::{AtomicU32, Ordering};

use edu::{
    interface::GUID_DEVINTERFACE_EDU,
    registers::{FACTORIAL, INTERRUPT_ACKNOWLEDGE, INTERRUPT_STATUS, STATUS, Status},
};
use pinned_init::{PinInit, pin_data, try_pin_init};
use wdm::{
    Claim, DeviceExtension, DeviceInit, DeviceMemory, DevicePowerState, Error, Guid, HardwareKey, Interrupt,
    InterruptService, Irql, Resources, Result, StopReason, UnicodeString,
    irql::{Dirql, Passive},
    unicode_string,
};

// The panic handler.
extern crate wdk_panic as _;

wdm::driver_entry!(Device);

/// Which call of `power_up` fails, counted from 1: a value of the device's hardware key.
const FAILS: UnicodeString<'static> = unicode_string!("PowerUpThatFails");

/// What the driver keeps for its device.
#[pin_data]
pub struct Device {
    #[pin]
    registers: DeviceMemory<0x1000>,
    #[pin]
    interrupt: Interrupt<Isr>,
    #[pin]
    key: HardwareKey,
    /// How many calls of `power_up` there are until one fails, that one included; 0 for none.
    until_failure: AtomicU32,
}

/// Acknowledges what came.
enum Isr {}

impl InterruptService for Isr {
    type Device = Device;
    type State = ();

    fn service(device: &Device, (): &mut (), _irql: &mut Irql<Dirql>) -> Claim {
        let causes = device.registers.with(|registers| {
            let causes = registers.read32::<INTERRUPT_STATUS>();
            if causes != 0 {
                registers.write32::<INTERRUPT_ACKNOWLEDGE>(causes);
            }
            causes
        });
        match causes {
            None | Some(0) => Claim::NotOurs,
            Some(_) => Claim::Claimed,
        }
    }
}

impl DeviceExtension for Device {
    const INTERFACE: Option<Guid> = {
        let class = GUID_DEVINTERFACE_EDU;
        Some(Guid::new(class.data1, class.data2, class.data3, class.data4))
    };

    fn init(device: &DeviceInit<'_, Self>) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            registers <- DeviceMemory::new(device),
            interrupt <- Interrupt::new(device),
            key <- HardwareKey::new(device),
            until_failure: AtomicU32::new(0),
        }? Error)
    }

    fn start(&self, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> Result<()> {
        let memory = resources.memory(0).ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
        let interrupt = resources.interrupt().ok_or(Error::DEVICE_CONFIGURATION_ERROR)?;
        let fails = self.key.dword(FAILS, resources, irql).unwrap_or(0);
        self.until_failure.store(fails, Ordering::Relaxed);
        self.registers.map(&memory, irql)?;
        self.interrupt.connect(&interrupt, (), irql)
    }

    fn power_up(&self, _irql: &mut Irql<Passive>) -> Result<()> {
        self.registers.with(|registers| {
            registers.write32::<STATUS>(Status::INTERRUPT_ON_FACTORIAL.bits());
            registers.write32::<FACTORIAL>(5);
        });
        match self.until_failure.load(Ordering::Relaxed) {
            0 => Ok(()),
            left => {
                self.until_failure.store(left.saturating_sub(1), Ordering::Relaxed);
                if left == 1 {
                    Err(Error::DEVICE_HARDWARE_ERROR)
                } else {
                    Ok(())
                }
            }
        }
    }

    fn power_down(&self, _to: DevicePowerState, _irql: &mut Irql<Passive>) {
        self.registers.with(|registers| {
            registers.write32::<STATUS>(0);
            registers.write32::<INTERRUPT_ACKNOWLEDGE>(u32::MAX);
        });
    }

    fn stop(&self, _reason: StopReason, _irql: &mut Irql<Passive>) {}

    fn surprise_removal(&self, _irql: &mut Irql<Passive>) {}
}
