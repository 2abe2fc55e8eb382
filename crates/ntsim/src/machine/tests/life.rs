//! How drivers of every kind are loaded and unloaded.

use std::{cell::Cell, rc::Rc};

use iced_x86::code_asm::{eax, ptr, rax, rbx, rcx, rsp};
use ntlayout::driver_object;

use crate::{
    bugcheck::{BugCheckCode as Code, VerifierRule},
    machine::{
        Machine,
        testing::{Function, Program},
    },
    mm::Va,
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
    system::{self, StartFailure},
    trace::Counter,
};

const UNLOAD: usize = 1;

/// Where the driver keeps its device.
fn device() -> Va {
    Program::data()
}

/// `IoCreateDevice` of the driver object in rcx, and `DriverUnload` when asked for; keeps the driver object in rbx.
fn create_device(f: &mut Function<'_>, unload: bool) {
    f.asm.mov(rbx, rcx).unwrap();
    if unload {
        f.load(rax, Program::address(UNLOAD).get());
        f.asm.mov(ptr(rbx + driver_object::DRIVER_UNLOAD), rax).unwrap();
    }
    // DeviceName, DeviceType, DeviceCharacteristics, Exclusive, DeviceObject.
    f.arguments(&[0, 16, 0]);
    f.asm.mov(rcx, rbx).unwrap();
    f.load(iced_x86::code_asm::r9, 0x22_u64);
    f.asm.xor(eax, eax).unwrap();
    f.asm.mov(ptr(rsp + 0x20), rax).unwrap();
    f.asm.mov(ptr(rsp + 0x28), rax).unwrap();
    f.load(rax, device().get());
    f.asm.mov(ptr(rsp + 0x30), rax).unwrap();
    f.call("IoCreateDevice");
}

fn legacy(unload: bool, status: u32, body: impl Fn(&mut Function<'_>) + 'static) -> Program {
    Program::default()
        .wide_frames()
        .import(&["IoCreateDevice", "IoDeleteDevice", "ExAllocatePool2"])
        .function(move |f| {
            create_device(f, unload);
            f.asm.mov(eax, status).unwrap();
        })
        .function(body)
}

fn delete_device(f: &mut Function<'_>) {
    f.load(rax, device().get());
    f.asm.mov(rcx, ptr(rax)).unwrap();
    f.call("IoDeleteDevice");
}

/// Loads and unloads the driver; what `DriverEntry` gave.
fn life(program: &Program) -> (Machine, RunEnd, Option<Result<(), StartFailure>>) {
    let machine = program.machine(1);
    let loaded = Rc::new(Cell::new(None));
    let seen = loaded.clone();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        match system::load(&k, "test").await? {
            Ok(driver) => {
                seen.set(Some(Ok(())));
                assert!(crate::io::driver::is_legacy(&k, driver)?);
                system::unload(&k, driver, "test").await
            }
            Err(failure) => {
                seen.set(Some(Err(failure)));
                Ok(())
            }
        }
    });
    let end = machine.run();
    (machine, end, loaded.get())
}

fn left_behind(machine: &Machine) -> String {
    let k = machine.kernel();
    let crash = k.crash().unwrap();
    assert_eq!(
        crash.bugcheck.parameters[0],
        VerifierRule::LEFT_BEHIND.subcode,
        "{crash:?}"
    );
    crash.bugcheck.message.clone()
}

#[test]
fn a_legacy_driver_deletes_its_devices_in_its_unload_routine() {
    let (machine, end, loaded) = life(&legacy(true, 0, delete_device));
    assert_eq!(end, RunEnd::Idle, "{:?}", machine.crash_report(None));
    assert_eq!(loaded, Some(Ok(())));
    assert!(machine.kernel().driver_images().is_empty());
}

#[test]
fn a_device_that_unload_leaves_is_said_where_it_was_made() {
    let (machine, end, _) = life(&legacy(true, 0, |_| {}));
    assert_eq!(end, RunEnd::Crashed);
    let message = left_behind(&machine);
    assert!(message.starts_with("test is unloaded: the device object"), "{message}");
    let report = machine.crash_report(None).unwrap();
    assert!(report.contains("was made by:\n    nt!IoCreateDevice\n"), "{report}");
}

#[test]
fn a_driver_without_an_unload_routine_stays_and_is_no_fault() {
    let (machine, end, loaded) = life(&legacy(false, 0, |_| {}));
    assert_eq!(end, RunEnd::Idle, "{:?}", machine.crash_report(None));
    assert_eq!(loaded, Some(Ok(())));
    assert_eq!(machine.kernel().driver_images().len(), 1);
    let trace = machine.kernel().recorded();
    let said = trace
        .records()
        .iter()
        .any(|record| record.to_string().contains("test has no DriverUnload"));
    assert!(said);
}

/// A `DriverEntry` that fails after `body`.
fn failing(body: impl Fn(&mut Function<'_>) + 'static) -> Program {
    Program::default()
        .wide_frames()
        .import(&["IoCreateDevice", "IoDeleteDevice", "ExAllocatePool2"])
        .function(move |f| {
            body(f);
            f.asm.mov(eax, NtStatus::UNSUCCESSFUL.0).unwrap();
        })
}

#[test]
fn a_driver_entry_that_fails_and_has_cleaned_up_is_a_failure_to_start() {
    let (machine, end, loaded) = life(&failing(|f| {
        create_device(f, false);
        delete_device(f);
    }));
    assert_eq!(end, RunEnd::Idle, "{:?}", machine.crash_report(None));
    assert_eq!(loaded, Some(Err(StartFailure::DriverEntry(NtStatus::UNSUCCESSFUL))));
    assert!(machine.kernel().driver_images().is_empty());
}

#[test]
fn a_driver_entry_that_fails_must_have_cleaned_up() {
    let (machine, end, _) = life(&failing(|f| create_device(f, false)));
    assert_eq!(end, RunEnd::Crashed);
    let message = left_behind(&machine);
    assert!(message.contains("DriverEntry of test failed"), "{message}");
    assert!(message.contains("was never deleted"), "{message}");

    let (machine, end, _) = life(&failing(|f| {
        f.arguments(&[0x40, 24, 0x3131_3131]);
        f.call("ExAllocatePool2");
    }));
    assert_eq!(end, RunEnd::Crashed);
    let k = machine.kernel();
    let crash = k.crash().unwrap();
    assert_eq!(crash.bugcheck.code, Code::DRIVER_VERIFIER_DETECTED_VIOLATION);
    assert_eq!(crash.bugcheck.parameters[0], 0x62);
}

#[test]
fn a_machine_goes_with_the_threads_that_are_left_in_it() {
    let machine = Machine::new(crate::kernel::Config::default()).unwrap();
    let k = machine.kernel().clone();
    machine.spawn(ThreadSpec::system("waits"), |k| async move {
        let buffer = crate::user::Buffer::new(&k, 16);
        k.block("nothing", None).await?;
        drop(buffer);
        Ok(())
    });
    machine.spawn(ThreadSpec::system("spins"), |k| async move {
        k.spin_until("nothing", |_| false).await
    });
    let _ = machine.run_until(|k| k.recorded().counters.get(Counter::Steps) > 50);
    assert!(k.handles() > 2, "the threads have handles");
    drop(machine);
    assert_eq!(k.handles(), 1, "this one");
}
