//! PnP IRPs through a stack whose function driver lets go of its device when it must.

use iced_x86::code_asm::{esi, r12d, rdi};
use ntlayout::{device_capabilities as capabilities, device_object, pnp_bus_information};

use super::*;
use crate::{
    bus::{BusProfile, DevicePower},
    io::pnp::{Minor, Removal},
    kernel::Config,
    trace::Event,
};

/// What the driver answers to `IRP_MN_QUERY_PNP_DEVICE_STATE`.
fn device_state() -> Va {
    Program::data() + 8_u64
}

/// Whether the driver fails `IRP_MN_START_DEVICE`.
fn start_fails() -> Va {
    Program::data() + 16_u64
}

const DISABLED: u32 = 0x01;
const FAILED: u32 = 0x04;
const REMOVED: u32 = 0x08;
const NOT_DISABLEABLE: u32 = 0x20;

fn minor_of(minor: Minor) -> i32 {
    minor.0.into()
}

/// `rcx` is the device, `rdx` the IRP.
pub(super) fn dispatch_pnp(f: &mut Function<'_>) {
    let [mut not_start, mut down, mut end] = [(); 3].map(|()| f.asm.create_label());
    f.asm.mov(rbx, rdx).unwrap();
    f.asm.mov(rdi, rcx).unwrap();
    f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
    f.asm.movzx(esi, byte_ptr(rax + stack::MINOR_FUNCTION)).unwrap();

    f.asm.cmp(esi, minor_of(Minor::START_DEVICE)).unwrap();
    f.asm.jne(not_start).unwrap();
    f.load(rax, start_fails().get());
    f.asm.cmp(dword_ptr(rax), 0).unwrap();
    f.asm.je(down).unwrap();
    set_status(f, NtStatus::UNSUCCESSFUL, 0);
    complete(f);
    f.asm.mov(r12d, NtStatus::UNSUCCESSFUL.0).unwrap();
    f.asm.jmp(end).unwrap();

    f.asm.set_label(&mut not_start).unwrap();
    f.asm.cmp(esi, minor_of(Minor::QUERY_PNP_DEVICE_STATE)).unwrap();
    f.asm.jne(down).unwrap();
    f.load(rax, device_state().get());
    f.asm.mov(eax, dword_ptr(rax)).unwrap();
    f.asm.or(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
    f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();

    f.asm.set_label(&mut down).unwrap();
    f.asm.inc(byte_ptr(rbx + layout::CURRENT_LOCATION)).unwrap();
    let location = qword_ptr(rbx + layout::CURRENT_STACK_LOCATION);
    f.asm.add(location, i32::try_from(stack::SIZE).unwrap()).unwrap();
    f.load(rax, lower_device().get());
    f.asm.mov(rcx, qword_ptr(rax)).unwrap();
    f.asm.mov(rdx, rbx).unwrap();
    f.call("IofCallDriver");
    f.asm.mov(r12d, eax).unwrap();
    f.asm.cmp(esi, minor_of(Minor::REMOVE_DEVICE)).unwrap();
    f.asm.jne(end).unwrap();
    f.load(rax, lower_device().get());
    f.asm.mov(rcx, qword_ptr(rax)).unwrap();
    f.call("IoDetachDevice");
    f.asm.mov(rcx, rdi).unwrap();
    f.call("IoDeleteDevice");

    f.asm.set_label(&mut end).unwrap();
    f.asm.mov(eax, r12d).unwrap();
}

/// Runs `script` with the device started and its PnP IRPs going to [`dispatch_pnp`].
fn run_pnp<F>(seed: u64, script: impl FnOnce(Kernel, Va, String) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let config = Config {
        seed,
        ..Config::default()
    };
    run_pnp_of(config, script)
}

/// The same, of any configuration.
fn run_pnp_of<F>(config: Config, script: impl FnOnce(Kernel, Va, String) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let program = driver_with(invert, dispatch_pnp).import(&["IoDetachDevice", "IoDeleteDevice"]);
    let machine = program.machine_of(config);
    run_on(machine, Placement::default(), move |k, pdo, link| async move {
        let fdo = device::top_of_stack(&k, pdo)?;
        let object: Va = k.read(fdo + device_object::DRIVER_OBJECT)?;
        let entry = object + driver_object::MAJOR_FUNCTION + usize::from(Major::PNP.0) * 8;
        k.write(entry, Program::address(HELPER))?;
        script(k, pdo, link).await
    })
}

fn assert_clean(machine: &Machine) {
    assert!(
        machine.kernel().crash().is_none(),
        "{}",
        machine.crash_report(None).unwrap()
    );
}

/// How often the story says that this IRP was sent.
fn sent(k: &Kernel, minor: Minor) -> usize {
    let wanted = Event::Note(format!("{} sent", minor.name()));
    let trace = k.recorded();
    trace.records().iter().filter(|record| record.event == wanted).count()
}

async fn invalidate(k: &Kernel, pdo: Va, state: u32) -> Outcome<()> {
    k.write(device_state(), state)?;
    k.call(k.routine_address("IoInvalidateDeviceState"), &[pdo.get()])
        .await?;
    k.delay(1_000_000).await
}

#[test]
fn a_device_is_started_again_with_other_resources() {
    for seed in 1..=20 {
        let machine = run_pnp(seed, |k, pdo, _| async move {
            let slot = k.bus().borrow().functions()[0].slot();
            let before = k.bus().borrow().function(slot).resources().clone();
            let other = k.bus().borrow().other_resources(slot);
            let asked = sent(&k, Minor::QUERY_PNP_DEVICE_STATE);
            assert_eq!(pnp::rebalance(&k, pdo, other.clone()).await?, NtStatus::SUCCESS);
            assert_eq!(pnp::state(&k, pdo), Some(DeviceState::Started));
            assert_eq!(*k.bus().borrow().function(slot).resources(), other);
            assert_ne!(before, other);
            assert_eq!(sent(&k, Minor::STOP_DEVICE), 1);
            assert_eq!(sent(&k, Minor::QUERY_PNP_DEVICE_STATE), asked, "not after a rebalance");
            Ok(())
        });
        assert_clean(&machine);
    }
}

/// `IRP_MN_START_DEVICE` for a device that is started: it moves when its bus driver has the request.
#[test]
fn a_started_device_is_started_again_without_a_stop() {
    for seed in 1..=20 {
        let machine = run_pnp(seed, |k, pdo, _| async move {
            let slot = k.bus().borrow().functions()[0].slot();
            let other = k.bus().borrow().other_resources(slot);
            let started = pnp::start_started_device(&k, pdo, other.clone()).await?;
            assert_eq!(started, NtStatus::SUCCESS);
            assert_eq!(pnp::state(&k, pdo), Some(DeviceState::Started));
            assert_eq!(*k.bus().borrow().function(slot).resources(), other);
            assert_eq!(sent(&k, Minor::START_DEVICE), 2);
            assert_eq!(sent(&k, Minor::STOP_DEVICE), 0);

            let next = k.bus().borrow().other_resources(slot);
            k.write(start_fails(), 1_u32)?;
            let started = pnp::start_started_device(&k, pdo, next).await?;
            assert_eq!(started, NtStatus::UNSUCCESSFUL);
            pnp::wait_for_removal(&k, pdo).await?;
            assert_eq!(sent(&k, Minor::SURPRISE_REMOVAL), 1);
            Ok(())
        });
        assert_clean(&machine);
    }
}

#[test]
fn a_device_that_does_not_start_again_is_taken_for_gone() {
    for seed in 1..=20 {
        let machine = run_pnp(seed, |k, pdo, _| async move {
            let slot = k.bus().borrow().functions()[0].slot();
            let other = k.bus().borrow().other_resources(slot);
            k.write(start_fails(), 1_u32)?;
            assert_eq!(pnp::rebalance(&k, pdo, other).await?, NtStatus::UNSUCCESSFUL);
            pnp::wait_for_removal(&k, pdo).await?;
            assert_eq!(sent(&k, Minor::SURPRISE_REMOVAL), 1);
            Ok(())
        });
        assert_clean(&machine);
    }
}

/// The drivers below have started the device: they hear of the failure as of any other.
#[test]
fn a_filter_above_can_fail_a_restart() {
    let run = |failure_below: u32| {
        run_pnp(1, move |k, pdo, _| async move {
            assert_eq!(pnp::query_stop_device(&k, pdo).await?, NtStatus::SUCCESS);
            pnp::stop_device(&k, pdo).await?;
            k.write(start_fails(), failure_below)?;
            let started = pnp::start_device_failed_above(&k, pdo, NtStatus::IO_TIMEOUT).await?;
            let expected = if failure_below == 0 {
                NtStatus::IO_TIMEOUT
            } else {
                NtStatus::UNSUCCESSFUL
            };
            assert_eq!(started, expected, "the first failure counts");
            pnp::wait_for_removal(&k, pdo).await?;
            assert_eq!(
                (sent(&k, Minor::SURPRISE_REMOVAL), sent(&k, Minor::REMOVE_DEVICE)),
                (1, 1)
            );
            Ok(())
        })
    };
    assert_clean(&run(0));
    assert_clean(&run(1));
}

/// What the device does between the two requests depends on the bus; after the second one it does nothing, and its object stays.
#[test]
fn a_device_that_is_there_can_be_taken_for_gone() {
    for cuts_power in [false, true] {
        for seed in 1..=10 {
            let bus = BusProfile {
                cuts_power,
                ..BusProfile::default()
            };
            let config = Config {
                seed,
                bus,
                ..Config::default()
            };
            let machine = run_pnp_of(config, move |k, pdo, link| async move {
                let slot = pnp::slot(&k, pdo).unwrap();
                let handle = open(&k, &link).await?;
                k.bus().borrow_mut().device_mut::<Edu>(slot).unwrap().raise(1);
                pnp::surprise_remove_present(&k, pdo).await?;
                assert_eq!(
                    pnp::state(&k, pdo),
                    Some(DeviceState::SurpriseRemoved),
                    "a handle is open"
                );
                let on = {
                    let bus = k.bus().borrow();
                    let function = bus.function(slot);
                    assert!(function.present());
                    (function.power(), function.line_asserted(), function.is_bus_master())
                };
                let expected = if cuts_power {
                    (DevicePower::D3, false, false)
                } else {
                    (DevicePower::D0, true, true)
                };
                assert_eq!(on, expected);
                handle.close(&k).await?;
                pnp::wait_for_removal(&k, pdo).await?;
                let bus = k.bus().borrow();
                assert!(!bus.function(slot).line_asserted() && !bus.function(slot).is_bus_master());
                assert!(!k.io().borrow().devices.is_deleted(pdo), "it can be started again");
                Ok(())
            });
            assert_clean(&machine);
        }
    }
}

#[test]
fn a_driver_reports_that_its_device_has_failed() {
    for state in [FAILED, DISABLED, REMOVED] {
        let machine = run_pnp(1, move |k, pdo, link| async move {
            let handle = open(&k, &link).await?;
            invalidate(&k, pdo, state).await?;
            assert_eq!(
                pnp::state(&k, pdo),
                Some(DeviceState::SurpriseRemoved),
                "a handle is open"
            );
            handle.close(&k).await?;
            pnp::wait_for_removal(&k, pdo).await
        });
        assert_clean(&machine);
    }
}

#[test]
fn a_device_that_the_system_needs_is_not_removed() {
    let machine = run_pnp(1, |k, pdo, _| async move {
        invalidate(&k, pdo, NOT_DISABLEABLE).await?;
        assert_eq!(pnp::remove_device(&k, pdo).await?, Removal::NotDisableable);
        assert_eq!(pnp::state(&k, pdo), Some(DeviceState::Started));
        invalidate(&k, pdo, 0).await?;
        assert_eq!(pnp::remove_device(&k, pdo).await?, Removal::Done);
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn a_removal_can_be_called_off() {
    let machine = run_pnp(1, |k, pdo, _| async move {
        assert_eq!(pnp::query_remove_device(&k, pdo).await?, NtStatus::SUCCESS);
        assert_eq!(pnp::state(&k, pdo), Some(DeviceState::RemovePending));
        pnp::cancel_remove_device(&k, pdo).await?;
        assert_eq!(pnp::state(&k, pdo), Some(DeviceState::Started));
        assert_eq!(pnp::query_remove_device(&k, pdo).await?, NtStatus::SUCCESS);
        assert_eq!(pnp::remove_device(&k, pdo).await?, Removal::Done);
        assert_eq!(sent(&k, Minor::QUERY_REMOVE_DEVICE), 2, "the second answer still holds");
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn queries_that_the_function_driver_does_not_know_reach_the_bus_driver() {
    let machine = run_pnp(1, |k, pdo, _| async move {
        let bus = pnp::query(&k, pdo, Minor::QUERY_BUS_INFORMATION, [0; 4]).await?;
        assert_eq!(bus.status, NtStatus::SUCCESS);
        let information = Va(bus.information);
        assert_eq!(k.read::<u32>(information + pnp_bus_information::LEGACY_BUS_TYPE)?, 5);
        k.free_system(information)?;

        let usage = pnp::query(&k, pdo, Minor::DEVICE_USAGE_NOTIFICATION, [1, 1, 0, 0]).await?;
        assert_eq!(usage.status, NtStatus::SUCCESS);
        for minor in [Minor::QUERY_INTERFACE, Minor(0x7F)] {
            let unknown = pnp::query(&k, pdo, minor, [0; 4]).await?;
            assert_eq!((unknown.status, unknown.information), (NtStatus::NOT_SUPPORTED, 0));
        }
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn capabilities_say_what_power_a_device_has_while_the_system_sleeps() {
    let machine = run_pnp(1, |k, pdo, _| async move {
        let buffer = k.allocate_system(capabilities::SIZE, "DEVICE_CAPABILITIES")?;
        k.write(
            buffer + capabilities::SIZE_FIELD,
            u16::try_from(capabilities::SIZE).unwrap(),
        )?;
        k.write(buffer + capabilities::VERSION, 1_u16)?;
        let parameters = [buffer.get(), 0, 0, 0];
        let answer = pnp::query(&k, pdo, Minor::QUERY_CAPABILITIES, parameters).await?;
        assert_eq!(answer.status, NtStatus::SUCCESS);
        let states: Vec<u32> = (0..7_usize)
            .map(|state| k.read(buffer + capabilities::DEVICE_STATE + 4 * state))
            .collect::<Outcome<_>>()?;
        assert_eq!(states, [0, 1, 4, 4, 4, 4, 4]);

        k.write(buffer + capabilities::VERSION, 2_u16)?;
        pnp::query(&k, pdo, Minor::QUERY_CAPABILITIES, parameters).await?;
        Ok(())
    });
    let crash = machine.kernel().crash().expect("a rule is broken");
    assert_eq!(
        (crash.bugcheck.parameters[0], crash.bugcheck.rule),
        (0x233, "capabilities-not-initialized")
    );
}
