//! The machine as a whole, on small assembled drivers.

mod images;
mod imports;
mod life;
mod load_errors;
mod report;
mod vendor_imports;

use std::{cell::RefCell, rc::Rc};

use iced_x86::code_asm::{cr8, dword_ptr, eax, ecx, qword_ptr, r9, rax, rcx, rdx};

use super::{Machine, testing::Program};
use crate::{
    bugcheck::BugCheckCode as Code,
    bus,
    devices::{Edu, EduProfile},
    ke::{
        self, Irql,
        interrupt::{Interrupt, Routine, Source},
    },
    kernel::Kernel,
    mm::{self, Pa, Va, io_space},
    sched::{RunEnd, ThreadSpec},
    trace::Counter,
};

/// Calls the driver's first function from a system thread, and runs to the end.
fn run_first(machine: &Machine, arguments: &[u64]) -> RunEnd {
    let arguments = arguments.to_vec();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        k.call(Program::address(0), &arguments).label("test").await
    });
    machine.run()
}

/// Runs the driver's first function, which must break a rule, and gives the code, the first parameter and the rule.
fn crash_of(program: &Program) -> (Code, u64, &'static str) {
    let machine = program.machine(1);
    assert_eq!(run_first(&machine, &[]), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert!(crash.site().is_some(), "a driver's instruction is to blame: {crash:?}");
    (crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

#[test]
fn guest_code_computes_and_calls_exports() {
    let program = Program::default().import(&["KeGetCurrentIrql"]).function(|f| {
        f.call("KeGetCurrentIrql");
        f.asm.add(rax, 41).unwrap();
    });
    let machine = program.machine(1);
    let result = Rc::new(RefCell::new(None));
    let seen = result.clone();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        let value = k.call(Program::address(0), &[]).await?;
        *seen.borrow_mut() = Some(value);
        Ok(())
    });
    assert_eq!(machine.run(), RunEnd::Idle, "{:?}", machine.crash_report(None));
    assert_eq!(*result.borrow(), Some(41));
    assert_eq!(machine.kernel().recorded().counters.calls()["KeGetCurrentIrql"], 1);
}

#[test]
fn the_arguments_beyond_four_are_on_the_stack() {
    let program = Program::default().function(|f| {
        // rcx, rdx, r8, r9, then [rsp + 0x28 of the frame + return address + home space].
        f.asm
            .mov(rax, qword_ptr(iced_x86::code_asm::rsp + 0x28 + 8 + 0x20))
            .unwrap();
        f.asm.add(rax, r9).unwrap();
    });
    let machine = program.machine(1);
    let result = Rc::new(RefCell::new(0));
    let seen = result.clone();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        *seen.borrow_mut() = k.call(Program::address(0), &[1, 2, 3, 40, 500]).await?;
        Ok(())
    });
    assert_eq!(machine.run(), RunEnd::Idle, "{:?}", machine.crash_report(None));
    assert_eq!(*result.borrow(), 540);
}

#[test]
fn a_null_dereference_is_an_unhandled_exception() {
    let program = Program::default().function(|f| {
        f.asm.xor(ecx, ecx).unwrap();
        f.asm.mov(rax, qword_ptr(rcx + 0x18)).unwrap();
    });
    let machine = program.machine(1);
    assert_eq!(run_first(&machine, &[]), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.code, Code::KMODE_EXCEPTION_NOT_HANDLED);
    assert_eq!(crash.bugcheck.parameters[0], 0xC000_0005);
    assert_eq!(crash.bugcheck.parameters[3], 0x18, "the exact address");
    // sub rsp (4 bytes), xor (2 bytes).
    assert_eq!(crash.bugcheck.parameters[1], Program::address(0).get() + 6);
}

#[test]
fn unmapped_memory_at_dispatch_is_the_other_bug_check() {
    let program = Program::default().import(&["KfRaiseIrql"]).function(|f| {
        f.arguments(&[2]);
        f.call("KfRaiseIrql");
        f.load(rax, 0xFFFF_8123_4567_8000_u64);
        f.asm.mov(qword_ptr(rax), rax).unwrap();
    });
    let (code, address, _) = crash_of(&program);
    assert_eq!(code, Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL);
    assert_eq!(address, 0xFFFF_8123_4567_8000);
}

#[test]
fn the_image_is_protected() {
    let writes_code = Program::default().function(|f| {
        f.load(rax, Program::address(0).get());
        f.asm.mov(qword_ptr(rax), rax).unwrap();
    });
    assert_eq!(crash_of(&writes_code).0, Code::ATTEMPTED_WRITE_TO_READONLY_MEMORY);
    let runs_data = Program::default().function(|f| {
        f.load(rax, Program::data().get());
        f.asm.call(rax).unwrap();
    });
    assert_eq!(crash_of(&runs_data).0, Code::ATTEMPTED_EXECUTE_OF_NOEXECUTE_MEMORY);
}

#[test]
fn endless_recursion_overflows_the_stack() {
    let program = Program::default().function(|f| {
        f.load(rax, Program::address(0).get());
        f.asm.call(rax).unwrap();
    });
    let (code, parameter, rule) = crash_of(&program);
    assert_eq!(
        (code, parameter, rule),
        (Code::UNEXPECTED_KERNEL_MODE_TRAP, 8, "stack-overflow")
    );
}

#[test]
fn pool_is_checked_to_the_byte() {
    const TAG: u64 = 0x7473_6554;
    let allocate = |f: &mut super::testing::Function<'_>| {
        f.arguments(&[0x40, 13, TAG]);
        f.call("ExAllocatePool2");
    };
    let imports = ["ExAllocatePool2", "ExFreePoolWithTag"];
    let overrun = Program::default().import(&imports).function(move |f| {
        allocate(f);
        f.asm.mov(dword_ptr(rax + 10), 0).unwrap();
    });
    assert_eq!(crash_of(&overrun).0, Code::DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION);
    let free = move |f: &mut super::testing::Function<'_>| {
        allocate(f);
        f.asm.mov(iced_x86::code_asm::rbx, rax).unwrap();
        f.asm.mov(rcx, rax).unwrap();
        f.load(rdx, TAG);
        f.call("ExFreePoolWithTag");
    };
    let use_after_free = Program::default().import(&imports).function(move |f| {
        free(f);
        f.asm.mov(rax, qword_ptr(iced_x86::code_asm::rbx)).unwrap();
    });
    assert_eq!(
        crash_of(&use_after_free).0,
        Code::DRIVER_PAGE_FAULT_IN_FREED_SPECIAL_POOL
    );
    let double_free = Program::default().import(&imports).function(move |f| {
        free(f);
        f.asm.mov(rcx, iced_x86::code_asm::rbx).unwrap();
        f.load(rdx, TAG);
        f.call("ExFreePoolWithTag");
    });
    let (code, subcode, rule) = crash_of(&double_free);
    assert_eq!(
        (code, subcode, rule),
        (Code::DRIVER_VERIFIER_DETECTED_VIOLATION, 0x13, "pool-double-free")
    );
    let within = Program::default().import(&imports).function(free);
    let machine = within.machine(1);
    assert_eq!(
        run_first(&machine, &[]),
        RunEnd::Idle,
        "{:?}",
        machine.crash_report(None)
    );
    assert_eq!(machine.kernel().driver_allocations().len(), 0);
}

#[test]
fn cr8_is_the_irql() {
    let program = Program::default().function(|f| {
        f.load(rcx, 2_u64);
        f.asm.mov(cr8, rcx).unwrap();
        f.asm.mov(rax, cr8).unwrap();
        f.asm.xor(ecx, ecx).unwrap();
        f.asm.mov(cr8, rcx).unwrap();
    });
    let machine = program.machine(3);
    let result = Rc::new(RefCell::new(0));
    let seen = result.clone();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        *seen.borrow_mut() = k.call(Program::address(0), &[]).await?;
        Ok(())
    });
    assert_eq!(machine.run(), RunEnd::Idle, "{:?}", machine.crash_report(None));
    assert_eq!(*result.borrow(), 2);
}

#[test]
fn returning_at_another_irql_is_a_violation() {
    let program = Program::default().import(&["KfRaiseIrql"]).function(|f| {
        f.arguments(&[2]);
        f.call("KfRaiseIrql");
    });
    let machine = program.machine(1);
    assert_eq!(run_first(&machine, &[]), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.rule, "irql-changed");
    assert_eq!(crash.bugcheck.parameters[0], 0x2_001D);
}

#[test]
fn a_wait_at_dispatch_is_a_violation() {
    let event = Program::data();
    let program = Program::default()
        .import(&["KeInitializeEvent", "KfRaiseIrql", "KeWaitForSingleObject"])
        .function(move |f| {
            f.arguments(&[event.get(), 0, 0]);
            f.call("KeInitializeEvent");
            f.arguments(&[2]);
            f.call("KfRaiseIrql");
            f.arguments(&[event.get(), 0, 0]);
            f.asm.xor(r9, r9).unwrap();
            f.asm.mov(qword_ptr(iced_x86::code_asm::rsp + 0x20), 0).unwrap();
            f.call("KeWaitForSingleObject");
        });
    let (code, subcode, rule) = crash_of(&program);
    assert_eq!(
        (code, subcode, rule),
        (Code::DRIVER_VERIFIER_DETECTED_VIOLATION, 0x121, "wait-at-dispatch")
    );
}

#[test]
fn a_thread_waits_for_an_event_that_another_sets() {
    let event = Program::data();
    let program = Program::default()
        .import(&["KeWaitForSingleObject", "KeSetEvent"])
        .function(move |f| {
            f.arguments(&[event.get(), 0, 0]);
            f.asm.xor(r9, r9).unwrap();
            f.asm.mov(qword_ptr(iced_x86::code_asm::rsp + 0x20), 0).unwrap();
            f.call("KeWaitForSingleObject");
        })
        .function(move |f| {
            f.arguments(&[event.get(), 0, 0]);
            f.call("KeSetEvent");
        });
    for seed in 0..20 {
        let machine = program.machine(seed);
        machine.spawn(ThreadSpec::system("waiter"), move |k| async move {
            ke::event::initialize(&k, event, ke::event::EventType::Synchronization, false)?;
            let setter = k.spawn(ThreadSpec::system("setter"), |k| async move {
                k.call(Program::address(1), &[]).await
            });
            let status = k.call(Program::address(0), &[]).await?;
            assert_eq!(status, 0);
            assert_eq!(ke::event::state(&k, event)?, 0, "a synchronization event resets");
            k.join(setter).await
        });
        assert_eq!(machine.run(), RunEnd::Idle, "{:?}", machine.crash_report(None));
    }
}

#[test]
fn an_event_that_nobody_sets_is_a_hang() {
    let event = Program::data();
    let program = Program::default().function(|_| {});
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("waiter"), move |k| async move {
        ke::event::initialize(&k, event, ke::event::EventType::Notification, false)?;
        ke::wait::for_single_object(&k, event, ke::wait::Timeout::Never).await
    });
    assert_eq!(machine.run(), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.rule, "hang");
    assert!(crash.bugcheck.message.contains("thread waiter waits for the object"));
}

#[test]
fn a_delay_passes_in_virtual_time() {
    let machine = Program::default().function(|_| {}).machine(1);
    machine.spawn(ThreadSpec::system("sleeper"), |k| async move {
        let before = k.now();
        k.delay(5_000_000).await?;
        assert!(k.now() - before >= 5_000_000);
        Ok(())
    });
    assert_eq!(machine.run(), RunEnd::Idle);
}

/// Two threads add to a counter under a spin lock, in guest code.
fn counting(lock: Option<Va>) -> Program {
    let counter = Program::data() + 0x20_u64;
    Program::default()
        .import(&["KeAcquireSpinLockRaiseToDpc", "KeReleaseSpinLock"])
        .function(move |f| {
            for _ in 0..3 {
                if let Some(lock) = lock {
                    f.arguments(&[lock.get()]);
                    f.call("KeAcquireSpinLockRaiseToDpc");
                    f.asm.mov(rdx, rax).unwrap();
                }
                f.load(rcx, counter.get());
                f.asm.mov(eax, dword_ptr(rcx)).unwrap();
                f.asm.add(eax, 1).unwrap();
                f.asm.mov(dword_ptr(rcx), eax).unwrap();
                if let Some(lock) = lock {
                    f.load(rcx, lock.get());
                    f.call("KeReleaseSpinLock");
                }
            }
        })
}

fn run_twice_at_once(program: &Program, seed: u64) -> Machine {
    let machine = program.machine(seed);
    for name in ["one", "two"] {
        machine.spawn(ThreadSpec::system(name), |k| async move {
            k.call(Program::address(0), &[]).await
        });
    }
    let _ = machine.run();
    machine
}

#[test]
fn a_lock_makes_updates_exclusive() {
    let program = counting(Some(Program::data()));
    let mut contended = false;
    for seed in 0..50 {
        let machine = run_twice_at_once(&program, seed);
        let report = machine.crash_report(None);
        assert!(report.is_none(), "{}", report.unwrap());
        let count: u32 = machine.kernel().read(Program::data() + 0x20_u64).unwrap();
        assert_eq!(count, 6);
        let steps = machine.kernel().recorded().counters.get(Counter::Steps);
        contended |= steps > 0;
    }
    assert!(contended);
}

#[test]
fn updates_without_a_lock_are_found() {
    let program = counting(None);
    let found = (0..50)
        .filter(|&seed| {
            let machine = run_twice_at_once(&program, seed);
            let crash = machine.kernel().crash();
            crash.is_some_and(|crash| crash.bugcheck.rule == "unlocked-sharing")
        })
        .count();
    assert!(found >= 10, "found in {found} of 50 seeds");
}

#[test]
fn spin_lock_misuse_is_named() {
    let lock = Program::data().get();
    let imports = [
        "KeAcquireSpinLockRaiseToDpc",
        "KeReleaseSpinLock",
        "KeAcquireSpinLockAtDpcLevel",
    ];
    let recursive = Program::default().import(&imports).function(move |f| {
        f.arguments(&[lock]);
        f.call("KeAcquireSpinLockRaiseToDpc");
        f.arguments(&[lock]);
        f.call("KeAcquireSpinLockAtDpcLevel");
    });
    assert_eq!(crash_of(&recursive).1, 0x1000);
    let not_held = Program::default().import(&imports).function(move |f| {
        f.arguments(&[lock, 0]);
        f.call("KeReleaseSpinLock");
    });
    assert_eq!(crash_of(&not_held).1, 0x32, "released below DISPATCH_LEVEL");
    let below = Program::default().import(&imports).function(move |f| {
        f.arguments(&[lock]);
        f.call("KeAcquireSpinLockAtDpcLevel");
    });
    assert_eq!(crash_of(&below).1, 0x40);
}

/// Offsets in the test driver's data.
mod data {
    pub(super) const DPC: u64 = 0x00;
    pub(super) const REGISTERS: u64 = 0x40;
    pub(super) const RESULT: u64 = 0x48;
    pub(super) const DONE: u64 = 0x50;
    pub(super) const LOCK: u64 = 0x70;
    pub(super) const OBJECT: u64 = 0x78;
}

fn at(offset: u64) -> Va {
    Program::data() + offset
}

/// A driver for the factorial engine: function 0 is the ISR, 1 the DPC, 2 starts a computation of 5!.
fn factorial_driver() -> Program {
    const STATUS: i32 = 0x20;
    const INTERRUPT_STATUS: i32 = 0x24;
    const ACKNOWLEDGE: i32 = 0x64;
    const FACTORIAL: i32 = 0x08;
    Program::default()
        .import(&["KeInsertQueueDpc", "KeSetEvent"])
        .function(|f| {
            f.load(rcx, at(data::REGISTERS).get());
            f.asm.mov(rcx, qword_ptr(rcx)).unwrap();
            f.asm.mov(eax, dword_ptr(rcx + INTERRUPT_STATUS)).unwrap();
            let mut ours = f.asm.create_label();
            let mut end = f.asm.create_label();
            f.asm.test(eax, eax).unwrap();
            f.asm.jne(ours).unwrap();
            f.asm.jmp(end).unwrap();
            f.asm.set_label(&mut ours).unwrap();
            f.asm.mov(dword_ptr(rcx + ACKNOWLEDGE), eax).unwrap();
            f.arguments(&[at(data::DPC).get(), 0, 0]);
            f.call("KeInsertQueueDpc");
            f.asm.mov(eax, 1).unwrap();
            f.asm.set_label(&mut end).unwrap();
            f.asm.nop().unwrap();
        })
        .function(|f| {
            f.load(rcx, at(data::REGISTERS).get());
            f.asm.mov(rcx, qword_ptr(rcx)).unwrap();
            f.asm.mov(eax, dword_ptr(rcx + FACTORIAL)).unwrap();
            f.load(rdx, at(data::RESULT).get());
            f.asm.mov(dword_ptr(rdx), eax).unwrap();
            f.arguments(&[at(data::DONE).get(), 0, 0]);
            f.call("KeSetEvent");
        })
        .function(|f| {
            f.load(rcx, at(data::REGISTERS).get());
            f.asm.mov(rcx, qword_ptr(rcx)).unwrap();
            f.asm.mov(dword_ptr(rcx + STATUS), 0x80).unwrap();
            f.asm.mov(dword_ptr(rcx + FACTORIAL), 5).unwrap();
        })
}

fn edu_machine(program: &Program, seed: u64) -> (Machine, Interrupt, Pa, u64) {
    let mut machine = program.machine(seed);
    let slot = machine.plug(Box::new(Edu::new(EduProfile::default()))).unwrap();
    let mut bus = machine.kernel().bus().borrow_mut();
    let function = bus.function_mut(slot);
    function.set_enabled(true);
    let window = function.resources().memory[0];
    let Some(assigned @ bus::Interrupt::Line { line, .. }) = function.resources().interrupt else {
        panic!("edu has a line");
    };
    let irql = Irql(assigned.irql());
    drop(bus);
    let interrupt = Interrupt {
        object: at(data::OBJECT),
        routine: Routine::Service(Program::address(0)),
        context: Va::NULL,
        source: Source::Line(line),
        irql,
        synchronize_irql: irql,
        spin_lock: at(data::LOCK),
        processors: u64::MAX,
    };
    (machine, interrupt, Pa(window.start), window.length)
}

/// Maps the registers, connects the interrupt, computes 5! and takes everything down.
async fn compute(k: Kernel, interrupt: Interrupt, registers: Pa, length: u64) -> crate::Outcome<()> {
    ke::event::initialize(&k, at(data::DONE), ke::event::EventType::Synchronization, false)?;
    ke::dpc::initialize(&k, at(data::DPC), Program::address(1), Va::NULL)?;
    let va = io_space::map(&k, registers, length)?;
    assert!(!va.is_null());
    k.write(at(data::REGISTERS), va)?;
    ke::interrupt::connect(&k, interrupt);
    k.call(Program::address(2), &[]).label("start").await?;
    ke::wait::for_single_object(&k, at(data::DONE), ke::wait::Timeout::Never).await?;
    let result: u32 = k.read(at(data::RESULT))?;
    assert_eq!(result, 120);
    ke::interrupt::disconnect(&k, interrupt.object).await?;
    ke::dpc::flush(&k).await?;
    io_space::unmap(&k, va, length)
}

#[test]
fn a_device_interrupts_and_the_dpc_finishes() {
    let program = factorial_driver();
    for seed in 0..50 {
        let (machine, interrupt, registers, length) = edu_machine(&program, seed);
        machine.spawn(ThreadSpec::system("test"), move |k| {
            compute(k, interrupt, registers, length)
        });
        assert_eq!(machine.run(), RunEnd::Idle, "{}", machine.crash_report(None).unwrap());
        let trace = machine.kernel().recorded();
        assert_eq!(trace.counters.get(Counter::InterruptsDelivered), 1);
        assert_eq!(trace.counters.get(Counter::InterruptsClaimed), 1);
        assert_eq!(trace.counters.get(Counter::DpcsRun), 1);
        assert_eq!(trace.counters.get(Counter::RegisterReads), 2);
        assert_eq!(trace.counters.get(Counter::RegisterWrites), 3);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let program = factorial_driver();
    let digest = |seed| {
        let (machine, interrupt, registers, length) = edu_machine(&program, seed);
        machine.spawn(ThreadSpec::system("test"), move |k| {
            compute(k, interrupt, registers, length)
        });
        let _ = machine.run();
        machine.kernel().recorded().digest()
    };
    let first: Vec<_> = (0..10).map(digest).collect();
    let second: Vec<_> = (0..10).map(digest).collect();
    assert_eq!(first, second);
    let mut distinct = first;
    distinct.sort();
    distinct.dedup();
    assert!(distinct.len() > 5, "seeds make a difference: {distinct:?}");
}

#[test]
fn an_interrupt_that_nobody_quiets_is_a_storm() {
    let program = Program::default().function(|f| {
        f.asm.mov(eax, 1).unwrap();
    });
    let (machine, interrupt, ..) = edu_machine(&program, 1);
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        ke::interrupt::connect(&k, interrupt);
        let slot = k.bus().borrow().functions()[0].slot();
        k.bus().borrow_mut().device_mut::<Edu>(slot).unwrap().raise(1);
        k.delay(1_000_000).await
    });
    assert_eq!(machine.run(), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.code, Code::HARDWARE_INTERRUPT_STORM);
    assert_eq!(crash.bugcheck.parameters[0], Program::address(0).get());
    assert_eq!(crash.site(), Some(0x1000), "the service routine is to blame");
}

#[test]
fn the_call_stack_crosses_the_border() {
    let program = Program::default()
        .import(&["KeAcquireSpinLockAtDpcLevel"])
        .function(|f| {
            f.load(rax, Program::address(1).get());
            f.asm.call(rax).unwrap();
        })
        .function(|f| {
            f.arguments(&[Program::data().get()]);
            f.call("KeAcquireSpinLockAtDpcLevel");
        });
    let machine = program.machine(1);
    assert_eq!(run_first(&machine, &[]), RunEnd::Crashed);
    let stack = machine.crash_stack().unwrap();
    let text = stack.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    assert_eq!(lines[0], "nt!KeAcquireSpinLockAtDpcLevel", "{text}");
    assert!(lines[1].contains("test.sys+0x11"), "{text}");
    assert!(lines[2].contains("test.sys+0x10"), "{text}");
    assert_eq!(lines[3], "nt!thread", "{text}");
}

#[test]
fn code_of_an_unloaded_driver_must_not_run() {
    let machine = Program::default().function(|_| {}).machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        mm::driver_image::unload(&k, k.driver_image(), "test.sys")?;
        k.call(Program::address(0), &[]).await
    });
    assert_eq!(machine.run(), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(
        crash.bugcheck.code,
        Code::DRIVER_UNLOADED_WITHOUT_CANCELLING_PENDING_OPERATIONS
    );
}

#[test]
fn a_driver_must_free_its_pool_before_it_unloads() {
    let program = Program::default().import(&["ExAllocatePool2"]).function(|f| {
        f.arguments(&[0x40, 100, 0x7473_6554]);
        f.call("ExAllocatePool2");
    });
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        k.call(Program::address(0), &[]).await?;
        mm::driver_image::unload(&k, k.driver_image(), "test.sys")
    });
    assert_eq!(machine.run(), RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.rule, "pool-leak");
    assert_eq!(crash.bugcheck.parameters, [0x62, 0, 0, 1]);
}
