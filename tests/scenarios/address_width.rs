//! For which devices there is a DMA adapter, on the driver `allocates-for-any-width`.

use std::{cell::Cell, rc::Rc};

use ntsim::{NtStatus, cm, io::pnp};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
};

/// What a device that drives so many address bits is started with.
fn started_with(width: u8) -> NtStatus {
    let status = Rc::new(Cell::new(NtStatus::SUCCESS));
    let told = status.clone();
    let run = Run::of(
        &test_driver("allocates-for-any-width"),
        Setup::seed(1),
        async move |pc: Pc| {
            cm::set_device_value(&pc.k, pc.pdo, "AddressWidth", cm::Value::Dword(width.into()));
            told.set(pnp::start_device(&pc.k, pc.pdo).await?);
            Ok(())
        },
    );
    let _ = run.clean();
    status.get()
}

#[test]
fn a_device_that_drives_enough_address_bits_has_a_common_buffer() {
    for width in [24, 28, 32, 64] {
        assert_eq!(started_with(width), NtStatus::SUCCESS, "{width}");
    }
}

/// 0 and more than 64 are no widths. Whether there is an adapter for fewer than 24 bits is left open; here there is none. A driver cannot tell them apart:
/// `IoGetDmaAdapter` returns NULL.
#[test]
fn a_device_that_drives_too_few_or_too_many_has_none() {
    for width in [0, 1, 23, 65, 255] {
        assert_eq!(started_with(width), NtStatus::INSUFFICIENT_RESOURCES, "{width}");
    }
}

/// The driver does not say that its device has finished with the buffer, so the device has it still when it is started once more.
#[test]
fn a_device_that_is_started_again_keeps_its_common_buffer() {
    let image = test_driver("allocates-for-any-width");
    let run = Run::of(&image, Setup::seed(1), async move |pc: Pc| {
        cm::set_device_value(&pc.k, pc.pdo, "AddressWidth", cm::Value::Dword(32));
        assert_eq!(pnp::start_device(&pc.k, pc.pdo).await?, NtStatus::SUCCESS);
        let other = pc.k.bus().borrow().other_resources(pc.slot);
        assert_eq!(
            pnp::start_started_device(&pc.k, pc.pdo, other).await?,
            NtStatus::SUCCESS
        );
        Ok(())
    });
    let _ = run.clean();
}
