//! Imports that the model lacks, and exports that a user of the library adds.

use iced_x86::code_asm::{eax, ptr, rax, rcx};

use super::run_first;
use crate::{
    bugcheck::{BugCheck, BugCheckCode},
    ddi::{Contract, Registry},
    image::{
        Image,
        synthetic::{ImageBuilder, TEXT},
    },
    kernel::Config,
    machine::{Binding, DriverImage, Machine, testing::Program},
    mm::layout,
    sched::RunEnd,
};

/// Runs the driver's first function, which must end at what is not modelled, and gives the message.
fn not_modelled(machine: &Machine) -> String {
    assert_eq!(run_first(machine, &[]), RunEnd::Crashed);
    let kernel = machine.kernel();
    let crash = kernel.crash().unwrap();
    assert_eq!(crash.bugcheck.code, BugCheckCode::NOT_MODELLED, "{crash:?}");
    assert_eq!(crash.bugcheck.rule, BugCheck::NOT_MODELLED);
    assert!(crash.site().is_some(), "the caller is named: {crash:?}");
    crash.bugcheck.message.clone()
}

#[test]
fn an_import_that_the_model_lacks_stops_the_run_when_it_is_called() {
    let program = Program::default()
        .import(&["KeGetCurrentIrql", "KeNotInThisModel", "KeNorThis"])
        .function(|f| {
            f.call("KeGetCurrentIrql");
            f.call("KeNorThis");
        });
    let message = not_modelled(&program.machine(1));
    assert!(
        message.contains("test.sys has called the routine ntoskrnl.exe!KeNorThis"),
        "{message}"
    );
    assert!(!message.contains("KeNotInThisModel"), "{message}");
}

#[test]
fn an_import_that_is_never_called_does_no_harm() {
    let program = Program::default().import(&["KeNotInThisModel"]).function(|_| {});
    assert_eq!(run_first(&program.machine(1), &[]), RunEnd::Idle);
}

#[test]
fn the_report_of_an_unmodelled_call_names_no_bug_check() {
    let program = Program::default()
        .import(&["KeNotInThisModel"])
        .function(|f| f.call("KeNotInThisModel"));
    let machine = program.machine(1);
    let _ = not_modelled(&machine);
    let report = machine.crash_report(None).unwrap();
    assert!(report.starts_with("*** NOT MODELLED"), "{report}");
    assert!(report.contains("rule not-modelled"), "{report}");
}

/// A driver whose first function loads the address of the import and touches what lies `offset` bytes on.
fn touches_variable(write: bool, offset: i32) -> Program {
    Program::default().import(&["KeUnknownVariable"]).function(move |f| {
        let slot = f.slot("KeUnknownVariable");
        f.load(rax, slot);
        f.asm.mov(rcx, ptr(rax)).unwrap();
        if write {
            f.asm.mov(ptr(rcx + offset), eax).unwrap();
        } else {
            f.asm.mov(eax, ptr(rcx + offset)).unwrap();
        }
    })
}

#[test]
fn a_variable_that_the_model_lacks_stops_the_run_when_it_is_touched() {
    let message = not_modelled(&touches_variable(false, 0).machine(1));
    assert!(
        message.contains("has read the variable ntoskrnl.exe!KeUnknownVariable"),
        "{message}"
    );
    let message = not_modelled(&touches_variable(true, 0x120).machine(1));
    assert!(
        message.contains("has written the variable ntoskrnl.exe!KeUnknownVariable"),
        "{message}"
    );
}

#[test]
fn a_ddi_that_is_given_an_unmodelled_variable_stops_the_run() {
    let program = Program::default()
        .import(&["KeUnknownVariable", "KeSetEvent"])
        .function(|f| {
            let slot = f.slot("KeUnknownVariable");
            f.load(rax, slot);
            f.asm.mov(rcx, ptr(rax)).unwrap();
            f.asm.xor(iced_x86::code_asm::edx, iced_x86::code_asm::edx).unwrap();
            f.asm.xor(iced_x86::code_asm::r8d, iced_x86::code_asm::r8d).unwrap();
            f.call("KeSetEvent");
        });
    let message = not_modelled(&program.machine(1));
    assert!(
        message.contains("the variable ntoskrnl.exe!KeUnknownVariable"),
        "{message}"
    );
}

/// A driver that calls what it imports from `module`.
fn caller_of(module: &str, name: &str) -> std::rc::Rc<DriverImage> {
    // sub rsp, 0x28; mov rax, slot; call [rax]; add rsp, 0x28; ret
    let build = |slot: u64| {
        let mut code = vec![0x48, 0x83, 0xEC, 0x28, 0x48, 0xB8];
        code.extend_from_slice(&slot.to_le_bytes());
        code.extend_from_slice(&[0xFF, 0x10, 0x48, 0x83, 0xC4, 0x28, 0xC3]);
        let length = u32::try_from(code.len()).unwrap();
        let unwind = [1, 4, 1, 0, 4, 0x42];
        let builder = ImageBuilder::new(&code).import(module, name);
        builder.function(TEXT, TEXT + length, &unwind).build()
    };
    let draft = Image::parse("draft.sys", &build(0)).unwrap();
    let slot = layout::DRIVER + u64::from(draft.imports()[0].slot);
    DriverImage::parse("test.sys", &build(slot.get())).unwrap()
}

#[test]
fn a_kmdf_driver_is_said_to_be_one() {
    let image = caller_of("WDFLDR.SYS", "WdfVersionBind");
    assert_eq!(image.framework().unwrap().module, "wdfldr.sys");
    let mut machine = Machine::new(Config::default()).unwrap();
    machine.load(&image).unwrap();
    let message = not_modelled(&machine);
    assert!(message.contains("WDFLDR.SYS!WdfVersionBind"), "{message}");
    assert!(message.contains("test.sys is a KMDF driver"), "{message}");
}

#[test]
fn imports_are_listed_with_what_the_model_has_of_them() {
    let program = Program::default()
        .import(&["KeGetCurrentIrql", "KeNotInThisModel"])
        .function(|_| {});
    let imports = program.image().imports(&Registry::modelled());
    let found: Vec<_> = imports
        .iter()
        .map(|import| (import.to_string(), import.binding))
        .collect();
    assert_eq!(
        found,
        [
            ("ntoskrnl.exe!KeGetCurrentIrql".to_owned(), Binding::Modelled),
            ("ntoskrnl.exe!KeNotInThisModel".to_owned(), Binding::NotModelled),
        ]
    );
    assert!(program.image().framework().is_none());
}

#[test]
fn a_user_of_the_library_adds_exports() {
    let program = Program::default()
        .import(&["VendorDouble", "VendorVersion"])
        .function(|f| {
            f.load(rcx, 21_u64);
            f.call("VendorDouble");
            f.asm.mov(rcx, rax).unwrap();
            let slot = f.slot("VendorVersion");
            f.load(rax, slot);
            f.asm.mov(rax, ptr(rax)).unwrap();
            f.asm.mov(eax, ptr(rax)).unwrap();
            f.asm.add(rax, rcx).unwrap();
        });
    let mut machine = Machine::with_registry(Config::default(), |registry| {
        registry.function("VendorDouble", 1, Contract::ANY, |_, args| Ok(args.u64(0) * 2));
        registry.data("VendorVersion", 4, |k, address| k.write(address, 7_u32));
    })
    .unwrap();
    machine.load(&program.image()).unwrap();
    let result = std::rc::Rc::new(std::cell::Cell::new(0));
    let seen = result.clone();
    machine.spawn(crate::sched::ThreadSpec::system("test"), move |k| async move {
        seen.set(k.call(Program::address(0), &[]).await?);
        Ok(())
    });
    assert_eq!(machine.run(), RunEnd::Idle, "{:?}", machine.crash_report(None));
    assert_eq!(result.get(), 49);
}
