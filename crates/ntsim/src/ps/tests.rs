//! Processes as drivers see them.

use std::{cell::RefCell, rc::Rc};

use iced_x86::code_asm::{dword_ptr, qword_ptr, rax, rcx};

use super::*;
use crate::{
    bugcheck::BugCheckCode as Code,
    kernel::{Config, Kernel},
    machine::{Machine, testing::Program},
    mm::Va,
    ob::testing::*,
    sched::{RunEnd, ThreadSpec},
    status::NtStatus,
    user,
};

fn run_program<F>(script: impl FnOnce(Kernel) -> F + 'static)
where
    F: std::future::Future<Output = crate::bugcheck::Outcome<()>> + 'static,
{
    let machine = Machine::new(Config::default()).unwrap();
    machine.spawn(ThreadSpec::user("program"), script);
    let _: RunEnd = machine.run();
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}

/// Reads a program's memory as a driver that has probed it.
fn peek(k: &Kernel, address: Va) -> crate::bugcheck::Outcome<u32> {
    k.watch()
        .user
        .borrow_mut()
        .note_probe(k.current_thread(), address, 4, false);
    k.read(address)
}

#[test]
fn a_programs_thread_is_in_a_process_of_its_own() {
    run_program(|k| async move {
        let process = value(&k, "PsGetCurrentProcess", &[]).await?;
        assert_eq!(process, value(&k, "IoGetCurrentProcess", &[]).await?);
        let number = value(&k, "PsGetProcessId", &[process]).await?;
        assert_eq!(number, value(&k, "PsGetCurrentProcessId", &[]).await?);
        assert_ne!(number, 4);
        let name = value(&k, "PsGetProcessImageFileName", &[process]).await?;
        assert_eq!(k.read_bytes(Va(name), 12)?, b"program.exe\0");
        assert_eq!(value(&k, "PsIsSystemProcess", &[process]).await?, 0);
        assert_eq!(
            value(&k, "PsGetProcessInheritedFromUniqueProcessId", &[process]).await?,
            4
        );
        assert_eq!(call(&k, "PsGetProcessExitStatus", &[process]).await?, NtStatus::PENDING);
        assert_eq!(value(&k, "ExGetPreviousMode", &[]).await?, 1);
        let thread = value(&k, "PsGetCurrentThread", &[]).await?;
        assert_eq!(value(&k, "PsGetThreadProcess", &[thread]).await?, process);
        assert_eq!(value(&k, "IoThreadToProcess", &[thread]).await?, process);
        assert_eq!(value(&k, "PsGetThreadProcessId", &[thread]).await?, number);
        assert_eq!(value(&k, "PsIsThreadTerminating", &[thread]).await?, 0);
        Ok(())
    });
}

#[test]
fn threads_that_a_program_creates_are_of_its_process_and_see_its_memory() {
    run_program(|k| async move {
        let buffer = user::Buffer::holding(&k, &[1, 2, 3, 4]);
        let home = current(&k);
        let address = buffer.range().address;
        let thread = k.spawn(ThreadSpec::user("second"), move |k| async move {
            assert_eq!(current(&k), home);
            assert_eq!(peek(&k, address)?, 0x0403_0201);
            Ok(())
        });
        k.join(thread).await
    });
}

#[test]
fn processes_and_threads_are_looked_up_by_number() {
    run(|k| async move {
        let variable = memory(&k, 8)?;
        let system = value(&k, "PsGetCurrentProcess", &[]).await?;
        assert_eq!(
            call(&k, "PsLookupProcessByProcessId", &[4, variable.get()]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<u64>(variable)?, system);
        value(&k, "ObfDereferenceObject", &[system]).await?;
        let absent = call(&k, "PsLookupProcessByProcessId", &[6, variable.get()]).await?;
        assert_eq!(absent, NtStatus::INVALID_PARAMETER);
        let number = value(&k, "PsGetCurrentThreadId", &[]).await?;
        assert_eq!(
            call(&k, "PsLookupThreadByThreadId", &[number, variable.get()]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<u64>(variable)?, value(&k, "PsGetCurrentThread", &[]).await?);
        value(&k, "ObfDereferenceObject", &[k.read(variable)?]).await?;
        assert_eq!(
            call(&k, "PsLookupThreadByThreadId", &[3, variable.get()]).await?,
            NtStatus::INVALID_PARAMETER
        );
        Ok(())
    });
}

#[test]
fn a_thread_sees_the_memory_of_the_process_that_it_attaches_to() {
    let machine = Machine::new(Config::default()).unwrap();
    machine.spawn(ThreadSpec::user("program"), |k| async move {
        let buffer = user::Buffer::holding(&k, &[7, 0, 0, 0]);
        let (process, address) = (object(&k, current(&k))?, buffer.range().address);
        let number = number(current(&k));
        let thread = k.spawn(ThreadSpec::system("driver"), move |k| async move {
            let (outer, inner) = (memory(&k, 48)?, memory(&k, 48)?);
            value(&k, "KeStackAttachProcess", &[process.get(), outer.get()]).await?;
            assert_eq!(peek(&k, address)?, 7);
            value(&k, "KeStackAttachProcess", &[process.get(), inner.get()]).await?;
            assert_eq!(value(&k, "PsGetCurrentProcess", &[]).await?, process.get());
            assert_ne!(value(&k, "PsGetCurrentProcessId", &[]).await?, number);
            value(&k, "KeUnstackDetachProcess", &[inner.get()]).await?;
            assert_eq!(peek(&k, address)?, 7);
            value(&k, "KeUnstackDetachProcess", &[outer.get()]).await?;
            value(&k, "KeAttachProcess", &[process.get()]).await?;
            assert_eq!(peek(&k, address)?, 7);
            value(&k, "KeDetachProcess", &[]).await?;
            // Here it is not there any more.
            peek(&k, address).map(|_| ())
        });
        k.join(thread).await
    });
    let _: RunEnd = machine.run();
    let crash = machine.kernel().crash().expect("the memory is the program's");
    assert_eq!(crash.bugcheck.rule, "user-memory");
}

#[test]
fn a_thread_does_not_end_attached() {
    let (code, _, rule) = bugcheck_of(|k| async move {
        let state = memory(&k, 48)?;
        let program = k.spawn(ThreadSpec::user("program"), |k| async move { k.delay(1_000_000).await });
        let process = object(&k, of_thread(&k, program))?;
        value(&k, "KeStackAttachProcess", &[process.get(), state.get()])
            .await
            .map(|_| ())
    });
    assert_eq!((code, rule), (Code::INVALID_PROCESS_ATTACH_ATTEMPT, "invalid-attach"));
}

#[test]
fn a_process_is_opened_waited_for_and_asked_how_it_ended() {
    run(|k| async move {
        let program = k.spawn(ThreadSpec::user("program"), |k| async move { k.delay(5_000_000).await });
        let process = of_thread(&k, program);
        let client = memory(&k, 16)?;
        k.write(client, number(process))?;
        let handle = open(&k, "ZwOpenProcess", "", &[client.get()]).await?.unwrap();
        let information = memory(&k, 128)?;
        let query = |class: u64, length: u64| [handle.0, class, information.get(), length, 0];
        assert_eq!(
            call(&k, "ZwQueryInformationProcess", &query(24, 4)).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<u32>(information)?, 1, "session");
        assert_eq!(
            call(&k, "ZwQueryInformationProcess", &query(27, 128)).await?,
            NtStatus::SUCCESS
        );
        let path = crate::rtl::unicode_string::read(&k, information)?;
        assert!(path.ends_with("\\program.exe"), "{path}");
        assert_eq!(
            call(&k, "ZwQueryInformationProcess", &query(7, 4)).await?,
            NtStatus::INFO_LENGTH_MISMATCH
        );
        assert_eq!(
            call(&k, "ZwQueryInformationProcess", &query(5000, 4)).await?,
            NtStatus::INVALID_INFO_CLASS
        );
        let object = object(&k, process)?;
        let waited = call(&k, "KeWaitForSingleObject", &[object.get(), 0, 0, 0, 0]).await?;
        assert_eq!(waited, NtStatus::SUCCESS);
        assert_eq!(
            call(&k, "PsGetProcessExitStatus", &[object.get()]).await?,
            NtStatus::SUCCESS
        );
        let gone = open(&k, "ZwOpenProcess", "", &[client.get()]).await?;
        assert_eq!(gone, Err(NtStatus::INVALID_PARAMETER));
        assert_eq!(
            call(&k, "ZwTerminateProcess", &[handle.0, 0]).await?,
            NtStatus::PROCESS_IS_TERMINATING
        );
        k.write(client + 8_u64, value(&k, "PsGetCurrentThreadId", &[]).await?)?;
        k.write(client, 0_u64)?;
        let thread = open(&k, "ZwOpenThread", "", &[client.get()]).await?.unwrap();
        let basic = [thread.0, 0, information.get(), 48, 0];
        assert_eq!(call(&k, "ZwQueryInformationThread", &basic).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u64>(information + 16_u64)?, 4, "of the System process");
        let priority = memory(&k, 4)?;
        k.write(priority, 16_i32)?;
        let set = [thread.0, 2, priority.get(), 4];
        assert_eq!(call(&k, "ZwSetInformationThread", &set).await?, NtStatus::SUCCESS);
        close(&k, thread).await?;
        close(&k, handle).await
    });
}

#[test]
fn the_system_tells_about_itself() {
    run(|k| async move {
        let (buffer, length) = (memory(&k, 4096)?, memory(&k, 4)?);
        let query = |class: u64, room: u64| [class, buffer.get(), room, length.get()];
        let name = "ZwQuerySystemInformation";
        assert_eq!(call(&k, name, &query(0, 64)).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(buffer + 8_u64)?, 4096);
        assert_eq!(k.read::<u8>(buffer + 56_u64)?, 2, "processors");
        assert_eq!(call(&k, name, &query(35, 2)).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u16>(buffer)?, 0x0100, "no debugger");
        assert_eq!(call(&k, name, &query(11, 8)).await?, NtStatus::INFO_LENGTH_MISMATCH);
        assert_eq!(k.read::<u32>(length)?, 8 + 296);
        assert_eq!(call(&k, name, &query(11, 4096)).await?, NtStatus::SUCCESS);
        let file: u16 = k.read(buffer + 8_u64 + 38_u64)?;
        assert_eq!(k.read_bytes(buffer + 48_u64 + u64::from(file), 13)?, b"ntoskrnl.exe\0");
        assert_eq!(call(&k, name, &query(5, 4096)).await?, NtStatus::SUCCESS);
        let first: u32 = k.read(buffer)?;
        let system = buffer + u64::from(first);
        assert_eq!(k.read::<u64>(system + 80_u64)?, 4);
        assert_eq!(crate::rtl::unicode_string::read(&k, system + 56_u64)?, "System");
        assert_eq!(call(&k, name, &query(3, 48)).await?, NtStatus::SUCCESS);
        assert_eq!(call(&k, name, &query(5000, 48)).await?, NtStatus::INVALID_INFO_CLASS);
        assert_eq!(call(&k, "ZwYieldExecution", &[]).await?, NtStatus::SUCCESS);
        let before = k.now();
        k.write(buffer, -10_000_i64)?;
        assert_eq!(
            call(&k, "ZwDelayExecution", &[0, buffer.get()]).await?,
            NtStatus::SUCCESS
        );
        assert!(k.now() >= before + 1_000_000);
        Ok(())
    });
}

/// A driver with a notify routine that counts its calls and keeps its arguments, in its data.
fn counting() -> Program {
    Program::default().function(|f| {
        use iced_x86::code_asm::{r8, rdx};
        f.load(rax, Program::data().get());
        f.asm.inc(dword_ptr(rax)).unwrap();
        f.asm.mov(qword_ptr(rax + 8), rcx).unwrap();
        f.asm.mov(qword_ptr(rax + 16), rdx).unwrap();
        f.asm.mov(qword_ptr(rax + 24), r8).unwrap();
    })
}

#[test]
fn notify_routines_are_called_when_programs_and_their_threads_begin_and_end() {
    let machine = counting().machine(1);
    let seen = Rc::new(RefCell::new(Vec::new()));
    let report = seen.clone();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        let routine = Program::address(0).get();
        let note = |k: &Kernel| {
            let data = Program::data();
            let found = (
                k.read::<u32>(data)?,
                k.read::<u64>(data + 16_u64)?,
                k.read::<u64>(data + 24_u64)?,
            );
            report.borrow_mut().push(found);
            Ok(())
        };
        let set = "PsSetCreateProcessNotifyRoutine";
        assert_eq!(call(&k, set, &[routine, 0]).await?, NtStatus::SUCCESS);
        assert_eq!(call(&k, set, &[routine, 0]).await?, NtStatus::INVALID_PARAMETER);
        let program = k.spawn(ThreadSpec::user("program"), |k| async move { k.delay(1_000_000).await });
        k.delay(500_000).await?;
        note(&k)?;
        k.join(program).await?;
        note(&k)?;
        assert!(notify::leftovers(&k)[0].to_string().contains("process notify routine"));
        assert_eq!(call(&k, set, &[routine, 1]).await?, NtStatus::SUCCESS);
        assert_eq!(call(&k, set, &[routine, 1]).await?, NtStatus::INVALID_PARAMETER);
        let thread = "PsSetCreateThreadNotifyRoutine";
        assert_eq!(call(&k, thread, &[routine]).await?, NtStatus::SUCCESS);
        let system = k.spawn(ThreadSpec::system("thread"), |_| async move { Ok(()) });
        k.join(system).await?;
        note(&k)?;
        let remove = "PsRemoveCreateThreadNotifyRoutine";
        assert_eq!(call(&k, remove, &[routine]).await?, NtStatus::SUCCESS);
        assert_eq!(call(&k, remove, &[routine]).await?, NtStatus::PROCEDURE_NOT_FOUND);
        let image = "PsSetLoadImageNotifyRoutine";
        assert_eq!(call(&k, image, &[routine]).await?, NtStatus::SUCCESS);
        notify::image_loaded(&k, "other", Va(0xFFFF_F801_0000_0000), 0x1000).await?;
        note(&k)?;
        assert_eq!(
            call(&k, "PsRemoveLoadImageNotifyRoutine", &[routine]).await?,
            NtStatus::SUCCESS
        );
        Ok(())
    });
    let _: RunEnd = machine.run();
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
    let seen = seen.borrow();
    let pid = seen[0].1;
    assert_eq!(seen[0], (1, pid, 1), "the process begins");
    assert_eq!(seen[1], (2, pid, 0), "the process ends");
    assert_eq!((seen[2].0, seen[2].2), (4, 0), "a thread begins and ends");
    assert_eq!((seen[3].0, seen[3].1), (5, 0), "a driver's image is of no process");
}
