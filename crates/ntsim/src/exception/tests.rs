//! Exceptions in small assembled drivers, whose scope tables are those that compilers make.

use iced_x86::code_asm::{dword_ptr, eax, ecx, edx, qword_ptr, r9, r9d, r10, rax, rbx, rcx, rdx, rsp};

use crate::{
    bugcheck::BugCheckCode as Code,
    kernel::Kernel,
    machine::{
        Machine,
        testing::{Function, Program, ScopeHandler},
    },
    mm::Va,
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
};

const HANDLED: u64 = 0x600D;

/// Where a driver notes what happens, in order: a count, then values.
fn trail() -> Va {
    Program::data() + 8_u64
}

/// Notes a value in the trail; uses r9 and r10.
fn note(f: &mut Function<'_>, value: u32) {
    f.load(r10, trail().get());
    f.asm.mov(r9, qword_ptr(r10)).unwrap();
    f.asm.inc(qword_ptr(r10)).unwrap();
    f.asm.mov(dword_ptr(r10 + r9 * 4 + 8), value).unwrap();
}

/// What was noted.
fn noted(k: &Kernel) -> Vec<u32> {
    let count: u64 = k.read(trail()).unwrap();
    (0..count)
        .map(|index| k.read(trail() + 8_u64 + 4 * index).unwrap())
        .collect()
}

/// Runs function 0 and gives what it returns.
fn run(machine: &Machine, arguments: &[u64]) -> (RunEnd, Option<u64>) {
    let result = std::rc::Rc::new(std::cell::Cell::new(None));
    let (arguments, reply) = (arguments.to_vec(), result.clone());
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        let value = k.call(Program::address(0), &arguments).label("test").await?;
        reply.set(Some(value));
        Ok(0_u64)
    });
    (machine.run(), result.get())
}

/// Runs function 0, which must end well: what it returns and what was noted.
fn outcome(program: &Program, arguments: &[u64]) -> (u64, Vec<u32>) {
    let machine = program.machine(1);
    let (end, value) = run(&machine, arguments);
    assert_eq!(end, RunEnd::Idle, "{:?}", machine.crash_report(None));
    (value.unwrap(), noted(machine.kernel()))
}

/// Runs function 0, which must stop the machine: the code and the parameters.
fn crash(program: &Program, arguments: &[u64]) -> (Code, [u64; 4]) {
    let machine = program.machine(1);
    assert_eq!(run(&machine, arguments).0, RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    (crash.bugcheck.code, crash.bugcheck.parameters)
}

/// `__try { body } __except (handler) { return HANDLED; } return rax;`
fn try_except(f: &mut Function<'_>, handler: ScopeHandler, body: impl FnOnce(&mut Function<'_>)) {
    let mut begin = f.asm.create_label();
    let mut end = f.asm.create_label();
    let mut target = f.asm.create_label();
    let mut out = f.asm.create_label();
    f.asm.set_label(&mut begin).unwrap();
    f.asm.nop().unwrap();
    body(f);
    f.asm.nop().unwrap();
    f.asm.set_label(&mut end).unwrap();
    f.asm.jmp(out).unwrap();
    f.asm.set_label(&mut target).unwrap();
    f.load(rax, HANDLED);
    f.asm.set_label(&mut out).unwrap();
    f.asm.nop().unwrap();
    f.scope(begin, end, handler, Some(target));
}

/// `__try { body } __finally { function }`, the block being called where control leaves it normally as well.
fn try_finally(f: &mut Function<'_>, block: usize, body: impl FnOnce(&mut Function<'_>)) {
    let mut begin = f.asm.create_label();
    let mut end = f.asm.create_label();
    f.asm.set_label(&mut begin).unwrap();
    f.asm.nop().unwrap();
    body(f);
    f.asm.nop().unwrap();
    f.asm.set_label(&mut end).unwrap();
    f.asm.xor(ecx, ecx).unwrap();
    f.asm.mov(rdx, rsp).unwrap();
    f.asm.call(Program::address(block).get()).unwrap();
    f.scope(begin, end, ScopeHandler::Function(block), None);
}

fn program() -> Program {
    Program::default().import(&[
        "__C_specific_handler",
        "ProbeForRead",
        "ExRaiseStatus",
        "RtlRaiseException",
        "memcpy",
        "RtlUnwind",
        "RtlCaptureContext",
        "RtlLookupFunctionEntry",
        "RtlVirtualUnwind",
        "RtlPcToFileHeader",
        "KeSynchronizeExecution",
    ])
}

/// Reads what rcx points to.
fn dereference(f: &mut Function<'_>) {
    f.asm.mov(rax, qword_ptr(rcx)).unwrap();
}

/// `return value;`
fn returns(value: u32) -> impl Fn(&mut Function<'_>) {
    move |f| f.asm.mov(eax, value).unwrap()
}

#[test]
fn an_access_violation_in_a_callee_is_handled_by_its_caller() {
    let program = program()
        .function(|f| {
            try_except(f, ScopeHandler::Always, |f| {
                f.asm.call(Program::address(1).get()).unwrap();
            });
        })
        .function(dereference);
    assert_eq!(outcome(&program, &[0x1000]).0, HANDLED);
}

#[test]
fn without_a_fault_the_try_block_is_all_there_is() {
    let program = program().function(|f| try_except(f, ScopeHandler::Always, dereference));
    assert_eq!(outcome(&program, &[trail().get() + 0x40]).0, 0);
}

#[test]
fn an_unhandled_exception_is_a_bug_check_at_its_instruction() {
    let program = program()
        .function(|f| try_except(f, ScopeHandler::Function(1), dereference))
        .function(|f| {
            note(f, 7);
            f.asm.xor(eax, eax).unwrap();
        });
    let machine = program.machine(1);
    assert_eq!(run(&machine, &[0x1000]).0, RunEnd::Crashed);
    let crash = machine.kernel().crash().unwrap();
    assert_eq!(crash.bugcheck.code, Code::KMODE_EXCEPTION_NOT_HANDLED);
    let [code, address, operation, target] = crash.bugcheck.parameters;
    assert_eq!(code, u64::from(NtStatus::ACCESS_VIOLATION.0));
    assert_eq!((operation, target), (0, 0x1000));
    // sub rsp, 0x28 has 4 bytes, the nop one.
    assert_eq!(Va(address), Program::address(0) + 5_u64);
    assert_eq!(crash.site(), Some(0x1005));
    assert_eq!(noted(machine.kernel()), [7], "the filter was asked");
}

#[test]
fn a_filter_sees_the_exception_and_the_context() {
    let program = program()
        .function(|f| try_except(f, ScopeHandler::Function(1), dereference))
        .function(|f| {
            // EXCEPTION_POINTERS in rcx: code, flags, number of parameters, the two parameters, then rcx and rip of the context.
            f.asm.mov(rax, qword_ptr(rcx)).unwrap();
            f.asm.mov(rdx, qword_ptr(rcx + 8)).unwrap();
            f.load(r10, trail().get());
            for (index, offset) in [0, 4, 24, 32, 40].into_iter().enumerate() {
                f.asm.mov(r9d, dword_ptr(rax + offset)).unwrap();
                f.asm.mov(dword_ptr(r10 + 8 + 4 * index), r9d).unwrap();
            }
            f.asm.mov(r9, qword_ptr(rdx + ntlayout::context::RAX + 8)).unwrap();
            f.asm.mov(dword_ptr(r10 + 8 + 20), r9d).unwrap();
            f.asm.mov(r9, qword_ptr(rdx + ntlayout::context::RIP)).unwrap();
            f.asm.mov(dword_ptr(r10 + 8 + 24), r9d).unwrap();
            f.asm.mov(qword_ptr(r10), 7).unwrap();
            f.asm.mov(eax, 1).unwrap();
        });
    let (value, seen) = outcome(&program, &[0x1000]);
    assert_eq!(value, HANDLED);
    let rip = ((Program::address(0) + 5_u64).get() & 0xFFFF_FFFF) as u32;
    assert_eq!(seen, [NtStatus::ACCESS_VIOLATION.0, 0, 2, 0, 0x1000, 0x1000, rip]);
}

#[test]
fn a_filter_can_mend_the_context_and_go_on() {
    let program = program()
        .function(|f| try_except(f, ScopeHandler::Function(1), dereference))
        .function(|f| {
            // rcx of the context is made to point to memory.
            f.asm.mov(rdx, qword_ptr(rcx + 8)).unwrap();
            f.load(rax, trail().get() + 0x40);
            f.asm.mov(qword_ptr(rax), 0x77).unwrap();
            f.asm.mov(qword_ptr(rdx + ntlayout::context::RAX + 8), rax).unwrap();
            f.asm.mov(eax, -1).unwrap();
        });
    assert_eq!(outcome(&program, &[0x1000]).0, 0x77);
}

#[test]
fn the_inner_filter_is_asked_first_and_may_pass_it_on() {
    let program = program()
        .function(|f| {
            try_except(f, ScopeHandler::Function(2), |f| {
                f.asm.call(Program::address(1).get()).unwrap();
            });
        })
        .function(|f| try_except(f, ScopeHandler::Function(3), dereference))
        .function(|f| {
            note(f, 2);
            f.asm.mov(eax, 1).unwrap();
        })
        .function(|f| {
            note(f, 3);
            f.asm.xor(eax, eax).unwrap();
        });
    assert_eq!(outcome(&program, &[0x1000]), (HANDLED, vec![3, 2]));
}

#[test]
fn finally_blocks_run_between_the_filter_and_the_handler() {
    let program = program()
        .function(|f| {
            try_except(f, ScopeHandler::Function(2), |f| {
                f.asm.call(Program::address(1).get()).unwrap();
            });
        })
        .function(|f| try_finally(f, 3, dereference))
        .function(|f| {
            note(f, 2);
            f.asm.mov(eax, 1).unwrap();
        })
        .function(|f| {
            // AbnormalTermination.
            f.asm.movzx(eax, iced_x86::code_asm::cl).unwrap();
            f.load(r10, trail().get());
            f.asm.mov(r9, qword_ptr(r10)).unwrap();
            f.asm.inc(qword_ptr(r10)).unwrap();
            f.asm.add(eax, 30).unwrap();
            f.asm.mov(dword_ptr(r10 + r9 * 4 + 8), eax).unwrap();
        });
    assert_eq!(outcome(&program, &[0x1000]), (HANDLED, vec![2, 31]));
    // Without an exception, the block runs as well.
    assert_eq!(outcome(&program, &[trail().get() + 0x60]).1, [30]);
}

#[test]
fn an_exception_in_a_finally_block_takes_the_place_of_the_first() {
    let program = program()
        .function(|f| {
            try_except(f, ScopeHandler::Always, |f| {
                f.asm.call(Program::address(1).get()).unwrap();
            });
        })
        .function(|f| try_finally(f, 3, |f| try_finally(f, 2, dereference)))
        .function(|f| {
            note(f, 20);
            f.load(rcx, 0x2000_u64);
            dereference(f);
            note(f, 21);
        })
        .function(|f| note(f, 22));
    // The inner block is not entered a second time, the outer one is.
    assert_eq!(outcome(&program, &[0x1000]), (HANDLED, vec![20, 22]));
}

#[test]
fn an_exception_in_a_filter_is_nested() {
    let program = program()
        .function(|f| {
            try_except(f, ScopeHandler::Function(3), |f| {
                f.asm.call(Program::address(1).get()).unwrap();
            });
        })
        .function(|f| try_except(f, ScopeHandler::Function(2), dereference))
        .function(|f| {
            // Raises the first time, and passes it on the second time, when it is asked about its own exception.
            let mut again = f.asm.create_label();
            f.load(r10, trail().get());
            f.asm.cmp(qword_ptr(r10), 0).unwrap();
            f.asm.jne(again).unwrap();
            note(f, 2);
            f.load(rcx, 0x3000_u64);
            dereference(f);
            f.asm.set_label(&mut again).unwrap();
            f.asm.xor(eax, eax).unwrap();
        })
        .function(|f| {
            // The address of the violation.
            f.asm.mov(rax, qword_ptr(rcx)).unwrap();
            f.asm.mov(rax, qword_ptr(rax + 40)).unwrap();
            f.load(r10, trail().get());
            f.asm.mov(r9, qword_ptr(r10)).unwrap();
            f.asm.inc(qword_ptr(r10)).unwrap();
            f.asm.mov(dword_ptr(r10 + r9 * 4 + 8), eax).unwrap();
            f.asm.cmp(eax, 0x3000).unwrap();
            f.asm.sete(iced_x86::code_asm::al).unwrap();
            f.asm.movzx(eax, iced_x86::code_asm::al).unwrap();
        });
    let (value, seen) = outcome(&program, &[0x1000]);
    assert_eq!(value, HANDLED);
    assert_eq!(seen, [2, 0x3000]);
}

#[test]
fn a_filter_that_always_raises_uses_up_the_stack() {
    let program = program()
        .function(|f| try_except(f, ScopeHandler::Function(1), dereference))
        .function(|f| {
            f.load(rcx, 0x3000_u64);
            dereference(f);
        });
    let (code, [first, ..]) = crash(&program, &[0x1000]);
    assert_eq!((code, first), (Code::UNEXPECTED_KERNEL_MODE_TRAP, 8));
}

#[test]
fn a_probe_raises_in_its_caller() {
    let probe = |f: &mut Function<'_>| {
        f.asm.mov(edx, 8).unwrap();
        f.asm.mov(iced_x86::code_asm::r8d, 8).unwrap();
        f.call("ProbeForRead");
        f.asm.xor(eax, eax).unwrap();
    };
    let program = program().function(move |f| try_except(f, ScopeHandler::Always, probe));
    assert_eq!(outcome(&program, &[0xFFFF_8000_0000_0000]).0, HANDLED);
    assert_eq!(outcome(&program, &[0x1001]).0, HANDLED, "misaligned");
    assert_eq!(outcome(&program, &[0x1000]).0, 0);
}

#[test]
fn a_kernel_routine_that_reads_an_invalid_user_address_raises_in_its_caller() {
    let program = program().function(|f| {
        try_except(f, ScopeHandler::Always, |f| {
            f.load(rcx, trail().get() + 0x40);
            f.asm.mov(edx, 0x1000).unwrap();
            f.asm.mov(iced_x86::code_asm::r8d, 8).unwrap();
            f.call("memcpy");
        });
    });
    assert_eq!(outcome(&program, &[]).0, HANDLED);
}

#[test]
fn a_raised_status_is_the_code_that_the_filter_sees() {
    let program = program()
        .function(|f| {
            try_except(f, ScopeHandler::Function(1), |f| {
                f.asm.mov(ecx, NtStatus::INSUFFICIENT_RESOURCES.0).unwrap();
                f.call("ExRaiseStatus");
            });
        })
        .function(|f| {
            f.asm.mov(rax, qword_ptr(rcx)).unwrap();
            f.asm.cmp(dword_ptr(rax), NtStatus::INSUFFICIENT_RESOURCES.0).unwrap();
            f.asm.sete(iced_x86::code_asm::al).unwrap();
            f.asm.movzx(eax, iced_x86::code_asm::al).unwrap();
        });
    assert_eq!(outcome(&program, &[]).0, HANDLED);
}

#[test]
fn a_raised_status_that_nothing_handles_is_a_bug_check() {
    let program = program().function(|f| {
        f.asm.mov(ecx, NtStatus::INSUFFICIENT_RESOURCES.0).unwrap();
        f.call("ExRaiseStatus");
    });
    let (code, [status, ..]) = crash(&program, &[]);
    assert_eq!(code, Code::KMODE_EXCEPTION_NOT_HANDLED);
    assert_eq!(status, u64::from(NtStatus::INSUFFICIENT_RESOURCES.0));
}

#[test]
fn a_raised_status_cannot_be_continued() {
    let program = program()
        .function(|f| {
            try_except(f, ScopeHandler::Function(1), |f| {
                f.asm.mov(ecx, NtStatus::INSUFFICIENT_RESOURCES.0).unwrap();
                f.call("ExRaiseStatus");
            });
        })
        .function(|f| {
            // Continue the first time, then handle what comes of it.
            f.asm.mov(rax, qword_ptr(rcx)).unwrap();
            f.asm.cmp(dword_ptr(rax), NtStatus::NONCONTINUABLE_EXCEPTION.0).unwrap();
            f.asm.sete(iced_x86::code_asm::al).unwrap();
            f.asm.movzx(eax, iced_x86::code_asm::al).unwrap();
            f.asm.lea(eax, dword_ptr(rax + rax - 1)).unwrap();
        });
    assert_eq!(outcome(&program, &[]).0, HANDLED);
}

#[test]
fn a_raised_record_may_be_continued_after_the_call() {
    let program = program()
        .function(|f| {
            try_except(f, ScopeHandler::Function(1), |f| {
                f.load(rcx, Program::data().get() + 0x60);
                f.asm.mov(dword_ptr(rcx), 0x1234).unwrap();
                f.call("RtlRaiseException");
                f.asm.mov(eax, 5).unwrap();
            });
        })
        .function(returns(u32::MAX));
    assert_eq!(outcome(&program, &[]).0, 5);
}

#[test]
fn divisions_and_breakpoints_are_exceptions() {
    let code_of = |body: fn(&mut Function<'_>)| {
        let program = program()
            .function(move |f| try_except(f, ScopeHandler::Function(1), body))
            .function(|f| {
                f.asm.mov(rax, qword_ptr(rcx)).unwrap();
                f.asm.mov(eax, dword_ptr(rax)).unwrap();
                f.load(r10, trail().get());
                f.asm.mov(qword_ptr(r10), 1).unwrap();
                f.asm.mov(dword_ptr(r10 + 8), eax).unwrap();
                f.asm.mov(eax, 1).unwrap();
            });
        let (value, seen) = outcome(&program, &[]);
        assert_eq!(value, HANDLED);
        NtStatus(seen[0])
    };
    let divide = |f: &mut Function<'_>, divisor: u32| {
        f.asm.mov(edx, 1).unwrap();
        f.asm.xor(eax, eax).unwrap();
        f.asm.mov(ecx, divisor).unwrap();
        f.asm.div(ecx).unwrap();
    };
    let _ = divide;
    let by_zero = |f: &mut Function<'_>| {
        f.asm.xor(ecx, ecx).unwrap();
        f.asm.div(ecx).unwrap();
    };
    let too_large = |f: &mut Function<'_>| {
        f.asm.mov(edx, 1).unwrap();
        f.asm.mov(ecx, 1).unwrap();
        f.asm.div(ecx).unwrap();
    };
    assert_eq!(code_of(by_zero), NtStatus::INTEGER_DIVIDE_BY_ZERO);
    assert_eq!(code_of(too_large), NtStatus::INTEGER_OVERFLOW);
    assert_eq!(code_of(|f| f.asm.int3().unwrap()), NtStatus::BREAKPOINT);
    assert_eq!(code_of(|f| f.asm.ud2().unwrap()), NtStatus::ILLEGAL_INSTRUCTION);
    assert_eq!(code_of(|f| f.asm.int(0x2C).unwrap()), NtStatus::ASSERTION_FAILURE);
}

#[test]
fn an_invalid_system_address_is_no_exception() {
    let program = program().function(|f| try_except(f, ScopeHandler::Always, dereference));
    let (code, _) = crash(&program, &[0xFFFF_FFFF_8000_0000]);
    assert_eq!(code, Code::PAGE_FAULT_IN_NONPAGED_AREA);
}

#[test]
fn at_dispatch_level_an_invalid_user_address_is_no_exception() {
    let program = program().function(|f| {
        f.asm.mov(eax, 2).unwrap();
        f.asm.mov(iced_x86::code_asm::cr8, rax).unwrap();
        try_except(f, ScopeHandler::Always, dereference);
    });
    let (code, _) = crash(&program, &[0x1000]);
    assert_eq!(code, Code::DRIVER_IRQL_NOT_LESS_OR_EQUAL);
}

#[test]
fn nonvolatile_registers_have_the_callers_values_in_the_handler() {
    let program = program()
        .function(|f| {
            f.asm.push(rbx).unwrap();
            f.asm.sub(rsp, 0x28).unwrap();
            f.asm.mov(rbx, rcx).unwrap();
            f.asm.call(Program::address(1).get()).unwrap();
            f.asm.mov(rax, rbx).unwrap();
            f.asm.add(rsp, 0x28).unwrap();
            f.asm.pop(rbx).unwrap();
        })
        .function(|f| {
            f.asm.mov(qword_ptr(rsp + 0x20), rbx).unwrap();
            try_except(f, ScopeHandler::Always, |f| {
                f.asm.call(Program::address(2).get()).unwrap();
            });
            f.asm.mov(rbx, qword_ptr(rsp + 0x20)).unwrap();
        })
        .function(|f| {
            f.load(rbx, 0xBAD_u64);
            f.load(rcx, 0x1000_u64);
            dereference(f);
        });
    assert_eq!(outcome(&program, &[0x5A5A]).0, 0x5A5A);
}

#[test]
fn a_wild_stack_pointer_is_a_double_fault() {
    for pointer in [0_u64, 0x1000, 8, 0xFFFF_9000_0000_0000, u64::MAX - 7] {
        let program = program().function(move |f| {
            try_except(f, ScopeHandler::Always, |f| {
                f.load(rsp, pointer);
                f.asm.xor(ecx, ecx).unwrap();
                f.asm.div(ecx).unwrap();
            });
        });
        let (code, [first, ..]) = crash(&program, &[]);
        assert_eq!(
            (code, first),
            (Code::UNEXPECTED_KERNEL_MODE_TRAP, 8),
            "rsp {pointer:#x}"
        );
    }
}

#[test]
fn a_function_entry_is_found_and_undone_by_the_driver_itself() {
    let program = program().function(|f| {
        // RtlPcToFileHeader(rip, &base).
        f.load(rcx, Program::address(0).get() + 8);
        f.load(rdx, trail().get());
        f.call("RtlPcToFileHeader");
        f.load(rcx, Program::address(0).get() + 8);
        f.load(rdx, trail().get() + 8);
        f.asm.xor(iced_x86::code_asm::r8d, iced_x86::code_asm::r8d).unwrap();
        f.call("RtlLookupFunctionEntry");
    });
    let machine = program.machine(1);
    let (end, entry) = run(&machine, &[]);
    assert_eq!(end, RunEnd::Idle);
    let k = machine.kernel();
    let base = crate::mm::layout::DRIVER;
    assert_eq!(k.read::<Va>(trail()), Ok(base));
    assert_eq!(k.read::<Va>(trail() + 8_u64), Ok(base));
    let begin: u32 = k.read(Va(entry.unwrap())).unwrap();
    assert_eq!(begin, 0x1000);
}

#[test]
fn blocks_around_the_handler_are_not_left() {
    // Clang extends each scope by a byte, so that a return address may lie in the next one as well. A `__finally` that comes behind the
    // `__except` in the table is not left.
    let program = program()
        .function(|f| {
            let mut begin = f.asm.create_label();
            let mut middle = f.asm.create_label();
            let mut end = f.asm.create_label();
            let mut target = f.asm.create_label();
            f.asm.set_label(&mut begin).unwrap();
            dereference(f);
            f.asm.set_label(&mut middle).unwrap();
            f.asm.nop().unwrap();
            f.asm.set_label(&mut end).unwrap();
            f.asm.nop().unwrap();
            f.asm.set_label(&mut target).unwrap();
            f.load(rax, HANDLED);
            f.scope(begin, middle, ScopeHandler::Always, Some(target));
            f.scope(begin, end, ScopeHandler::Function(1), None);
        })
        .function(|f| note(f, 5));
    assert_eq!(outcome(&program, &[0x1000]), (HANDLED, vec![]));
}
