//! Objects where they must not be, used as they must not be.

use iced_x86::code_asm::{qword_ptr, r8, rcx, rdx, rsp};

use crate::{
    bugcheck::BugCheckCode as Code,
    machine::{
        Machine,
        testing::{Function, Program},
    },
    sched::{RunEnd, ThreadSpec},
    trace::Counter,
};

/// `POOL_FLAG_NON_PAGED` and `POOL_FLAG_PAGED`.
const NON_PAGED: u64 = 0x40;
const PAGED: u64 = 0x100;

/// Runs a driver's only function in a thread.
fn run(imports: &[&'static str], body: impl Fn(&mut Function<'_>) + 'static) -> Machine {
    let program = Program::default().import(imports).function(body).function(|_| {});
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        k.call(Program::address(0), &[]).await?;
        // Whatever is left over comes now.
        k.delay(10_000_000).await
    });
    let _ = machine.run();
    machine
}

/// The bug check: its code, its first two parameters, and the rule.
fn crash(machine: &Machine) -> Option<(Code, u64, &'static str)> {
    let crash = machine.kernel().crash()?;
    Some((crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule))
}

/// Has the function initialize an event in pool of a kind.
fn event_in_pool(flags: u64) -> Machine {
    run(&["ExAllocatePool2", "KeInitializeEvent"], move |f| {
        f.arguments(&[flags, 0x18, 0x7465_7374]);
        f.call("ExAllocatePool2");
        f.asm.mov(rcx, iced_x86::code_asm::rax).unwrap();
        f.load(rdx, 0_u64);
        f.load(r8, 0_u64);
        f.call("KeInitializeEvent");
    })
}

#[test]
fn an_event_in_paged_pool_is_a_violation_and_in_nonpaged_pool_it_is_not() {
    let found = crash(&event_in_pool(PAGED));
    let verifier = Code::DRIVER_VERIFIER_DETECTED_VIOLATION;
    assert_eq!(found, Some((verifier, 0xE1, "sync-object-pageable")));
    assert_eq!(crash(&event_in_pool(NON_PAGED)), None);
}

#[test]
fn an_event_that_was_never_initialized_is_found_when_it_is_set() {
    let machine = run(&["KeSetEvent"], |f| {
        f.arguments(&[Program::data().get(), 0, 0]);
        f.call("KeSetEvent");
    });
    let found = crash(&machine);
    assert_eq!(found, Some((Code::IRQL_NOT_LESS_OR_EQUAL, 0, "object-not-initialized")));
}

#[test]
fn a_dpc_that_was_never_initialized_is_found_when_it_is_queued() {
    let machine = run(&["KeInsertQueueDpc"], |f| {
        f.arguments(&[Program::data().get(), 0, 0]);
        f.call("KeInsertQueueDpc");
    });
    assert_eq!(
        crash(&machine),
        Some((Code::TIMER_OR_DPC_INVALID, 1, "object-not-initialized"))
    );
}

#[test]
fn a_dpc_must_not_be_initialized_while_it_is_queued() {
    let imports = ["KeInitializeDpc", "KeInsertQueueDpc", "KeRaiseIrqlToDpcLevel"];
    let machine = run(&imports, |f| {
        let dpc = Program::data().get();
        f.call("KeRaiseIrqlToDpcLevel");
        for _ in 0..2 {
            f.arguments(&[dpc, Program::address(1).get(), 0]);
            f.call("KeInitializeDpc");
            f.arguments(&[dpc, 0, 0]);
            f.call("KeInsertQueueDpc");
        }
    });
    assert_eq!(
        crash(&machine),
        Some((Code::TIMER_OR_DPC_INVALID, 1, "queued-dpc-initialized"))
    );
}

/// Sets a timer that is a local variable, or in the driver's data, and returns.
fn returns_with_timer_set(on_stack: bool) -> Machine {
    run(&["KeInitializeTimer", "KeSetTimer"], move |f| {
        f.asm.sub(rsp, 0x80).unwrap();
        let timer = |f: &mut Function<'_>| {
            if on_stack {
                f.asm.lea(rcx, qword_ptr(rsp + 0x30)).unwrap();
            } else {
                f.load(rcx, Program::data().get());
            }
        };
        timer(f);
        f.call("KeInitializeTimer");
        timer(f);
        f.load(rdx, (-10_000_i64).cast_unsigned());
        f.load(r8, 0_u64);
        f.call("KeSetTimer");
        f.asm.add(rsp, 0x80).unwrap();
    })
}

#[test]
fn a_timer_that_is_set_must_not_outlive_its_stack_frame() {
    let found = crash(&returns_with_timer_set(true));
    assert_eq!(found, Some((Code::TIMER_OR_DPC_INVALID, 0, "object-in-dead-memory")));
    assert_eq!(crash(&returns_with_timer_set(false)), None);
}

#[test]
fn a_wait_in_user_mode_for_what_is_on_the_stack_is_a_violation() {
    let waits = |mode: u64| {
        run(&["KeInitializeEvent", "KeWaitForSingleObject"], move |f| {
            f.asm.sub(rsp, 0x80).unwrap();
            f.asm.lea(rcx, qword_ptr(rsp + 0x30)).unwrap();
            f.load(rdx, 0_u64);
            f.load(r8, 1_u64);
            f.call("KeInitializeEvent");
            f.asm.lea(rcx, qword_ptr(rsp + 0x30)).unwrap();
            f.load(rdx, 0_u64);
            f.load(r8, mode);
            f.load(iced_x86::code_asm::r9, 0_u64);
            f.asm.mov(qword_ptr(rsp + 0x20), 0_i32).unwrap();
            f.call("KeWaitForSingleObject");
            f.asm.add(rsp, 0x80).unwrap();
        })
    };
    let verifier = Code::DRIVER_VERIFIER_DETECTED_VIOLATION;
    assert_eq!(crash(&waits(1)), Some((verifier, 0x123, "user-mode-wait-on-stack")));
    assert_eq!(crash(&waits(0)), None);
}

#[test]
fn memcpy_must_not_overlap_and_memmove_may() {
    let copies = |routine: &'static str, distance: u64| {
        run(&[routine], move |f| {
            let from = Program::data().get();
            f.arguments(&[from + distance, from, 32]);
            f.call(routine);
        })
    };
    let verifier = Code::DRIVER_VERIFIER_DETECTED_VIOLATION;
    assert_eq!(crash(&copies("memcpy", 4)), Some((verifier, 0xF0, "overlapping-copy")));
    assert_eq!(crash(&copies("memcpy", 32)), None);
    assert_eq!(crash(&copies("memmove", 4)), None);
}

#[test]
fn a_dpc_for_a_processor_that_is_not_there_is_a_violation() {
    let targets = |number: u64| {
        run(
            &["KeInitializeDpc", "KeSetTargetProcessorDpc", "KeInsertQueueDpc"],
            move |f| {
                let dpc = Program::data().get();
                f.arguments(&[dpc, Program::address(1).get(), 0]);
                f.call("KeInitializeDpc");
                f.arguments(&[dpc, number]);
                f.call("KeSetTargetProcessorDpc");
                f.arguments(&[dpc, 0, 0]);
                f.call("KeInsertQueueDpc");
            },
        )
    };
    let absent = targets(70);
    assert_eq!(
        crash(&absent),
        Some((Code::TIMER_OR_DPC_INVALID, 3, "dpc-processor-absent"))
    );
    let parameters = absent.kernel().crash().unwrap().bugcheck.parameters;
    assert_eq!(parameters[2..], [70, 2]);
    let present = targets(1);
    assert_eq!(crash(&present), None);
    assert_eq!(present.kernel().recorded().counters.get(Counter::DpcsRun), 1);
}

#[test]
fn a_spin_lock_must_not_be_held_when_it_is_initialized_or_its_memory_goes() {
    let held = |last: &'static str| {
        let imports = ["ExAllocatePool2", "KeAcquireSpinLockRaiseToDpc", last];
        run(&imports, move |f| {
            f.arguments(&[NON_PAGED, 8, 0x7465_7374]);
            f.call("ExAllocatePool2");
            f.asm.mov(qword_ptr(rsp + 0x20), iced_x86::code_asm::rax).unwrap();
            f.asm.mov(rcx, iced_x86::code_asm::rax).unwrap();
            f.call("KeAcquireSpinLockRaiseToDpc");
            f.asm.mov(rcx, qword_ptr(rsp + 0x20)).unwrap();
            f.call(last);
        })
    };
    let verifier = Code::DRIVER_VERIFIER_DETECTED_VIOLATION;
    let found = crash(&held("KeInitializeSpinLock"));
    assert_eq!(found, Some((verifier, 0x1005, "spin-lock-initialized-held")));
    assert_eq!(
        crash(&held("ExFreePool")),
        Some((verifier, 0x100B, "spin-lock-freed-held"))
    );
}

#[test]
fn a_machine_without_a_fault_goes_idle() {
    let machine = run(&["KeInitializeEvent"], |f| {
        f.arguments(&[Program::data().get(), 0, 0]);
        f.call("KeInitializeEvent");
    });
    assert!(crash(&machine).is_none());
    assert_eq!(machine.run(), RunEnd::Idle);
}
