//! The duties of a filter, on the driver `upper-storey`: above `bare-storey`, which relies on them, or above the function driver `lower-storey`.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use ntsim::{
    NtStatus, Outcome,
    bus::DevicePower,
    io::pnp::{self, Minor},
    po::{self, SystemState},
    trace::Counter,
};
use scenarios::{
    boot::{Pc, Run, Setup},
    image::{customdpc, test_driver},
    program::{Program, assert_served_or_removed},
    seeds,
};

use crate::{
    forwarding::in_its_thread_or_not_at_all,
    storeys::{
        bare::{LOOK, NOTIFIED, REPARSE, SEEN},
        careless::ASK_INTERNALLY,
        upper::{SHUT, STARTS, WAIT},
    },
};

/// `IRP_MN_SET_POWER`.
const SET_POWER: u64 = 2;
/// A success, which is not `STATUS_SUCCESS`.
const STATUS_REPARSE: NtStatus = NtStatus(0x104);
/// `FILE_DEVICE_SERIAL_PORT`, of the device below.
const SERIAL_PORT: u32 = 0x1B;
/// `FILE_READ_ONLY_DEVICE`, a characteristic of that.
const READ_ONLY: u32 = 2;
/// `DO_BUFFERED_IO` and `DO_DIRECT_IO`.
const IO: u32 = 4 | 0x10;
/// `DO_DIRECT_IO`.
const DIRECT_IO: u32 = 0x10;
/// `DO_POWER_PAGABLE`.
const POWER_PAGABLE: u32 = 0x2000;
/// `DeviceUsageTypePaging`, `DeviceUsageTypeHibernation` and `DeviceUsageTypeDumpFile`.
const PAGING: u64 = 1;
const HIBERNATION: u64 = 2;
const DUMP: u64 = 3;
/// `STATUS_DEVICE_BUSY`.
const DEVICE_BUSY: NtStatus = NtStatus(0x8000_0011);

/// Runs `script` on a started device of `lower`, with the filter above.
fn filtered<F>(lower: &str, seed: u64, script: impl FnOnce(Pc) -> F + 'static) -> Run
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let images = [lower, "upper-storey"].map(test_driver);
    Run::stacked(&images, Setup::by_line(seed), async move |pc: Pc| {
        pc.start().await?;
        script(pc).await
    })
}

#[test]
fn it_looks_like_the_device_below() {
    let run = filtered("bare-storey", 1, async |pc| {
        let program = Program::open(&pc).await?;
        let [below @ .., kind, flags, characteristics] = program.numbers::<6>(LOOK).await?;
        let [kind_below, flags_below, characteristics_below] = below;
        assert_eq!((kind_below, kind), (SERIAL_PORT, SERIAL_PORT));
        assert_eq!((flags_below & IO, flags & IO), (DIRECT_IO, DIRECT_IO));
        assert_eq!(flags_below & POWER_PAGABLE, flags & POWER_PAGABLE);
        assert_eq!(characteristics_below & READ_ONLY, READ_ONLY);
        assert_eq!(characteristics & READ_ONLY, READ_ONLY);
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn a_read_comes_as_the_lower_driver_expects_it() {
    let run = filtered("bare-storey", 1, async |pc| {
        let program = Program::open(&pc).await?;
        let done = program.read(0, 16).await?.wait(&pc.k).await?;
        assert_eq!(done.status, NtStatus::SUCCESS);
        let [_, _, _, reads] = program.numbers(SEEN).await?;
        assert_eq!(reads, 1);
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn the_lower_driver_sees_all_of_an_open_or_nothing() {
    let run = filtered("bare-storey", 1, async |pc| {
        for _ in 0..3 {
            Program::open(&pc).await?.close().await?;
        }
        let program = Program::open(&pc).await?;
        assert_eq!(program.numbers(SEEN).await?, [4, 3, 3, 0]);
        assert_eq!(program.call(SHUT, &[], 0).await?.status, NtStatus::SUCCESS);
        let refused = Program::try_open(&pc).await?;
        assert_eq!(refused.err(), Some(NtStatus::DEVICE_NOT_READY));
        assert_eq!(program.numbers(SEEN).await?, [4, 3, 3, 0]);
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn a_request_that_needs_its_thread_is_passed_down_in_it_or_not_at_all() {
    for seed in seeds::up_to(10) {
        let _ = filtered("bare-storey", seed, in_its_thread_or_not_at_all).clean();
    }
}

/// For each device object, in the order of their making, the power states that its driver has reported.
fn reports(run: &Run) -> BTreeMap<String, Vec<String>> {
    let trace = run.clean();
    let mut reports: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in trace.records() {
        let text = record.event.to_string();
        if let Some((device, power)) = text.split_once(" is reported to be in ") {
            reports.entry(device.to_owned()).or_default().push(power.to_owned());
        }
    }
    reports
}

/// A device that has the hibernation file keeps its power until that is written, and its drivers do not report D3 ("`IRP_MN_DEVICE_USAGE_NOTIFICATION`").
/// For any other the filter reports it.
#[test]
fn a_filter_does_not_report_d3_of_the_device_with_the_hibernation_file() {
    for (has_file, expected) in [(true, vec!["D0", "D0", "D3"]), (false, vec!["D0", "D3", "D0", "D3"])] {
        let run = filtered("bare-storey", 1, async move |pc| {
            if has_file {
                assert_eq!(notify(&pc, true, HIBERNATION).await?, NtStatus::SUCCESS);
            }
            assert!(po::sleep(&pc.k, SystemState::Hibernate).await?.is_ok());
            // Nobody in this stack has the power policy.
            let request = pc.k.routine_address("PoRequestPowerIrp");
            for power in [DevicePower::D3, DevicePower::D0] {
                let arguments = [pc.pdo.get(), SET_POWER, u64::from(power.value()), 0, 0, 0];
                assert_eq!(pc.k.call(request, &arguments).await?, u64::from(NtStatus::PENDING.0));
                pc.k.delay(1_000_000).await?;
            }
            po::wake(&pc.k).await
        });
        let reports = reports(&run);
        assert_eq!(
            reports.values().next_back(),
            Some(&expected.into_iter().map(str::to_owned).collect())
        );
    }
}

/// Filters too call `PoSetPowerState`, for their own device objects: "Handling `IRP_MN_SET_POWER` for Device Power States".
#[test]
fn each_driver_of_the_stack_reports_its_power() {
    for seed in seeds::up_to(20) {
        let run = filtered("lower-storey", seed, async |pc| {
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            po::wake(&pc.k).await?;
            // The device may be on its way still.
            pc.k.delay(1_000_000).await?;
            assert_eq!(pnp::remove_device(&pc.k, pc.pdo).await?, pnp::Removal::Done);
            Ok(())
        });
        let reports = reports(&run);
        let [bus, drivers @ ..] = &reports.values().collect::<Vec<_>>()[..] else {
            panic!("nobody reports anything");
        };
        assert_eq!(**bus, ["D0", "D3", "D0"], "seed {seed}");
        assert_eq!(drivers.len(), 2, "the function driver and the filter");
        for driver in drivers {
            assert_eq!(**driver, ["D0", "D3", "D0", "D3"], "seed {seed}");
        }
    }
}

/// The function driver above it sends one.
#[test]
fn a_request_that_only_drivers_send_is_passed_down() {
    let images = ["bare-storey", "upper-storey", "careless-storey"].map(test_driver);
    let run = Run::stacked(&images, Setup::by_line(1), async |pc: Pc| {
        pc.start().await?;
        let program = Program::open(&pc).await?;
        assert_eq!(program.numbers(ASK_INTERNALLY).await?, [0; 4]);
        program.close().await
    });
    let _ = run.clean();
}

/// A success of the lower driver's that is not `STATUS_SUCCESS` is one still when a completion routine has kept the request.
#[test]
fn an_informational_status_is_kept() {
    let run = filtered("bare-storey", 1, async |pc| {
        let program = Program::open(&pc).await?;
        let done = program.call(REPARSE, &[], 0).await?;
        assert_eq!(done.status, STATUS_REPARSE);
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn it_learns_of_every_start() {
    let run = filtered("lower-storey", 1, async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(program.numbers(STARTS).await?, [1]);
        let other = pc.k.bus().borrow().other_resources(pc.slot);
        assert_eq!(pnp::rebalance(&pc.k, pc.pdo, other).await?, NtStatus::SUCCESS);
        assert_eq!(program.numbers(STARTS).await?, [2]);
        program.close().await
    });
    let _ = run.clean();
}

/// The driver below can map no registers, or connect no interrupt.
#[test]
fn a_start_that_fails_below_has_failed() {
    /// How many calls that can fail there were before the start, how that ended, and whether it was a call of the driver below that failed.
    fn start(failing_call: Option<u64>) -> (u64, NtStatus, bool) {
        let mut setup = Setup::by_line(1);
        setup.config.failing_call = failing_call;
        let outcome = Rc::new(Cell::new((0, NtStatus::SUCCESS)));
        let seen = outcome.clone();
        let images = ["bare-storey", "upper-storey"].map(test_driver);
        let run = Run::stacked(&images, setup, async move |pc: Pc| {
            let calls = pc.k.recorded().counters.get(Counter::FallibleCalls);
            seen.set((calls, pnp::start_device(&pc.k, pc.pdo).await?));
            Ok(())
        });
        let trace = run.clean();
        let below = trace.records().iter().any(|record| {
            let event = record.event.to_string();
            ["MmMapIoSpaceEx fails", "IoConnectInterrupt fails"]
                .iter()
                .any(|failure| event.starts_with(failure))
        });
        let (calls, status) = outcome.get();
        (calls, status, below)
    }

    let (first, undisturbed, _) = start(None);
    assert_eq!(undisturbed, NtStatus::SUCCESS);
    let mut failures_below = 0;
    for call in first..first + 6 {
        let (_, status, below) = start(Some(call));
        if below {
            assert_eq!(status, NtStatus::INSUFFICIENT_RESOURCES);
            failures_below += 1;
        }
    }
    assert_eq!(failures_below, 2);
}

#[test]
fn the_power_policy_is_the_function_drivers() {
    /// How often the drivers have asked for a change of the device's power, over a sleep.
    fn requests(images: &[&str]) -> u64 {
        let images: Vec<_> = images.iter().copied().map(test_driver).collect();
        let run = Run::stacked(&images, Setup::by_line(1), async |pc: Pc| {
            pc.start().await?;
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            po::wake(&pc.k).await
        });
        let calls = run.clean();
        let mut calls = calls.counters.calls().iter();
        calls
            .find(|(routine, _)| **routine == "PoRequestPowerIrp")
            .map_or(0, |(_, count)| *count)
    }
    let alone = requests(&["lower-storey"]);
    assert_ne!(alone, 0);
    assert_eq!(requests(&["lower-storey", "upper-storey"]), alone);
    assert_eq!(requests(&["bare-storey", "upper-storey"]), 0);
}

/// `IRP_MN_DEVICE_USAGE_NOTIFICATION`: a special file of this type is put on the device, or taken off it; the status.
async fn notify(pc: &Pc, in_path: bool, kind: u64) -> Outcome<NtStatus> {
    let parameters = [in_path.into(), kind, 0, 0];
    let notified = pnp::query(&pc.k, pc.pdo, Minor::DEVICE_USAGE_NOTIFICATION, parameters).await?;
    assert_eq!(notified.information, 0);
    Ok(notified.status)
}

/// `DO_POWER_PAGABLE` of the device below, of the one on top, and of that when the last notification came to the driver below.
async fn pagable(program: &Program) -> Outcome<[bool; 3]> {
    let [_, below, _, _, own, _] = program.numbers(LOOK).await?;
    let [_, then] = program.numbers(NOTIFIED).await?;
    Ok([below, own, then].map(|flags| flags & POWER_PAGABLE != 0))
}

/// `DO_POWER_PAGABLE` is cleared when the drivers below have taken the first special file, and set before they learn that the last one is gone
/// ("Handling PnP Paging Requests"): at no time may the one on top have none where the one below has it.
#[test]
fn a_special_file_makes_it_unpagable() {
    let run = filtered("bare-storey", 1, async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(pagable(&program).await?[..2], [true; 2]);
        for (in_path, expected) in [
            (true, [false, false, true]),
            (true, [false; 3]),
            (false, [false; 3]),
            (false, [true; 3]),
            (true, [false, false, true]),
        ] {
            assert_eq!(notify(&pc, in_path, PAGING).await?, NtStatus::SUCCESS);
            assert_eq!(pagable(&program).await?, expected, "in path: {in_path}");
        }
        // One of another type is still there when that is gone.
        assert_eq!(notify(&pc, true, HIBERNATION).await?, NtStatus::SUCCESS);
        assert_eq!(notify(&pc, false, PAGING).await?, NtStatus::SUCCESS);
        assert_eq!(pagable(&program).await?, [false; 3]);
        program.close().await
    });
    let _ = run.clean();
}

/// Nothing of it was started that could take one.
#[test]
fn a_paging_file_needs_a_started_device() {
    let images = ["bare-storey", "upper-storey"].map(test_driver);
    let run = Run::stacked(&images, Setup::by_line(1), async |pc: Pc| {
        assert_eq!(notify(&pc, true, PAGING).await?, NtStatus::DEVICE_NOT_READY);
        pc.start().await?;
        let program = Program::open(&pc).await?;
        assert_eq!(program.numbers::<2>(NOTIFIED).await?[0], 0);
        program.close().await
    });
    let _ = run.clean();
}

/// What the drivers below refuse is undone.
#[test]
fn a_special_file_that_is_refused_changes_nothing() {
    let run = filtered("bare-storey", 1, async |pc| {
        let program = Program::open(&pc).await?;
        assert_eq!(notify(&pc, true, DUMP).await?, NtStatus::UNSUCCESSFUL);
        assert_eq!(pagable(&program).await?, [true; 3]);
        assert_eq!(notify(&pc, true, HIBERNATION).await?, NtStatus::SUCCESS);
        assert_eq!(pagable(&program).await?, [false, false, true]);
        assert_eq!(notify(&pc, false, HIBERNATION).await?, DEVICE_BUSY);
        assert_eq!(
            pagable(&program).await?,
            [false, false, true],
            "it is set on the way down"
        );
        program.close().await
    });
    let _ = run.clean();
}

/// A function driver that has no part in special files: the drivers below never hear of one.
#[test]
fn a_function_driver_refuses_special_files() {
    let images = ["bare-storey", "careless-storey"].map(test_driver);
    let run = Run::stacked(&images, Setup::by_line(1), async |pc: Pc| {
        pc.start().await?;
        let program = Program::open(&pc).await?;
        for kind in [PAGING, HIBERNATION, DUMP] {
            assert_eq!(notify(&pc, true, kind).await?, NtStatus::UNSUCCESSFUL);
        }
        assert_eq!(program.numbers::<2>(NOTIFIED).await?[0], 0);
        assert_eq!(pagable(&program).await?[..2], [true; 2]);
        program.close().await
    });
    let _ = run.clean();
    let run = Run::started(Setup::seed(1), async |pc: Pc| {
        for kind in [PAGING, HIBERNATION, DUMP] {
            assert_eq!(notify(&pc, true, kind).await?, NtStatus::UNSUCCESSFUL);
        }
        Ok(())
    });
    let _ = run.clean();
}

#[test]
fn what_waits_in_it_ends_with_its_handle_or_its_device() {
    let run = filtered("lower-storey", 1, async |pc| {
        let [closed, kept] = [Program::open(&pc).await?, Program::open(&pc).await?];
        let of_closed = closed.send(WAIT, &[], 0).await?;
        let of_kept = kept.send(WAIT, &[], 0).await?;
        closed.close().await?;
        assert_eq!(of_closed.wait(&pc.k).await?.status, NtStatus::CANCELLED);
        assert!(of_kept.result().is_none());
        pnp::surprise_remove(&pc.k, pc.pdo).await?;
        assert_eq!(of_kept.wait(&pc.k).await?.status, NtStatus::DEVICE_REMOVED);
        kept.close().await
    });
    let _ = run.clean();
}

/// The shipped driver does all that it does with the filter above or below it, and with one further down that pends every PnP and power request.
#[test]
fn the_shipped_driver_does_not_notice_it() {
    let filter = || test_driver("upper-storey");
    let stacks = [
        vec![customdpc(), filter()],
        vec![filter(), customdpc()],
        vec![test_driver("pends-pnp-and-power"), customdpc(), filter()],
        vec![test_driver("pends-pnp-and-power"), filter(), customdpc()],
    ];
    for (stack, seed) in stacks
        .iter()
        .flat_map(|stack| seeds::up_to(5).map(move |seed| (stack, seed)))
    {
        let run = Run::stacked(stack, Setup::seed(seed), async |pc: Pc| {
            pc.start().await?;
            let program = Program::open(&pc).await?;
            assert_eq!(program.factorial(5).await?.wait().await?, NtStatus::SUCCESS);
            let written = program.write(0, &[7; 100]).await?.wait(&pc.k).await?;
            assert_eq!((written.status, written.information), (NtStatus::SUCCESS, 100));
            let other = pc.k.bus().borrow().other_resources(pc.slot);
            assert_eq!(pnp::rebalance(&pc.k, pc.pdo, other).await?, NtStatus::SUCCESS);
            assert!(po::sleep(&pc.k, SystemState::S3).await?.is_ok());
            let meanwhile = program.read(0, 100).await?;
            po::wake(&pc.k).await?;
            let read = meanwhile.wait(&pc.k).await?;
            assert_eq!((read.status, read.information), (NtStatus::SUCCESS, 100));
            let last = program.factorial(20).await?;
            pnp::surprise_remove(&pc.k, pc.pdo).await?;
            assert_served_or_removed(last.wait().await?);
            program.close().await
        });
        let _ = run.clean();
    }
}
