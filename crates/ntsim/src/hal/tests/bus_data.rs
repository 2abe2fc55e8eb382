//! Buses by their numbers, through the exports.

use crate::{
    bus::Slot,
    ddi::testing::{buffer, call, run_with_edu, status},
    status::NtStatus,
};

use super::*;

const PCI: u64 = 4;
const PCI_BUS: u64 = 5;

fn run<F>(script: impl FnOnce(Kernel, Slot) -> F + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let report = run_with_edu(script).crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}

#[test]
fn configuration_space_is_read_and_written_by_slot() {
    run(|k, slot| async move {
        let (slot, at) = (u64::from(slot.0), buffer(&k, 256)?);
        let get = async |slot: u64, offset: u64, length: u64| {
            call(&k, "HalGetBusDataByOffset", &[PCI, 0, slot, at.get(), offset, length]).await
        };
        assert_eq!(call(&k, "HalGetBusData", &[PCI, 0, slot, at.get(), 256]).await?, 256);
        assert_eq!(k.read::<u32>(at)?, 0x11E8_1234);
        assert_eq!(get(slot, 4, 2).await?, 2);
        let command: u16 = k.read(at)?;
        assert_eq!(command & 4, 4, "it is bus master");
        k.write(at, command & !4)?;
        let arguments = [PCI, 0, slot, at.get(), 4, 2];
        assert_eq!(call(&k, "HalSetBusDataByOffset", &arguments).await?, 2);
        let number = Slot(u8::try_from(slot).unwrap());
        assert!(!k.bus().borrow().function(number).is_bus_master());
        Ok(())
    });
}

#[test]
fn an_empty_slot_has_no_vendor_and_another_bus_is_not_there() {
    run(|k, slot| async move {
        let at = buffer(&k, 64)?;
        let get = async |kind: u64, bus: u64, slot: u64| {
            k.fill(at, 0, 64)?;
            call(&k, "HalGetBusData", &[kind, bus, slot, at.get(), 64]).await
        };
        assert_eq!(get(PCI, 0, 1).await?, 2);
        assert_eq!(k.read::<u32>(at)?, 0xFFFF);
        let function_1 = u64::from(slot.0) | 1 << 5;
        assert_eq!(get(PCI, 0, function_1).await?, 2);
        assert_eq!(get(PCI, 1, slot.0.into()).await?, 0);
        assert_eq!(get(0, 0, 0).await?, 0, "CMOS is not supported any more");
        assert_eq!(call(&k, "HalSetBusData", &[PCI, 0, 1, at.get(), 4]).await?, 0);
        Ok(())
    });
}

#[test]
fn bus_addresses_are_the_processors_addresses() {
    run(|k, _| async move {
        let (space, translated) = (buffer(&k, 8)?, buffer(&k, 8)?);
        let translate = async |kind: u64, bus: u64, address: u64| {
            let arguments = [kind, bus, address, space.get(), translated.get()];
            call(&k, "HalTranslateBusAddress", &arguments).await
        };
        assert_eq!(translate(PCI_BUS, 0, 0xFE00_0000).await?, 1);
        assert_eq!((k.read::<u64>(translated)?, k.read::<u32>(space)?), (0xFE00_0000, 0));
        k.write(space, 1_u32)?;
        assert_eq!(translate(1, 0, 0x3F8).await?, 1);
        assert_eq!((k.read::<u64>(translated)?, k.read::<u32>(space)?), (0x3F8, 1));
        assert_eq!(translate(PCI_BUS, 7, 0).await?, 0);
        Ok(())
    });
}

#[test]
fn a_line_has_a_vector_and_a_slot_its_resources() {
    run(|k, slot| async move {
        let (irql, affinity, list) = (buffer(&k, 8)?, buffer(&k, 8)?, buffer(&k, 8)?);
        let arguments = [PCI_BUS, 0, 16, 16, irql.get(), affinity.get()];
        assert_eq!(call(&k, "HalGetInterruptVector", &arguments).await?, 0x91);
        assert_eq!((k.read::<u8>(irql)?, k.read::<u64>(affinity)?), (9, 0b11));
        let arguments = [PCI_BUS, 0, 1, 1, irql.get(), affinity.get()];
        assert_eq!(call(&k, "HalGetInterruptVector", &arguments).await?, 0);

        let mut arguments = [0, 0, 0, 0, PCI_BUS, 0, u64::from(slot.0), list.get()];
        let assigned = status(&k, "HalAssignSlotResources", &arguments).await?;
        assert_eq!(assigned, NtStatus::SUCCESS);
        let resources: Va = k.read(list)?;
        assert_eq!(k.read::<u32>(resources + 4_u64)?, 5, "PCIBus");
        call(&k, "ExFreePool", &[resources.get()]).await?;
        arguments[6] = 1;
        let none = status(&k, "HalAssignSlotResources", &arguments).await?;
        assert_eq!(none, NtStatus::NO_SUCH_DEVICE);
        Ok(())
    });
}
