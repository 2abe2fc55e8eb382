//! Start, stop, surprise removal, removal, unload.

use edu::ioctl::{DeviceInfo, Factorial, FactorialInput, Liveness, QueryInfo, Request as _};
use ntsim::{
    NtStatus,
    io::pnp::{self, DeviceState, Removal},
    trace::Event,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::{customdpc, test_driver},
    program::{Program, assert_served_or_removed},
    seeds,
};

#[test]
fn a_device_that_was_never_started_can_be_removed() {
    let run = Run::of(&customdpc(), Setup::seed(1), async |pc: Pc| {
        assert_eq!(pc.interfaces(), [""; 0], "no interface before the start");
        Ok(())
    });
    let _ = run.clean();
}

/// `IoGetDmaAdapter` has the whole stack asked for the bus driver's interface, the driver included that is about to start its device.
#[test]
fn the_driver_passes_a_query_for_an_interface_down_while_it_starts() {
    let run = Run::started(Setup::seed(1), async |_| Ok(()));
    let (mut depth, mut deepest) = (0, 0);
    for record in run.clean().records() {
        match record.event {
            Event::Entered {
                label: "dispatch IRP_MJ_PNP",
                ..
            } => depth += 1,
            Event::Left {
                label: "dispatch IRP_MJ_PNP",
                ..
            } => depth -= 1,
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    assert_eq!(deepest, 2, "a PnP request while another one is handled");
}

#[test]
fn the_interface_is_there_while_the_device_is() {
    let run = Run::started(Setup::seed(1), async |pc| {
        assert_eq!(pc.interfaces().len(), 1);
        assert_eq!(pnp::remove_device(&pc.k, pc.pdo).await?, Removal::Done);
        assert_eq!(pc.interfaces(), [""; 0]);
        Ok(())
    });
    let _ = run.clean();
}

/// `SurpriseRemovalOK` of `DEVICE_CAPABILITIES`: the user is not told to announce that he will take the device out. A driver that does not say so has
/// the bus driver's answer, which is no.
#[test]
fn a_driver_says_that_it_copes_with_surprise_removal() {
    const SURPRISE_REMOVAL_OK: u32 = 1 << 9;
    for (image, copes) in [(customdpc(), true), (test_driver("lower-storey"), false)] {
        let run = Run::of(&image, Setup::seed(1), async move |pc: Pc| {
            pc.start().await?;
            let capabilities = pnp::query_capabilities(&pc.k, pc.pdo).await?;
            assert_eq!(capabilities & SURPRISE_REMOVAL_OK != 0, copes);
            Ok(())
        });
        let _ = run.clean();
    }
}

#[test]
fn a_device_in_use_is_not_removed_in_order() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(pnp::remove_device(&pc.k, pc.pdo).await?, Removal::HandlesOpen(1));
        let input = FactorialInput { n: 5 };
        assert_eq!(
            program.request::<Factorial>(input).await?,
            input.expected(),
            "it works on"
        );
        program.close().await
    });
    let _ = run.clean();
}

/// A stopped device holds what it is asked: nothing is lost, and nothing is served before it runs again.
#[test]
fn requests_wait_while_the_device_is_stopped() {
    for seed in 1..=50 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let mut under_way = Vec::new();
            for n in 1..=5 {
                under_way.push(program.factorial(n).await?);
            }
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;
            for n in 6..=8 {
                under_way.push(program.factorial(n).await?);
            }
            let waiting = under_way.iter().filter(|one| one.request.result().is_none()).count();
            assert!(waiting >= 3, "those that came after the stop wait");
            pc.k.delay(1_000_000).await?;
            let still = under_way.iter().filter(|one| one.request.result().is_none()).count();
            assert_eq!(still, waiting, "nothing is served meanwhile");
            pc.start().await?;
            for computation in &under_way {
                assert_eq!(computation.wait().await?, NtStatus::SUCCESS);
            }
            program.close().await
        });
        let _ = run.clean();
    }
}

/// Nothing is started any more once the system has asked, and everything that waited is when it has decided against it.
#[test]
fn requests_wait_while_a_stop_is_pending() {
    for seed in 1..=50 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let early = program.factorial(4).await?;
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            assert!(early.request.result().is_some(), "nothing is in flight");
            let late = program.factorial(5).await?;
            pc.k.delay(1_000_000).await?;
            assert_eq!(late.request.result(), None, "nothing is started");
            pnp::cancel_stop_device(&pc.k, pc.pdo).await?;
            assert_eq!(early.wait().await?, NtStatus::SUCCESS);
            assert_eq!(late.wait().await?, NtStatus::SUCCESS);
            program.close().await
        });
        let _ = run.clean();
    }
}

/// What needs no register is answered; a liveness check waits, can be cancelled, and ends when the device does.
#[test]
fn immediate_requests_while_the_device_is_stopped() {
    for seed in 1..=20 {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let before: DeviceInfo = program.request::<QueryInfo>(()).await?;
            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;

            assert_eq!(program.request::<QueryInfo>(()).await?, before);
            let _ = program.statistics().await?;
            let input = 7_u32.to_le_bytes();
            let kept = program.send(Liveness::CODE.raw(), &input, 4).await?;
            let cancelled = program.send(Liveness::CODE.raw(), &input, 4).await?;
            assert_eq!(kept.result(), None, "there are no registers");
            program.cancel_request(&cancelled).await?;
            assert_eq!(cancelled.wait(&pc.k).await?.status, NtStatus::CANCELLED);

            pc.start().await?;
            let done = kept.wait(&pc.k).await?;
            assert_eq!(
                (done.status, &done.output[..]),
                (NtStatus::SUCCESS, &(!7_u32).to_le_bytes()[..])
            );

            assert!(pnp::query_stop_device(&pc.k, pc.pdo).await?.is_success());
            pnp::stop_device(&pc.k, pc.pdo).await?;
            let lost = program.send(Liveness::CODE.raw(), &input, 4).await?;
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            assert_eq!(lost.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
            program.close().await
        });
        let _ = run.clean();
    }
}

#[test]
fn surprise_removal_ends_every_request() {
    for seed in seeds::up_to(50) {
        let run = Run::started(Setup::seed(seed), async |pc| {
            let program = Program::open(&pc).await?;
            let mut under_way = Vec::new();
            for n in 1..=8 {
                under_way.push(program.factorial(n).await?);
            }
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            for computation in &under_way {
                assert_served_or_removed(computation.wait().await?);
            }
            let late = program.factorial(3).await?;
            assert_eq!(late.wait().await?, NtStatus::DEVICE_REMOVED, "after the removal");
            assert_eq!(pc.interfaces(), [""; 0]);
            assert_eq!(
                pnp::state(&pc.k, pc.pdo),
                Some(DeviceState::SurpriseRemoved),
                "a handle is open"
            );
            program.close().await
        });
        let _ = run.clean();
    }
}

/// `IoSetDeviceInterfaceState`: what surprise removal has disabled removal must not disable again, nor what was never enabled.
#[test]
fn the_interface_is_disabled_once() {
    let calls = |run: &Run| {
        let trace = run.clean();
        trace.counters.calls().get("IoSetDeviceInterfaceState").copied()
    };
    let removed = Run::started(Setup::seed(1), async |_pc| Ok(()));
    assert_eq!(calls(&removed), Some(2), "enabled, and disabled");
    let pulled_out = Run::started(Setup::seed(1), async |pc| pnp::surprise_remove(&pc.k, pc.pdo).await);
    assert_eq!(calls(&pulled_out), Some(2), "enabled, and disabled");
    let never_started = Run::of(&customdpc(), Setup::seed(1), async |_pc: Pc| Ok(()));
    assert_eq!(calls(&never_started), None);
}
