//! Requests that come the moment that the device is in its stack: `AddDevice` is still at work.

use ntsim::{
    Kernel, NtStatus,
    io::pnp::{self, Minor},
    sched::ThreadSpec,
    system,
    trace::Event,
};
use scenarios::{
    boot::{Run, Setup},
    image::customdpc,
    seeds,
};

/// Whether the driver has attached its device.
fn is_attached(k: &Kernel) -> bool {
    let trace = k.recorded();
    let mut records = trace.records().iter().rev();
    records.any(
        |record| matches!(record.event, Event::Called { routine, .. } if routine.starts_with("IoAttachDeviceToDeviceStack")),
    )
}

/// The lower device is known before the first request can come: every one of them reaches the bus driver, which answers it.
#[test]
fn a_request_that_comes_at_once_is_passed_down() {
    for seed in seeds::up_to(100) {
        let mut setup = Setup::seed(seed);
        setup.config.bus.pends = 0;
        let run = Run::bare(&customdpc(), setup, async move |k, slot| {
            let driver = system::load(&k, "customdpc").await?.expect("it is loaded");
            let asking = k.spawn(ThreadSpec::system("asks"), async move |k| {
                while !is_attached(&k) {
                    k.yield_now().await?;
                }
                let pdo = pnp::pdo_of_slot(&k, slot).expect("it is found");
                for _ in 0..3 {
                    let answer = pnp::query(&k, pdo, Minor::QUERY_PNP_DEVICE_STATE, [0; 4]).await?;
                    assert_eq!(answer.status, NtStatus::SUCCESS, "seed {seed}");
                }
                Ok(())
            });
            let added = system::add_device(&k, driver, slot).await?;
            let system = added.expect("the device is added");
            k.join(asking).await?;
            system.shut_down(&k, "customdpc").await
        });
        let _ = run.clean();
    }
}
