//! Power IRPs through a stack whose function driver owns its device's power policy.

use iced_x86::code_asm::{CodeLabel, ecx, r8, r8d, r9, r10, rsp};
use ntlayout::device_object;

use super::*;
use crate::{
    bus::{BusProfile, DevicePower, Slot, Width},
    io::{DO_POWER_INRUSH, DO_POWER_PAGABLE, call_driver, irp, pnp::Minor},
    ke::Irql,
    kernel::Config,
    po::{self, SystemState},
    sched::Mode,
    trace::Event,
};

/// Answers `IRP_MJ_POWER`.
const POWER: usize = 4;
/// The completion routine of a system power IRP: asks for the device's.
const SYSTEM_DONE: usize = 5;
/// Told of the end of the device's IRP: ends the system's.
const DEVICE_DONE: usize = 6;
/// The completion routine of a device power IRP to D0.
const POWERED_UP: usize = 7;

const MINOR_QUERY: i32 = 3;
const D0: u32 = 1;
const D3: u32 = 4;

/// What the driver does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    None,
    /// It refuses queries for the system.
    Refuses,
    /// It completes the system's IRP itself.
    CompletesSystem,
    /// It ends the system's IRP before the device's.
    EndsEarly,
    /// It does not say that the device leaves D0.
    SaysNothing,
    /// It keeps the device's IRP.
    KeepsDevice,
    /// It asks for the address of the IRP that it requests.
    WantsIrp,
    /// It passes a failed IRP down.
    FailsAndPasses,
    /// None: its device is being removed, and it turns IRPs away, which takes a while.
    TurnsAway,
}

/// Copies the current stack location of the IRP in `rbx`, which is in `rax`, to the next, with the completion routine in `r10`, marks it pending
/// and passes it down.
fn forward(f: &mut Function<'_>) {
    let size = i32::try_from(stack::SIZE).unwrap();
    f.asm.or(byte_ptr(rax + stack::CONTROL), 1).unwrap();
    for offset in (0..stack::COMPLETION_ROUTINE).step_by(8) {
        let offset = i32::try_from(offset).unwrap();
        f.asm.mov(r8, qword_ptr(rax + offset)).unwrap();
        f.asm.mov(qword_ptr(rax + offset - size), r8).unwrap();
    }
    let next = |offset: usize| i32::try_from(offset).unwrap() - size;
    f.asm.mov(byte_ptr(rax + next(stack::CONTROL)), 0xE0).unwrap();
    f.asm
        .mov(qword_ptr(rax + next(stack::COMPLETION_ROUTINE)), r10)
        .unwrap();
    f.asm.mov(qword_ptr(rax + next(stack::CONTEXT)), rcx).unwrap();
    f.load(rax, lower_device().get());
    f.asm.mov(rcx, qword_ptr(rax)).unwrap();
    f.asm.mov(rdx, rbx).unwrap();
    f.call("IofCallDriver");
    answer(f, NtStatus::PENDING);
}

/// Passes the IRP in `rbx` down without looking at it again.
fn pass_down(f: &mut Function<'_>) {
    f.asm.inc(byte_ptr(rbx + layout::CURRENT_LOCATION)).unwrap();
    let location = qword_ptr(rbx + layout::CURRENT_STACK_LOCATION);
    f.asm.add(location, i32::try_from(stack::SIZE).unwrap()).unwrap();
    f.load(rax, lower_device().get());
    f.asm.mov(rcx, qword_ptr(rax)).unwrap();
    f.asm.mov(rdx, rbx).unwrap();
    f.call("IofCallDriver");
}

fn finish_with(f: &mut Function<'_>, status: NtStatus) {
    set_status(f, status, 0);
    complete(f);
    answer(f, status);
}

/// The dispatch routine: `rcx` is the device, `rdx` the IRP.
fn dispatch_power(f: &mut Function<'_>, mistake: Mistake) {
    let mut labels = [(); 4].map(|()| f.asm.create_label());
    let [device, send, down, end]: &mut [CodeLabel; 4] = &mut labels;
    f.asm.mov(rbx, rdx).unwrap();
    if mistake == Mistake::TurnsAway {
        f.asm.mov(ecx, 20).unwrap();
        f.call("KeStallExecutionProcessor");
        finish_with(f, NtStatus::DELETE_PENDING);
        f.asm.jmp(*end).unwrap();
    }
    f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
    f.asm.cmp(dword_ptr(rax + stack::POWER_TYPE), 0).unwrap();
    f.asm.jne(*device).unwrap();
    if mistake == Mistake::Refuses {
        let mut go_on = f.asm.create_label();
        f.asm.cmp(byte_ptr(rax + stack::MINOR_FUNCTION), MINOR_QUERY).unwrap();
        f.asm.jne(go_on).unwrap();
        finish_with(f, NtStatus::UNSUCCESSFUL);
        f.asm.jmp(*end).unwrap();
        f.asm.set_label(&mut go_on).unwrap();
    }
    if mistake == Mistake::CompletesSystem {
        finish_with(f, NtStatus::SUCCESS);
        f.asm.jmp(*end).unwrap();
    }
    f.load(r10, Program::address(SYSTEM_DONE).get());
    f.asm.jmp(*send).unwrap();

    f.asm.set_label(device).unwrap();
    f.asm.cmp(byte_ptr(rax + stack::MINOR_FUNCTION), MINOR_QUERY).unwrap();
    f.asm.je(*down).unwrap();
    if mistake == Mistake::KeepsDevice {
        mark_pending(f);
        answer(f, NtStatus::PENDING);
        f.asm.jmp(*end).unwrap();
    }
    f.load(r10, Program::address(POWERED_UP).get());
    f.asm
        .cmp(dword_ptr(rax + stack::POWER_STATE), i32::try_from(D0).unwrap())
        .unwrap();
    f.asm.je(*send).unwrap();
    if mistake != Mistake::SaysNothing {
        f.asm.mov(edx, 1).unwrap();
        f.asm.mov(r8d, D3).unwrap();
        f.call("PoSetPowerState");
    }
    if mistake == Mistake::FailsAndPasses {
        set_status(f, NtStatus::UNSUCCESSFUL, 0);
    }
    f.asm.set_label(down).unwrap();
    pass_down(f);
    f.asm.jmp(*end).unwrap();

    f.asm.set_label(send).unwrap();
    forward(f);
    f.asm.set_label(end).unwrap();
    f.asm.nop().unwrap();
}

/// `rcx` is the device, `rdx` the system's IRP.
fn system_done(f: &mut Function<'_>, mistake: Mistake) {
    let mut asleep = f.asm.create_label();
    f.asm.mov(rbx, rdx).unwrap();
    f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
    f.asm.mov(r8d, D3).unwrap();
    f.asm.cmp(dword_ptr(rax + stack::POWER_STATE), 1).unwrap();
    f.asm.jne(asleep).unwrap();
    f.asm.mov(r8d, D0).unwrap();
    f.asm.set_label(&mut asleep).unwrap();
    f.asm.movzx(edx, byte_ptr(rax + stack::MINOR_FUNCTION)).unwrap();
    let early = mistake == Mistake::EndsEarly;
    f.load(r9, if early { 0 } else { Program::address(DEVICE_DONE).get() });
    f.asm.sub(rsp, 0x20).unwrap();
    f.asm.mov(qword_ptr(rsp + 0x20), rbx).unwrap();
    f.load(
        rax,
        if mistake == Mistake::WantsIrp {
            Program::data().get() + 8
        } else {
            0
        },
    );
    f.asm.mov(qword_ptr(rsp + 0x28), rax).unwrap();
    f.call("PoRequestPowerIrp");
    f.asm.add(rsp, 0x20).unwrap();
    answer(
        f,
        if early {
            NtStatus::SUCCESS
        } else {
            NtStatus::MORE_PROCESSING_REQUIRED
        },
    );
}

/// `r9` is the system's IRP; the fifth argument is the `IO_STATUS_BLOCK` of the device's.
fn device_done(f: &mut Function<'_>) {
    f.asm.mov(rax, qword_ptr(rsp + 0x50)).unwrap();
    f.asm.mov(eax, dword_ptr(rax)).unwrap();
    f.asm.mov(dword_ptr(r9 + layout::IO_STATUS), eax).unwrap();
    f.asm.mov(rcx, r9).unwrap();
    f.asm.xor(edx, edx).unwrap();
    f.call("IofCompleteRequest");
}

/// `rcx` is the device, which takes `microseconds` to come back.
fn powered_up(f: &mut Function<'_>, microseconds: i32) {
    f.asm.mov(rbx, rcx).unwrap();
    f.asm.mov(ecx, microseconds).unwrap();
    f.call("KeStallExecutionProcessor");
    f.asm.mov(rcx, rbx).unwrap();
    f.asm.mov(edx, 1).unwrap();
    f.asm.mov(r8d, D0).unwrap();
    f.call("PoSetPowerState");
    answer(f, NtStatus::SUCCESS);
}

/// A driver that owns its device's power policy, and makes a mistake.
fn owner(mistake: Mistake) -> Program {
    owner_of_slow_device(mistake, 0)
}

/// As [`owner`], of a device that takes `microseconds` to come back to D0.
fn owner_of_slow_device(mistake: Mistake, microseconds: i32) -> Program {
    driver(|_| {})
        .import(&["KeStallExecutionProcessor", "PoRequestPowerIrp", "PoSetPowerState"])
        .function(move |f| dispatch_power(f, mistake))
        .function(move |f| system_done(f, mistake))
        .function(device_done)
        .function(move |f| powered_up(f, microseconds))
}

/// Runs `script` with the device started and its power IRPs going to [`POWER`].
fn run_owner<F>(mistake: Mistake, seed: u64, script: impl FnOnce(Kernel, Va) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    run(&owner(mistake), seed, move |k, pdo, _| async move {
        handle_power(&k, pdo, POWER)?;
        script(k, pdo).await
    })
}

fn handle_power(k: &Kernel, pdo: Va, function: usize) -> Outcome<()> {
    let fdo = device::top_of_stack(k, pdo)?;
    let object: Va = k.read(fdo + device_object::DRIVER_OBJECT)?;
    let entry = object + driver_object::MAJOR_FUNCTION + usize::from(Major::POWER.0) * 8;
    k.write(entry, Program::address(function))
}

fn slot(k: &Kernel) -> Slot {
    k.bus().borrow().functions()[0].slot()
}

fn power(k: &Kernel) -> DevicePower {
    k.bus().borrow().function(slot(k)).power()
}

async fn wait_for(k: &Kernel, wanted: DevicePower) -> Outcome<()> {
    while power(k) != wanted {
        k.delay(1_000).await?;
    }
    Ok(())
}

fn assert_clean(machine: &Machine) {
    assert!(
        machine.kernel().crash().is_none(),
        "{}",
        machine.crash_report(None).unwrap()
    );
}

/// The first parameter and the rule of the crash that sleeping ends with.
fn crash_of(mistake: Mistake, seed: u64) -> Option<(u64, &'static str)> {
    let machine = run_owner(mistake, seed, |k, _| async move {
        po::sleep(&k, SystemState::S3).await?.unwrap();
        po::wake(&k).await?;
        // The device may be on its way still.
        k.delay(1_000_000).await
    });
    let crash = machine.kernel().crash()?;
    Some((crash.bugcheck.parameters[0], crash.bugcheck.rule))
}

#[test]
fn a_device_sleeps_and_wakes_with_the_system() {
    for state in [SystemState::S1, SystemState::S3, SystemState::Hibernate] {
        for seed in 1..=50 {
            let machine = run_owner(Mistake::None, seed, move |k, pdo| async move {
                let config = k.bus().borrow().function(slot(&k)).config().clone();
                po::sleep(&k, state).await?.unwrap();
                assert_eq!(po::state(&k), state);
                assert_eq!(power(&k), DevicePower::D3);
                assert_ne!(*k.bus().borrow().function(slot(&k)).config(), config);
                po::wake(&k).await?;
                assert_eq!(po::state(&k), SystemState::Working);
                wait_for(&k, DevicePower::D0).await?;
                assert_eq!(*k.bus().borrow().function(slot(&k)).config(), config);
                assert_eq!(pnp::state(&k, pdo), Some(DeviceState::Started));
                Ok(())
            });
            assert_clean(&machine);
            let trace = machine.kernel().recorded();
            assert_eq!(trace.counters.calls()["PoRequestPowerIrp"], 3, "query, set, set");
        }
    }
}

#[test]
fn a_system_whose_battery_fails_does_not_ask() {
    let machine = run_owner(Mistake::Refuses, 1, |k, _| async move {
        po::sleep_at_once(&k, SystemState::S3).await?;
        po::wake(&k).await?;
        wait_for(&k, DevicePower::D0).await
    });
    assert_clean(&machine);
}

#[test]
fn a_driver_can_refuse_to_sleep() {
    for seed in 1..=20 {
        let machine = run_owner(Mistake::Refuses, seed, |k, pdo| async move {
            let refusal = po::sleep(&k, SystemState::S3).await?.unwrap_err();
            assert_eq!((refusal.pdo, refusal.status), (pdo, NtStatus::UNSUCCESSFUL));
            assert_eq!(po::state(&k), SystemState::Working);
            assert_eq!(power(&k), DevicePower::D0);
            Ok(())
        });
        assert_clean(&machine);
    }
}

#[test]
fn a_device_that_nobody_sends_to_d3_loses_its_power_all_the_same() {
    let program = driver(|_| {});
    let machine = run(&program, 1, |k, pdo, _| async move {
        handle_power(&k, pdo, PASS_DOWN)?;
        let liveness = k.bus().borrow().windows().next().unwrap().start + 4;
        let read = |k: &Kernel| {
            k.watch()
                .hardware
                .borrow_mut()
                .read(crate::mm::Pa(liveness), 4, k.now())
        };
        let written = k
            .watch()
            .hardware
            .borrow_mut()
            .write(crate::mm::Pa(liveness), 4, 5, k.now());
        assert_eq!(written, Ok(()));
        assert_eq!(read(&k), Ok(0xFFFF_FFFA));
        po::sleep(&k, SystemState::S1).await?.unwrap();
        po::wake(&k).await?;
        assert_eq!(read(&k), Ok(0xFFFF_FFFA), "in S1 everything has power");
        po::sleep(&k, SystemState::S3).await?.unwrap();
        po::wake(&k).await?;
        assert_eq!(read(&k), Ok(0), "the device answers, and has forgotten everything");
        assert_eq!(power(&k), DevicePower::D0);
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn shutting_down_is_for_good() {
    let machine = run_owner(Mistake::None, 1, |k, _| async move {
        po::shut_down(&k).await?;
        assert_eq!(po::state(&k), SystemState::Shutdown);
        assert_eq!(power(&k), DevicePower::D3);
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn power_irps_are_handled_as_documented_or_end_the_run() {
    assert_eq!(
        crash_of(Mistake::CompletesSystem, 1),
        Some((0x231, "power-not-passed-down"))
    );
    assert_eq!(
        crash_of(Mistake::FailsAndPasses, 1),
        Some((0x219, "failed-irp-passed-down"))
    );
    assert_eq!(crash_of(Mistake::WantsIrp, 1), Some((0x4_100B, "requested-power-irp")));
    assert_eq!(crash_of(Mistake::None, 1), None);
}

/// The driver has said D0 once; from then on it must go on saying where its device is.
#[test]
fn a_driver_that_reports_power_reports_all_of_it() {
    let machine = run_owner(Mistake::SaysNothing, 1, |k, pdo| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        po::report(&k, fdo, DevicePower::D0);
        po::sleep(&k, SystemState::S3).await?.unwrap();
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "power-misreported");
}

/// Only some interleavings show it: the device's IRP may have ended in time.
#[test]
fn the_systems_irp_ends_after_the_devices() {
    let crashes: Vec<_> = (1..=20).filter_map(|seed| crash_of(Mistake::EndsEarly, seed)).collect();
    assert!(!crashes.is_empty());
    assert!(
        crashes.iter().all(|&(_, rule)| rule == "system-power-irp-early"),
        "{crashes:?}"
    );
}

#[test]
fn a_power_irp_that_takes_ten_minutes_stops_the_machine() {
    let machine = run_owner(Mistake::KeepsDevice, 1, |k, _| async move {
        po::sleep_at_once(&k, SystemState::S3).await
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.code, Code::DRIVER_POWER_STATE_FAILURE);
    assert_eq!(crash.bugcheck.parameters[0], 3);
    assert!(machine.kernel().now() >= 600_000_000_000);
}

#[test]
fn a_power_transition_does_not_wait_for_the_pnp_manager_for_ever() {
    let machine = run_owner(Mistake::None, 1, |k, _| async move {
        po::sleep_at_once(&k, SystemState::S3).await?;
        po::sleep_at_once(&k, SystemState::S3).await
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.code, Code::DRIVER_POWER_STATE_FAILURE);
    assert_eq!(crash.bugcheck.parameters[..2], [4, 600]);
}

/// The IRQLs at which a driver whose device has the `flags` is called with power IRPs.
fn levels(flags: u32) -> Vec<Irql> {
    let mut levels = Vec::new();
    for seed in 1..=10 {
        let machine = run(&driver(|_| {}), seed, move |k, pdo, _| async move {
            handle_power(&k, pdo, PASS_DOWN)?;
            let fdo = device::top_of_stack(&k, pdo)?;
            for device in [pdo, fdo] {
                k.write(device + device_object::FLAGS, flags)?;
            }
            po::sleep(&k, SystemState::S3).await?.unwrap();
            po::wake(&k).await
        });
        assert_clean(&machine);
        let trace = machine.kernel().recorded();
        levels.extend(trace.records().iter().filter_map(|record| match record.event {
            Event::Entered {
                label: "dispatch IRP_MJ_POWER",
                irql,
                ..
            } => Some(irql),
            _ => None,
        }));
    }
    levels.sort_unstable();
    levels.dedup();
    levels
}

#[test]
fn drivers_that_cannot_be_paged_are_called_at_dispatch_level_too() {
    assert_eq!(levels(DO_POWER_PAGABLE), [Irql::PASSIVE]);
    assert_eq!(
        levels(DO_POWER_PAGABLE | DO_POWER_INRUSH),
        [Irql::PASSIVE, Irql::DISPATCH]
    );
    assert_eq!(levels(0), [Irql::PASSIVE, Irql::DISPATCH]);
}

/// Reporting that the device leaves D0 is not for `DISPATCH_LEVEL`: a driver that is called there needs a work item.
#[test]
fn leaving_d0_is_not_reported_at_dispatch_level() {
    let machine = run_owner(Mistake::None, 1, |k, pdo| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        let _old = k.raise_irql(Irql::DISPATCH);
        let arguments = [fdo.get(), 1, u64::from(D3)];
        k.call(k.routine_address("PoSetPowerState"), &arguments).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.rule, "irql-contract");
}

#[test]
fn a_pagable_driver_is_not_called_at_dispatch_level() {
    let machine = run_owner(Mistake::None, 1, |k, pdo| async move {
        let spec = irp::Spec {
            major: Major::POWER,
            minor: 2,
            stack_size: 2,
            file: None,
            status: Some(NtStatus::NOT_SUPPORTED),
            mode: Mode::Kernel,
            finish: None,
        };
        let record = irp::allocate(&k, spec)?;
        let top = device::top_of_stack(&k, pdo)?;
        let _old = k.raise_irql(Irql::DISPATCH);
        call_driver(&k, top, record.irp()).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(
        (crash.bugcheck.parameters[0], crash.bugcheck.rule),
        (0x23A, "forwarded-at-wrong-irql")
    );
}

/// What a device without power does not answer, it counts.
#[test]
fn accesses_to_a_sleeping_device_are_counted() {
    let machine = run_owner(Mistake::None, 1, |k, _| async move {
        po::sleep(&k, SystemState::S3).await?.unwrap();
        let start = k.bus().borrow().windows().next().unwrap().start;
        let value = k.watch().hardware.borrow_mut().read(crate::mm::Pa(start), 4, k.now());
        assert_eq!(value, Ok(Width::Dword.ones()));
        assert_eq!(k.bus().borrow().function(slot(&k)).accesses_asleep(), 1);
        po::wake(&k).await
    });
    assert_clean(&machine);
}

#[test]
fn a_device_is_not_deleted_while_its_driver_has_a_power_irp() {
    let machine = run_owner(Mistake::KeepsDevice, 1, |k, pdo| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        let arguments = [fdo.get(), 2, u64::from(D3), 0, 0, 0];
        k.call(k.routine_address("PoRequestPowerIrp"), &arguments).await?;
        k.delay(1_000_000).await?;
        device::detach(&k, pdo)?;
        device::delete(&k, fdo)
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(crash.bugcheck.code, Code::DRIVER_POWER_STATE_FAILURE);
    assert_eq!(crash.bugcheck.parameters[0], 1);
}

/// A request that has just come to a driver whose device is being removed is turned away, which nobody waits for.
#[test]
fn a_device_is_deleted_while_a_power_irp_is_turned_away() {
    for seed in 1..=20 {
        let machine = run_owner(Mistake::TurnsAway, seed, |k, pdo| async move {
            let fdo = device::top_of_stack(&k, pdo)?;
            request_power(&k, pdo, &[D3]).await?;
            k.delay(10_000).await?;
            device::detach(&k, pdo)?;
            device::delete(&k, fdo)
        });
        let crash = machine.kernel().crash();
        let rule = crash.as_ref().map(|crash| crash.bugcheck.rule);
        assert_ne!(rule, Some("power-state-failure"), "seed {seed}");
    }
}

/// A machine whose bus driver takes its time with every IRP, and the driver that owns its device's power policy.
fn run_on_slow_bus<F>(seed: u64, script: impl FnOnce(Kernel, Va) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let config = Config {
        seed,
        bus: BusProfile {
            pends: 100,
            longest_delay: 1_000_000,
            ..BusProfile::default()
        },
        ..Config::default()
    };
    run_on(
        owner(Mistake::None).machine_of(config),
        Placement::default(),
        move |k, pdo, _| async move {
            handle_power(&k, pdo, POWER)?;
            script(k, pdo).await
        },
    )
}

/// Requests device power IRPs from the power manager.
async fn request_power(k: &Kernel, pdo: Va, wanted: &[u32]) -> Outcome<()> {
    let request = k.routine_address("PoRequestPowerIrp");
    for &power in wanted {
        let status = k.call(request, &[pdo.get(), 2, u64::from(power), 0, 0, 0]).await?;
        assert_eq!(status, u64::from(NtStatus::PENDING.0));
    }
    Ok(())
}

/// On the way to D0 after the system's S0 has ended: the bus driver deletes the device object when it is done with its power IRP.
#[test]
fn the_bus_driver_keeps_a_device_while_it_has_a_power_irp_for_it() {
    let mut waited = 0;
    for seed in 1..=20 {
        let under_way = Rc::new(RefCell::new(0));
        let count = under_way.clone();
        let machine = run_on_slow_bus(seed, move |k, pdo| async move {
            request_power(&k, pdo, &[D3]).await?;
            wait_for(&k, DevicePower::D3).await?;
            request_power(&k, pdo, &[D0]).await?;
            k.delay(50_000).await?;
            let slot = slot(&k);
            k.bus().borrow_mut().function_mut(slot).unplug();
            *count.borrow_mut() += u64::from(power(&k) == DevicePower::D3);
            pnp::query(&k, pdo, Minor::REMOVE_DEVICE, [0; 4]).await?;
            assert!(k.io().borrow().devices.is_deleted(pdo));
            Ok(())
        });
        assert_clean(&machine);
        waited += under_way.take();
    }
    assert!(waited > 0, "the D0 IRP was under way");
}

/// One that is under way when the device has gone meets an object that is there still: it ends, or its driver, which passes it down without
/// a remove lock, is named for that.
#[test]
fn a_power_irp_keeps_the_device_object_that_it_is_sent_to() {
    for seed in 1..=20 {
        let machine = run_on_slow_bus(seed, move |k, pdo| async move {
            let fdo = device::top_of_stack(&k, pdo)?;
            request_power(&k, pdo, &[D3, D0, D3]).await?;
            let slot = slot(&k);
            k.bus().borrow_mut().function_mut(slot).unplug();
            pnp::query(&k, pdo, Minor::REMOVE_DEVICE, [0; 4]).await?;
            k.delay(10_000_000).await?;
            device::detach(&k, pdo)?;
            device::delete(&k, fdo)?;
            assert!(!k.io().borrow().devices.exists(pdo), "nobody refers to it any more");
            Ok(())
        });
        let crash = machine.kernel().crash();
        let rule = crash.as_ref().map(|crash| crash.bugcheck.rule);
        assert!(matches!(rule, None | Some("call-driver-without-device")), "{rule:?}");
    }
}

/// The bus driver takes the power of a device that is given up, and says so, while a request for D0 is on its way up: what it said last is D3, as it should be.
#[test]
fn a_device_that_is_given_up_on_its_way_to_d0_is_not_misreported() {
    let mut given_up_on_the_way = 0;
    for seed in 1..=20 {
        let config = Config {
            seed,
            bus: BusProfile {
                cuts_power: true,
                ..BusProfile::default()
            },
            ..Config::default()
        };
        let machine = owner_of_slow_device(Mistake::None, 20).machine_of(config);
        let machine = run_on(machine, Placement::default(), |k, pdo, _| async move {
            handle_power(&k, pdo, POWER)?;
            request_power(&k, pdo, &[D3]).await?;
            wait_for(&k, DevicePower::D3).await?;
            request_power(&k, pdo, &[D0]).await?;
            pnp::surprise_remove_present(&k, pdo).await?;
            k.delay(1_000_000).await
        });
        // The driver does not detach at its removal, which ends the run.
        let crash = machine.kernel().crash();
        let rule = crash.as_ref().map(|crash| crash.bugcheck.rule);
        assert_ne!(rule, Some("power-misreported"), "seed {seed}");
        let trace = machine.kernel().recorded();
        let story: Vec<String> = trace.story().map(|record| record.event.to_string()).collect();
        let place = |text: &str| story.iter().rposition(|line| line.contains(text));
        let off = place("is in D3").expect("the bus driver takes the power");
        let ended = place("ended: device D0, STATUS_SUCCESS");
        let on = place("is in D0");
        given_up_on_the_way += u32::from(on < Some(off) && ended > Some(off));
    }
    assert!(given_up_on_the_way > 0, "no seed has both at the same time");
}

/// The bus driver cannot give power to a device that is no longer there, and so the device's IRP and the system's may fail.
#[test]
fn a_device_can_be_pulled_out_while_the_system_sleeps() {
    for seed in 1..=20 {
        let machine = run_owner(Mistake::None, seed, |k, _| async move {
            po::sleep(&k, SystemState::S3).await?.unwrap();
            let slot = slot(&k);
            k.bus().borrow_mut().function_mut(slot).unplug();
            po::wake(&k).await?;
            k.delay(1_000_000).await
        });
        assert_clean(&machine);
    }
}

#[test]
fn requests_for_a_device_take_turns() {
    for seed in 1..=20 {
        let machine = run_owner(Mistake::None, seed, |k, pdo| async move {
            let request = k.routine_address("PoRequestPowerIrp");
            for state in [D3, D0, D3, D0] {
                let status = k.call(request, &[pdo.get(), 2, u64::from(state), 0, 0, 0]).await?;
                assert_eq!(status, u64::from(NtStatus::PENDING.0));
            }
            k.delay(1_000_000).await?;
            assert_eq!(power(&k), DevicePower::D0);
            let unknown = k.call(request, &[pdo.get(), 7, u64::from(D3), 0, 0, 0]).await?;
            assert_eq!(unknown, u64::from(NtStatus::INVALID_PARAMETER_2.0));
            Ok(())
        });
        assert_clean(&machine);
        let trace = machine.kernel().recorded();
        let story: Vec<String> = trace.story().map(|record| record.event.to_string()).collect();
        let under_way = story
            .iter()
            .filter(|line| line.contains("IRP_MN_SET_POWER") && !line.contains("requested"));
        let alternating: Vec<bool> = under_way.map(|line| line.contains(" sent to ")).collect();
        assert_eq!(alternating, [true, false, true, false, true, false, true, false]);
    }
}
