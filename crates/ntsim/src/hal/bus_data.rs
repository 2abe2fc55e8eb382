//! Configuration space by bus and slot: `HalGetBusData`, `HalGetBusDataByOffset`, `HalSetBusData`, `HalSetBusDataByOffset`.
//!
//! There is one bus with configuration space, the PCI bus 0. No other kind of bus data is supported any more, as documented.

use crate::{
    bugcheck::Outcome,
    bus::Slot,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
    trace::Event,
};

/// `PCIConfiguration` of `BUS_DATA_TYPE`.
const PCI_CONFIGURATION: u32 = 4;
/// `PCI_INVALID_VENDORID`.
const INVALID_VENDOR: [u8; 2] = [0xFF; 2];

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("HalGetBusData", 5, Contract::ANY, |k, a| get(k, a, 0, a.u32(4)));
    ddi.function("HalGetBusDataByOffset", 6, Contract::ANY, |k, a| {
        get(k, a, a.u32(4), a.u32(5))
    });
    ddi.function("HalSetBusData", 5, Contract::ANY, |k, a| set(k, a, 0, a.u32(4)));
    ddi.function("HalSetBusDataByOffset", 6, Contract::ANY, |k, a| {
        set(k, a, a.u32(4), a.u32(5))
    });
}

/// Where the arguments point: no such bus, no device, or a device.
enum Place {
    NoBus,
    Empty,
    Device(Slot),
}

/// `(BusDataType, BusNumber, SlotNumber, Buffer, …)`.
fn place(k: &Kernel, a: &Args) -> Place {
    let (kind, bus, slot) = (a.u32(0), a.u32(1), a.u32(2));
    if kind != PCI_CONFIGURATION || bus != 0 {
        return Place::NoBus;
    }
    // `PCI_SLOT_NUMBER`: the device in the lower five bits, the function in the next three. Devices here have one function.
    let slot = u8::try_from(slot).map(Slot);
    let there = slot.is_ok_and(|slot| {
        let bus = k.bus().borrow();
        bus.functions()
            .iter()
            .any(|function| function.slot() == slot && function.present())
    });
    match slot {
        Ok(slot) if there => Place::Device(slot),
        _ => Place::Empty,
    }
}

/// How many bytes were read. 0: there is no such bus. 2: there is no device, and its vendor reads as invalid.
fn get(k: &Kernel, a: &Args, offset: u32, length: u32) -> Outcome<u32> {
    let buffer = a.va(3);
    match place(k, a) {
        Place::NoBus => Ok(0),
        Place::Empty => {
            let count = length.min(2);
            k.write_bytes(buffer, &INVALID_VENDOR[..count as usize])?;
            Ok(count)
        }
        Place::Device(slot) => read(k, slot, buffer, offset, length),
    }
}

fn set(k: &Kernel, a: &Args, offset: u32, length: u32) -> Outcome<u32> {
    match place(k, a) {
        Place::NoBus | Place::Empty => Ok(0),
        Place::Device(slot) => write(k, slot, a.va(3), offset, length),
    }
}

/// The most that is accessed at a time: configuration space is smaller.
const LARGEST: u32 = 0x1000;

/// Reads the configuration space of the device in `slot` into guest memory: how many bytes.
pub(crate) fn read(k: &Kernel, slot: Slot, buffer: Va, offset: u32, length: u32) -> Outcome<u32> {
    let mut bytes = vec![0; length.min(LARGEST) as usize];
    let count = k.bus().borrow().function(slot).read_config(offset as usize, &mut bytes);
    k.write_bytes(buffer, &bytes[..count])?;
    Ok(u32::try_from(count).expect("it was asked for"))
}

/// Writes the configuration space of the device in `slot` from guest memory: how many bytes.
pub(crate) fn write(k: &Kernel, slot: Slot, buffer: Va, offset: u32, length: u32) -> Outcome<u32> {
    let bytes = k.read_bytes(buffer, length.min(LARGEST) as usize)?;
    let count = k
        .bus()
        .borrow_mut()
        .function_mut(slot)
        .write_config(offset as usize, &bytes);
    k.trace(Event::Detail(format!(
        "configuration space of device {} written: {:02x?} at {offset:#x}",
        slot.0,
        &bytes[..count]
    )));
    Ok(u32::try_from(count).expect("it was asked for"))
}
