//! Nothing reaches the drivers below when `IRP_MN_REMOVE_DEVICE` has gone down to them; by the driver `uses-lower-after-remove`, which tries.

#[path = "../drivers/uses-lower-after-remove/src/protocol.rs"]
#[expect(dead_code, reason = "some is between the driver's own device objects")]
mod protocol;

use ntsim::{NtStatus, Outcome, io::pnp};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::test_driver,
    program::Program,
    seeds,
};

use protocol::{REPORT, SEND, SEND_KEEP, SEND_OFTEN};

/// How the device goes.
#[derive(Clone, Copy)]
enum Way {
    InOrder,
    BySurprise,
}

/// Has the driver do what `wanted` says, and removes the device meanwhile. It is attached `storeys` times.
fn remove_while(wanted: u32, way: Way, storeys: usize, seed: u64) {
    let image = test_driver("uses-lower-after-remove");
    let run = Run::of(&image, Setup::seed(seed), async move |pc: Pc| {
        for _ in 1..storeys {
            let driver = pc.driver;
            assert!(pnp::add_device(&pc.k, pc.pdo, driver).await?.is_success());
        }
        pc.start().await?;
        let program = Program::open(&pc).await?;
        let done = program.call(wanted, &[], 0).await?;
        assert_eq!(done.status, NtStatus::SUCCESS);
        program.close().await?;
        pc.k.delay(1_000 * (seed % 20)).await?;
        remove(&pc, way).await
    });
    let _ = run.clean();
}

async fn remove(pc: &Pc, way: Way) -> Outcome<()> {
    match way {
        Way::InOrder => {
            let removal = pnp::remove_device(&pc.k, pc.pdo).await?;
            assert_eq!(removal, pnp::Removal::Done);
            Ok(())
        }
        Way::BySurprise => {
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            pnp::wait_for_removal(&pc.k, pc.pdo).await
        }
    }
}

#[test]
fn no_request_of_the_drivers_own_is_sent() {
    for way in [Way::InOrder, Way::BySurprise] {
        remove_while(SEND, way, 1, 1);
    }
}

#[test]
fn no_request_of_the_drivers_own_is_under_way_when_the_device_is_removed() {
    for way in [Way::InOrder, Way::BySurprise] {
        for seed in seeds::up_to(20) {
            remove_while(SEND_OFTEN, way, 1, seed);
        }
    }
}

#[test]
fn no_failure_is_reported() {
    for way in [Way::InOrder, Way::BySurprise] {
        remove_while(REPORT, way, 1, 1);
    }
}

#[test]
fn no_request_that_was_kept_is_passed_down() {
    for way in [Way::InOrder, Way::BySurprise] {
        remove_while(SEND_KEEP, way, 2, 1);
    }
}
