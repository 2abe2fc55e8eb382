//! Several images in one machine.

use std::{cell::Cell, rc::Rc};

use iced_x86::code_asm::{cr8, ecx, qword_ptr, rax, rcx};

use crate::{
    bugcheck::BugCheckCode as Code,
    kernel::Config,
    machine::{Machine, testing::Program},
    mm::{Va, driver_image},
    sched::{RunEnd, ThreadSpec},
};

/// A machine with both images loaded.
fn machine_of(first: &Program, second: &Program) -> Machine {
    let mut machine = Machine::new(Config::default()).unwrap();
    machine.load(&first.image()).unwrap();
    let loaded = machine.load(&second.image()).unwrap();
    assert_eq!(loaded.base, Program::SECOND, "the tests' addresses are these");
    machine
}

/// Calls one function of a driver and gives what it returned.
fn call(machine: &Machine, routine: Va) -> (RunEnd, u64) {
    let result = Rc::new(Cell::new(0));
    let seen = result.clone();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        seen.set(k.call(routine, &[]).label("test").await?);
        Ok(())
    });
    (machine.run(), result.get())
}

/// A driver that exports `AddOne`.
fn exporter() -> Program {
    Program::default()
        .named("export.sys")
        .export_first("AddOne")
        .function(|f| {
            f.asm.mov(rax, rcx).unwrap();
            f.asm.inc(rax).unwrap();
        })
}

/// A second driver that calls `AddOne(41)`.
fn importer() -> Program {
    Program::default()
        .second("import.sys")
        .import_from("EXPORT.SYS", &["AddOne"])
        .function(|f| {
            f.load(rcx, 41_u64);
            f.call("AddOne");
        })
}

#[test]
fn a_driver_imports_from_another_one() {
    let machine = machine_of(&exporter(), &importer());
    assert_eq!(call(&machine, Program::second_address(0)), (RunEnd::Idle, 42));
}

#[test]
fn an_export_that_the_other_driver_lacks_is_not_modelled() {
    let importer = Program::default()
        .second("import.sys")
        .import_from("export.sys", &["AddTwo"])
        .function(|f| f.call("AddTwo"));
    let machine = machine_of(&exporter(), &importer);
    assert_eq!(call(&machine, Program::second_address(0)).0, RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.code, Code::NOT_MODELLED);
    assert!(
        crash.bugcheck.message.contains("export.sys!AddTwo"),
        "{}",
        crash.bugcheck.message
    );
}

#[test]
fn the_call_stack_names_the_image_of_each_frame() {
    let faulting = Program::default()
        .named("export.sys")
        .export_first("AddOne")
        .function(|f| {
            f.asm.xor(ecx, ecx).unwrap();
            f.asm.mov(rax, qword_ptr(rcx)).unwrap();
        });
    let machine = machine_of(&faulting, &importer());
    assert_eq!(call(&machine, Program::second_address(0)).0, RunEnd::Crashed);
    let text = machine.crash_stack().unwrap().to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("export.sys+0x1006"), "{text}");
    assert!(lines[1].contains("import.sys+0x10"), "{text}");
    let report = machine.crash_report(None).unwrap();
    assert!(report.contains("no source lines: export.sys"), "{report}");
    assert!(report.contains("no source lines: import.sys"), "{report}");
}

#[test]
fn an_instruction_that_the_model_carries_out_works_in_every_image() {
    let second = Program::default().second("second.sys").function(|f| {
        f.asm.mov(rax, cr8).unwrap();
        f.asm.inc(rax).unwrap();
        f.asm.mov(cr8, rax).unwrap();
        f.asm.dec(rax).unwrap();
        f.asm.mov(cr8, rax).unwrap();
        f.asm.mov(rax, cr8).unwrap();
        f.asm.add(rax, 7).unwrap();
    });
    let machine = machine_of(&exporter(), &second);
    assert_eq!(call(&machine, Program::second_address(0)), (RunEnd::Idle, 7));
}

#[test]
fn an_image_is_unloaded_alone() {
    let machine = machine_of(&exporter(), &importer());
    let k = machine.kernel();
    let image = k.driver_image_called("import").unwrap();
    driver_image::unload(k, image, "import").unwrap();
    assert!(k.driver_image_called("import.sys").is_none());
    assert_eq!(k.driver_images().len(), 1);
    assert_eq!(call(&machine, Program::address(0)).0, RunEnd::Idle);
    assert_eq!(call(&machine, Program::second_address(0)).0, RunEnd::Crashed);
    let crash = k.crash().unwrap();
    assert_eq!(
        crash.bugcheck.code,
        Code::DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS
    );
    assert!(
        crash.bugcheck.message.contains("import.sys"),
        "{}",
        crash.bugcheck.message
    );
}

#[test]
fn pool_leaks_are_the_allocating_driver_s() {
    let idle = Program::default().named("idle.sys").function(|_| {});
    let leaking = Program::default()
        .second("leaking.sys")
        .import(&["ExAllocatePool2"])
        .function(|f| {
            f.arguments(&[0x40, 24, 0x3131_3131]);
            f.call("ExAllocatePool2");
        });
    let machine = machine_of(&idle, &leaking);
    assert_eq!(call(&machine, Program::second_address(0)).0, RunEnd::Idle);
    let k = machine.kernel();
    let (idle, leaking) = (
        k.driver_image_called("idle").unwrap(),
        k.driver_image_called("leaking").unwrap(),
    );
    assert_eq!(driver_image::unload(k, idle, "idle"), Ok(()));
    assert!(driver_image::unload(k, leaking, "leaking").is_err());
    let crash = k.crash().unwrap();
    assert_eq!(crash.bugcheck.parameters, [0x62, 0, 0, 1]);
    assert!(
        crash.bugcheck.message.contains("leaking unloads"),
        "{}",
        crash.bugcheck.message
    );
    let report = machine.crash_report(None).unwrap();
    let made = report
        .split("was made by:")
        .nth(1)
        .expect("the allocation's call stack");
    assert!(made.trim_start().starts_with("nt!ExAllocatePool2"), "{report}");
    assert!(made.contains("leaking.sys+0x10"), "{report}");
}
