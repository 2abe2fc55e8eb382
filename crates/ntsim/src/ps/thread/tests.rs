//! System threads of drivers' own.

use iced_x86::code_asm::{qword_ptr, rax, rcx, rdx};

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::{
        Program,
        script::{crash, crash_in, export, holding, idle, memory, run},
    },
    mm::Va,
    sched::ThreadSpec,
    status::NtStatus,
};

/// A driver whose first function adds one to what its argument points to and returns, and whose second one does so and terminates its
/// thread with status 0x1234.
fn counting() -> Program {
    Program::default()
        .import(&["PsTerminateSystemThread"])
        .function(|f| {
            f.asm.lock().inc(qword_ptr(rcx)).unwrap();
        })
        .function(|f| {
            f.asm.lock().inc(qword_ptr(rcx)).unwrap();
            f.load(rcx, 0x1234_u64);
            f.call("PsTerminateSystemThread");
            // It does not return: this would fault.
            f.asm.xor(rax, rax).unwrap();
            f.asm.mov(rdx, qword_ptr(rax)).unwrap();
        })
}

/// Starts function `index` as a system thread: its handle.
async fn start(k: &Kernel, index: usize, context: Va) -> Outcome<u64> {
    let (handle, client) = (memory(k, 8)?, memory(k, 16)?);
    let routine = Program::address(index);
    let arguments = [
        handle.get(),
        0x1F_FFFF,
        0,
        0,
        client.get(),
        routine.get(),
        context.get(),
    ];
    assert_eq!(export(k, "PsCreateSystemThread", &arguments).await?, 0);
    assert_eq!(k.read::<u64>(client)?, 4, "in the system process");
    assert_ne!(k.read::<u64>(client + 8_u64)?, 0);
    k.read(handle)
}

/// The object of the thread that was created last.
fn latest(k: &Kernel) -> Va {
    let threads = k.scheduler().borrow().threads.len();
    k.thread_object(crate::sched::ThreadId(threads - 1))
}

#[test]
fn a_system_thread_runs_until_it_returns_or_terminates_itself() {
    for seed in 0..10 {
        run(&counting(), seed, |k| async move {
            let counter = holding(&k, 0)?;
            for (index, status) in [(0, 0), (1, 0x1234)] {
                let handle = start(&k, index, counter).await?;
                let object = latest(&k);
                export(&k, "KeWaitForSingleObject", &[object.get(), 0, 0, 0, 0]).await?;
                assert_eq!(k.read::<u64>(counter)?, index as u64 + 1);
                assert_eq!(export(&k, "PsGetThreadExitStatus", &[object.get()]).await?, status);
                assert_eq!(export(&k, "PsIsSystemThread", &[object.get()]).await?, 1);
                assert_ne!(export(&k, "PsGetThreadId", &[object.get()]).await?, 0);
                assert_eq!(export(&k, "ZwClose", &[handle]).await?, 0);
            }
            Ok(())
        });
    }
}

#[test]
fn a_thread_knows_itself() {
    run(&idle(), 1, |k| async move {
        let object = export(&k, "KeGetCurrentThread", &[]).await?;
        assert_eq!(object, export(&k, "PsGetCurrentThread", &[]).await?);
        assert_eq!(Va(object), k.thread_object(k.current_thread().unwrap()));
        let id = export(&k, "PsGetCurrentThreadId", &[]).await?;
        assert_eq!(id, export(&k, "PsGetThreadId", &[object]).await?);
        assert_eq!(super::by_id(&k, id), k.current_thread());
        let pending = export(&k, "PsGetThreadExitStatus", &[object]).await?;
        assert_eq!(pending, u64::from(NtStatus::PENDING.0));
        Ok(())
    });
}

#[test]
fn a_system_thread_starts_in_a_critical_region() {
    let program = Program::default().import(&["KeAreApcsDisabled"]).function(|f| {
        f.asm.mov(qword_ptr(rcx), 2).unwrap();
        f.call("KeAreApcsDisabled");
        f.load(rcx, Program::data().get());
        f.asm.mov(qword_ptr(rcx), rax).unwrap();
    });
    run(&program, 1, |k| async move {
        start(&k, 0, Program::data()).await?;
        let object = latest(&k);
        export(&k, "KeWaitForSingleObject", &[object.get(), 0, 0, 0, 0]).await?;
        assert_eq!(k.read::<u64>(Program::data())?, 1);
        Ok(())
    });
}

#[test]
fn the_systems_own_threads_must_not_be_terminated_and_programs_threads_are_not() {
    let bugcheck = crash(|k| async move { export(&k, "PsTerminateSystemThread", &[0]).await.map(|_| ()) });
    assert_eq!(bugcheck.code.0, 0xE9);
    let machine = idle().machine(1);
    machine.spawn(ThreadSpec::user("program"), |k| async move {
        let status = export(&k, "PsTerminateSystemThread", &[0]).await?;
        assert_eq!(status, u64::from(NtStatus::INVALID_PARAMETER.0));
        Ok(())
    });
    assert_eq!(machine.run(), crate::sched::RunEnd::Idle);
}

#[test]
fn a_thread_that_waits_for_ever_does_not_keep_the_machine_running() {
    let program = Program::default().import(&["KeDelayExecutionThread"]).function(|f| {
        f.load(rax, Program::data().get());
        f.asm.mov(qword_ptr(rax), -1000).unwrap();
        let mut again = f.asm.create_label();
        f.asm.set_label(&mut again).unwrap();
        f.arguments(&[0, 0, Program::data().get()]);
        f.call("KeDelayExecutionThread");
        f.asm.jmp(again).unwrap();
    });
    run(&program, 1, |k| async move {
        start(&k, 0, Va::NULL).await?;
        k.delay(1_000_000).await
    });
}

#[test]
fn a_thread_of_an_unloaded_driver_faults_where_its_code_was() {
    let program = Program::default().import(&["KeDelayExecutionThread"]).function(|f| {
        f.load(rax, Program::data().get());
        f.asm.mov(qword_ptr(rax), -100_000).unwrap();
        f.arguments(&[0, 0, Program::data().get()]);
        f.call("KeDelayExecutionThread");
    });
    let bugcheck = crash_in(&program, ThreadSpec::system("test"), |k| async move {
        start(&k, 0, Va::NULL).await?;
        k.delay(1_000_000).await?;
        crate::mm::driver_image::unload(&k, k.driver_image(), "test.sys")
    });
    assert_eq!(bugcheck.code.0, 0xCE);
}

#[test]
fn what_is_no_thread_object_is_told() {
    let bugcheck = crash(|k| async move {
        let object = memory(&k, 64)?;
        export(&k, "PsGetThreadId", &[object.get()]).await.map(|_| ())
    });
    assert_eq!(bugcheck.rule, "no-thread-object");
}
