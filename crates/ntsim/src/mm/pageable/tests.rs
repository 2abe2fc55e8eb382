//! Drivers with pageable code and data.

use iced_x86::code_asm::{eax, ptr, rax, rbx, rcx};

use super::*;
use crate::{
    kernel::Config,
    machine::{
        Machine,
        testing::{Function, Program},
    },
    report::StackEntry,
    sched::{RunEnd, ThreadSpec},
    verifier::Settings,
};

const IMPORTS: [&str; 8] = [
    "KfRaiseIrql",
    "KeLowerIrql",
    "MmLockPagableDataSection",
    "MmLockPagableSectionByHandle",
    "MmUnlockPagableImageSection",
    "MmPageEntireDriver",
    "MmResetDriverPaging",
    "memcmp",
];

fn program(body: impl Fn(&mut Function<'_>) + 'static) -> Program {
    Program::default().import(&IMPORTS).function(body)
}

fn run(machine: &Machine) -> RunEnd {
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        k.call(Program::address(0), &[]).label("test").await
    });
    machine.run()
}

/// Runs the driver, which must be stopped, and gives code and parameters.
fn crash(program: &Program) -> (Code, [u64; 4], &'static str) {
    let machine = program.machine(1);
    assert_eq!(run(&machine), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    let site = crash
        .stack
        .iter()
        .any(|entry| matches!(entry, StackEntry::Guest { rva: Some(_), .. }));
    assert!(site, "{crash:?}");
    (crash.bugcheck.code, crash.bugcheck.parameters, crash.bugcheck.rule)
}

fn assert_clean(program: &Program) {
    let machine = program.machine(1);
    assert_eq!(run(&machine), RunEnd::Idle, "{:?}", machine.crash_report(None));
}

fn call1(f: &mut Function<'_>, routine: &str, argument: u64) {
    f.load(rcx, argument);
    f.call(routine);
}

fn raise(f: &mut Function<'_>) {
    call1(f, "KfRaiseIrql", 2);
}

fn lower(f: &mut Function<'_>) {
    call1(f, "KeLowerIrql", 0);
}

fn read_data(f: &mut Function<'_>) {
    f.load(rbx, Program::data().get());
    f.asm.mov(rax, ptr(rbx)).unwrap();
}

fn data() -> u64 {
    Program::data().get()
}

#[test]
fn pageable_code_must_not_run_at_dispatch_level() {
    let pageable = program(raise).rename(".text", "PAGE");
    let (code, [address, irql, operation, pc], rule) = crash(&pageable);
    assert_eq!((code, rule), (Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL, RULE));
    assert_eq!((irql, operation), (2, 8));
    assert_eq!(address, pc);
    assert!(address > Program::address(0).get(), "behind the call that raised");
    assert_clean(&program(|f| {
        raise(f);
        lower(f);
    }));
}

#[test]
fn pageable_data_must_not_be_touched_at_dispatch_level() {
    let (code, [address, irql, operation, _], rule) = crash(
        &program(|f| {
            raise(f);
            read_data(f);
        })
        .rename(".data", "PAGEDATA"),
    );
    assert_eq!((code, rule), (Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL, RULE));
    assert_eq!((address, irql, operation), (data(), 2, 0));
    let (_, [address, _, operation, _], _) = crash(
        &program(|f| {
            raise(f);
            f.load(rbx, data());
            f.asm.mov(ptr(rbx + 4), eax).unwrap();
        })
        .rename(".data", "PAGE"),
    );
    assert_eq!((address, operation), (data() + 4, 1));
    assert_clean(&program(read_data).rename(".data", "PAGEDATA"));
}

#[test]
fn a_kernel_routine_that_is_given_pageable_data_at_dispatch_level_is_stopped() {
    let (code, [address, irql, operation, _], rule) = crash(
        &program(|f| {
            raise(f);
            f.arguments(&[data(), data(), 8]);
            f.call("memcmp");
        })
        .rename(".data", "PAGEDATA"),
    );
    assert_eq!((code, rule), (Code::IRQL_NOT_LESS_OR_EQUAL, RULE));
    assert_eq!((address, irql, operation), (data(), 2, 0));
}

#[test]
fn a_locked_section_can_be_touched_until_its_last_unlock() {
    let twice = |unlocks: usize| {
        program(move |f| {
            call1(f, "MmLockPagableDataSection", data() + 8);
            f.asm.mov(rcx, rax).unwrap();
            f.call("MmLockPagableSectionByHandle");
            for _ in 0..unlocks {
                call1(f, "MmUnlockPagableImageSection", data());
            }
            raise(f);
            read_data(f);
            lower(f);
        })
        .rename(".data", "PAGEDATA")
    };
    assert_clean(&twice(0));
    assert_clean(&twice(1));
    assert_eq!(crash(&twice(2)).2, RULE);
}

#[test]
fn what_is_not_locked_cannot_be_unlocked_and_what_is_no_section_cannot_be_locked() {
    let (code, [kind, handle, ..], _) = crash(&program(|f| call1(f, "MmUnlockPagableImageSection", data())));
    assert_eq!((code, kind, handle), (Code::MEMORY_MANAGEMENT, 0x1010, data()));
    let (code, [kind, address, ..], _) = crash(&program(|f| call1(f, "MmLockPagableDataSection", 0x1234)));
    assert_eq!((code, kind, address), (Code::MEMORY_MANAGEMENT, 0x1234, 0x1234));
}

#[test]
fn an_entire_driver_can_be_made_pageable_and_reset() {
    let paged = program(|f| {
        call1(f, "MmPageEntireDriver", Program::address(0).get());
        raise(f);
    });
    let (code, [_, irql, operation, _], _) = crash(&paged);
    assert_eq!((code, irql, operation), (Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL, 2, 8));
    assert_clean(&program(|f| {
        call1(f, "MmPageEntireDriver", data());
        call1(f, "MmResetDriverPaging", data());
        raise(f);
        read_data(f);
        lower(f);
    }));
}

#[test]
fn a_section_that_stays_locked_is_left_behind() {
    let machine = program(|f| call1(f, "MmLockPagableDataSection", data()))
        .rename(".data", "PAGEDATA")
        .machine(1);
    assert_eq!(run(&machine), RunEnd::Idle);
    let left = leftovers(machine.kernel());
    assert_eq!(left.len(), 1);
    assert!(left[0].to_string().contains("PAGEDATA of test.sys"), "{left:?}");
    assert!(machine.kernel().made_at(Va(data())).is_some(), "the lock has a place");
}

#[test]
fn without_force_irql_checking_pageable_memory_happens_to_be_there() {
    let program = program(|f| {
        raise(f);
        read_data(f);
        lower(f);
    });
    let machine = program.rename(".data", "PAGEDATA").machine_of(Config {
        verifier: Settings::NONE,
        ..Config::default()
    });
    assert_eq!(run(&machine), RunEnd::Idle, "{:?}", machine.crash_report(None));
}
