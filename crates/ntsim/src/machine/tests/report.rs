//! What reports say about addresses and about things that a driver has made.

use iced_x86::code_asm::{ptr, rax, rbx, rcx};

use crate::{
    machine::{
        Machine,
        testing::{Function, Program},
    },
    mm::Va,
};

fn report_of(body: impl Fn(&mut Function<'_>) + 'static) -> (Machine, String) {
    let program = Program::default()
        .import(&["ExAllocatePool2", "ExFreePool", "KeInitializeTimer", "KeSetTimer"])
        .function(body);
    let machine = program.machine(1);
    let _ = super::run_first(&machine, &[]);
    let report = machine.crash_report(None).expect("a rule is broken");
    (machine, report)
}

fn allocate(f: &mut Function<'_>) {
    f.arguments(&[0x40, 64, 0x3131_3131]);
    f.call("ExAllocatePool2");
    f.asm.mov(rbx, rax).unwrap();
}

fn free(f: &mut Function<'_>) {
    f.asm.mov(rcx, rbx).unwrap();
    f.call("ExFreePool");
}

/// The call stack that the report gives under a heading.
fn stack_under<'r>(report: &'r str, heading: &str) -> Vec<&'r str> {
    let (_, rest) = report
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading:?} in {report}"));
    rest.lines()
        .skip(1)
        .take_while(|line| line.starts_with("    "))
        .map(str::trim)
        .collect()
}

#[test]
fn memory_used_after_it_was_freed_is_said_where_it_was_made_and_freed() {
    let (_, report) = report_of(|f| {
        allocate(f);
        free(f);
        f.asm.mov(rax, ptr(rbx)).unwrap();
    });
    let made = stack_under(&report, "was made by");
    assert_eq!(made[0], "nt!ExAllocatePool2", "{report}");
    assert!(made[1].contains("(test.sys+0x10"), "{report}");
    let freed = stack_under(&report, "was freed by");
    assert_eq!(freed[0], "nt!ExFreePool", "{report}");
    assert!(freed[1].contains("(test.sys+0x10"), "{report}");
}

#[test]
fn addresses_of_code_in_a_message_have_their_place_behind_them() {
    let (machine, report) = report_of(|f| {
        allocate(f);
        free(f);
        free(f);
    });
    let kernel = machine.kernel();
    let crash = kernel.crash().unwrap();
    assert_eq!(crash.bugcheck.rule, "pool-double-free");
    let message = report.lines().nth(1).unwrap();
    assert_eq!(message.matches(" (test.sys+0x10").count(), 2, "{message}");
}

#[test]
fn a_timer_is_said_where_it_was_set_last() {
    let (_, report) = report_of(|f| {
        allocate(f);
        f.asm.mov(rcx, rbx).unwrap();
        f.call("KeInitializeTimer");
        f.asm.mov(rcx, rbx).unwrap();
        f.load(iced_x86::code_asm::rdx, (-10_000_000_i64).cast_unsigned());
        f.load(iced_x86::code_asm::r8, 0_u64);
        f.call("KeSetTimer");
        free(f);
    });
    let set = stack_under(&report, "was last used by");
    assert!(set[0].contains("(test.sys+0x10"), "{report}");
}

#[test]
fn a_note_of_a_bug_check_is_shown_with_its_stack() {
    let machine = Program::default().function(|_| {}).machine(1);
    let stack = vec![crate::report::guest_entry(machine.kernel(), Program::address(0), true)];
    let bugcheck = crate::bugcheck::BugCheck::not_modelled(format!("{} is looked at", Va(7)));
    let _ = machine
        .kernel()
        .bugcheck(bugcheck.with_stack("the other one is here", stack));
    let report = machine.crash_report(None).unwrap();
    assert_eq!(stack_under(&report, "the other one is here").len(), 1, "{report}");
}
