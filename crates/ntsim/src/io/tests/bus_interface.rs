//! Configuration space through the device's stack, and the bus driver's interface.

use ntlayout::{bus_interface_standard as interface, device_description};

use super::*;
use crate::{
    ddi::testing::{self, buffer},
    io::pnp::Minor,
    trace::Event,
};

/// `GUID_BUS_INTERFACE_STANDARD`.
const BUS_INTERFACE_STANDARD: [u8; guid::SIZE] = [
    0x80, 0x82, 0x6B, 0x49, 0x25, 0x6F, 0xD0, 0x11, 0xBE, 0xAF, 0x08, 0x00, 0x2B, 0xE2, 0x09, 0x2F,
];

#[test]
fn configuration_space_is_accessed_through_the_stack() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let at = buffer(&k, 64)?;
        let config = async |minor, space: u64, offset: u64, length: u64| {
            pnp::query(&k, pdo, minor, [space, at.get(), offset, length]).await
        };
        let read = config(Minor::READ_CONFIG, 0, 0, 4).await?;
        assert_eq!((read.status, read.information), (NtStatus::SUCCESS, 4));
        assert_eq!(k.read::<u32>(at)?, 0x11E8_1234);
        k.write(at, 0x20_u8)?;
        let written = config(Minor::WRITE_CONFIG, 0, 0x3C, 1).await?;
        assert_eq!((written.status, written.information), (NtStatus::SUCCESS, 1));
        config(Minor::READ_CONFIG, 0, 0x3C, 1).await?;
        assert_eq!(k.read::<u8>(at)?, 0x20);
        let rom = config(Minor::READ_CONFIG, 0x5269_6350, 0, 4).await?;
        assert_eq!(rom.status, NtStatus::INVALID_PARAMETER_1);
        Ok(())
    });
    assert_clean(&machine);
}

/// Asks for the interface: where it lies.
async fn query(k: &Kernel, pdo: Va, class: [u8; guid::SIZE], size: u64) -> Outcome<(NtStatus, Va)> {
    let (wanted, at) = (buffer(k, guid::SIZE)?, buffer(k, interface::SIZE)?);
    k.write_bytes(wanted, &class)?;
    let parameters = [wanted.get(), size | 1 << 16, at.get(), 0];
    let answer = pnp::query(k, pdo, Minor::QUERY_INTERFACE, parameters).await?;
    Ok((answer.status, at))
}

/// A `DEVICE_DESCRIPTION` of the edu.
fn description(k: &Kernel) -> Outcome<Va> {
    let description = buffer(k, device_description::SIZE)?;
    k.write(description + device_description::VERSION, 3_u32)?;
    k.write(description + device_description::MASTER, 1_u8)?;
    k.write(description + device_description::DMA_ADDRESS_WIDTH, 28_u32)?;
    k.write(description + device_description::MAXIMUM_LENGTH, 4096_u32)?;
    Ok(description)
}

async fn call(k: &Kernel, at: Va, member: usize, arguments: &[u64]) -> Outcome<u64> {
    let context: u64 = k.read(at + interface::CONTEXT)?;
    let routine: Va = k.read(at + member)?;
    k.call(routine, &[&[context], arguments].concat()).await
}

#[test]
fn the_bus_interface_reaches_configuration_space_and_the_dma_adapter() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let size = interface::SIZE as u64;
        let (status, at) = query(&k, pdo, BUS_INTERFACE_STANDARD, size).await?;
        assert_eq!((status, k.read::<u16>(at)?), (NtStatus::SUCCESS, 64));
        let data = buffer(&k, 8)?;
        let arguments = [0, data.get(), 2, 2];
        let irql = k.raise_irql(crate::ke::Irql::DISPATCH);
        assert_eq!(call(&k, at, interface::GET_BUS_DATA, &arguments).await?, 2);
        k.lower_irql(irql);
        assert_eq!(k.read::<u16>(data)?, 0x11E8);
        k.write(data, 0x77_u8)?;
        assert_eq!(
            call(&k, at, interface::SET_BUS_DATA, &[0, data.get(), 0x3C, 1]).await?,
            1
        );
        let slot = k.bus().borrow().functions()[0].slot();
        assert_eq!(k.bus().borrow().function(slot).config().bytes()[0x3C], 0x77);

        let (space, translated) = (buffer(&k, 8)?, buffer(&k, 8)?);
        let arguments = [0xFE00_0000, 4, space.get(), translated.get()];
        assert_eq!(call(&k, at, interface::TRANSLATE_BUS_ADDRESS, &arguments).await?, 1);
        assert_eq!(k.read::<u64>(translated)?, 0xFE00_0000);

        let arguments = [description(&k)?.get(), buffer(&k, 8)?.get()];
        let adapter = call(&k, at, interface::GET_DMA_ADAPTER, &arguments).await?;
        assert_ne!(adapter, 0);
        k.call(k.routine_address("PutDmaAdapter"), &[adapter]).await?;

        call(&k, at, interface::INTERFACE_REFERENCE, &[]).await?;
        call(&k, at, interface::INTERFACE_DEREFERENCE, &[]).await?;
        assert_eq!(pnp::bus_interface::leftovers(&k).len(), 1);
        call(&k, at, interface::INTERFACE_DEREFERENCE, &[]).await?;
        assert_eq!(pnp::bus_interface::leftovers(&k), []);
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn an_interface_that_was_dereferenced_is_not_used() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let (_, at) = query(&k, pdo, BUS_INTERFACE_STANDARD, interface::SIZE as u64).await?;
        call(&k, at, interface::INTERFACE_DEREFERENCE, &[]).await?;
        call(&k, at, interface::GET_BUS_DATA, &[0, at.get(), 0, 2]).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "bus-interface-not-referenced");
}

#[test]
fn an_interface_that_the_bus_driver_does_not_have_is_not_supported() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let (status, _) = query(&k, pdo, CLASS, interface::SIZE as u64).await?;
        assert_eq!(status, NtStatus::NOT_SUPPORTED);
        let (status, at) = query(&k, pdo, BUS_INTERFACE_STANDARD, 32).await?;
        assert_eq!(
            (status, k.read::<u16>(at)?),
            (NtStatus::NOT_SUPPORTED, 0),
            "there is no room for it"
        );
        Ok(())
    });
    assert_clean(&machine);
}

/// How often the driver's PnP dispatch routine was called.
fn pnp_requests(k: &Kernel) -> usize {
    let trace = k.recorded();
    let records = trace.records().iter();
    let label = "dispatch IRP_MJ_PNP";
    records
        .filter(|record| matches!(record.event, Event::Entered { label: entered, .. } if entered == label))
        .count()
}

#[test]
fn io_get_dma_adapter_asks_the_whole_stack() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let before = pnp_requests(&k);
        let arguments = [pdo.get(), description(&k)?.get(), buffer(&k, 8)?.get()];
        let adapter = testing::call(&k, "IoGetDmaAdapter", &arguments).await?;
        assert_ne!(adapter, 0);
        assert_eq!(
            pnp_requests(&k),
            before + 1,
            "the driver has seen IRP_MN_QUERY_INTERFACE"
        );
        assert_eq!(pnp::bus_interface::leftovers(&k), []);
        testing::call(&k, "PutDmaAdapter", &[adapter]).await?;
        Ok(())
    });
    assert_clean(&machine);
}
