//! Threaded DPCs, and DPCs on every processor.

use std::{cell::Cell, rc::Rc};

use iced_x86::code_asm::{eax, qword_ptr, r8, r9, rax, rcx, rdx, rsp};
use ntlayout::kdpc;

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::{
        Program,
        script::{beside, export, idle, memory, run},
    },
    mm::Va,
};

/// Where what the second argument points to is kept over a call.
const SAVED: usize = 0x20;
/// When a threaded DPC has run, in nanoseconds.
const SOON: u64 = 50_000_000;

/// Notes the IRQL, the processor and whether it is a DPC, and counts, in what its second argument points to.
fn noting() -> Program {
    Program::default()
        .import(&["KeGetCurrentIrql", "KeGetCurrentProcessorNumberEx", "KeIsExecutingDpc"])
        .function(|f| {
            f.asm.lock().inc(qword_ptr(rdx)).unwrap();
            f.asm.mov(qword_ptr(rsp + SAVED), rdx).unwrap();
            for (index, name) in ["KeGetCurrentIrql", "KeGetCurrentProcessorNumberEx", "KeIsExecutingDpc"]
                .into_iter()
                .enumerate()
            {
                f.asm.xor(rcx, rcx).unwrap();
                f.call(name);
                f.asm.mov(eax, eax).unwrap();
                f.asm.mov(rdx, qword_ptr(rsp + SAVED)).unwrap();
                f.asm.mov(qword_ptr(rdx + 8 + index * 8), rax).unwrap();
            }
        })
}

async fn new_threaded(k: &Kernel, notes: Va) -> Outcome<Va> {
    let dpc = memory(k, kdpc::SIZE)?;
    export(
        k,
        "KeInitializeThreadedDpc",
        &[dpc.get(), Program::address(0).get(), notes.get()],
    )
    .await?;
    Ok(dpc)
}

#[test]
fn a_threaded_dpc_runs_at_passive_level_on_its_processor_unless_they_are_disabled() {
    let mut levels = [0, 0, 0];
    for seed in 0..30 {
        let level = Rc::new(Cell::new(0));
        let seen = level.clone();
        run(&noting(), seed, move |k| async move {
            let (notes, number) = (memory(&k, 32)?, memory(&k, 4)?);
            k.fill(notes, 0, 32)?;
            let dpc = new_threaded(&k, notes).await?;
            k.write(number, 1_u32 << 16)?;
            assert_eq!(
                export(&k, "KeSetTargetProcessorDpcEx", &[dpc.get(), number.get()]).await?,
                0
            );
            k.write(number, 9_u32 << 16)?;
            let status = export(&k, "KeSetTargetProcessorDpcEx", &[dpc.get(), number.get()]).await?;
            assert_eq!(status, 0xC000_000D);
            assert_eq!(export(&k, "KeInsertQueueDpc", &[dpc.get(), 0, 0]).await?, 1);
            k.delay(SOON).await?;
            let [count, irql, processor, in_dpc] =
                [0, 8, 16, 24].map(|offset: u64| k.read::<u64>(notes + offset).unwrap());
            assert_eq!((count, processor), (1, 1));
            assert_eq!(in_dpc != 0, irql == 2);
            seen.set(usize::try_from(irql).unwrap());
            Ok(())
        });
        levels[level.get()] += 1;
    }
    assert!(levels[0] > levels[2] && levels[2] > 0 && levels[1] == 0, "{levels:?}");
}

#[test]
fn a_threaded_dpc_can_be_removed_before_it_runs() {
    for seed in 0..10 {
        run(&noting(), seed, |k| async move {
            let notes = memory(&k, 32)?;
            k.fill(notes, 0, 32)?;
            let dpc = new_threaded(&k, notes).await?;
            export(&k, "KfRaiseIrql", &[2]).await?;
            export(&k, "KeSetTargetProcessorDpc", &[dpc.get(), k.processor() as u64]).await?;
            assert_eq!(export(&k, "KeInsertQueueDpc", &[dpc.get(), 0, 0]).await?, 1);
            assert_eq!(export(&k, "KeInsertQueueDpc", &[dpc.get(), 0, 0]).await?, 0);
            assert_eq!(export(&k, "KeRemoveQueueDpcEx", &[dpc.get(), 1]).await?, 1);
            assert_eq!(export(&k, "KeRemoveQueueDpcEx", &[dpc.get(), 0]).await?, 0);
            export(&k, "KeLowerIrql", &[0]).await?;
            k.delay(SOON).await?;
            assert_eq!(k.read::<u64>(notes)?, 0);
            Ok(())
        });
    }
}

/// Says in what its second argument points to that it runs, does something else, and says that it has run.
fn slow() -> Program {
    Program::default().import(&["KeGetCurrentIrql"]).function(|f| {
        f.asm.mov(qword_ptr(rsp + SAVED), rdx).unwrap();
        f.asm.lock().inc(qword_ptr(rdx)).unwrap();
        for _ in 0..10 {
            f.call("KeGetCurrentIrql");
        }
        f.asm.mov(rdx, qword_ptr(rsp + SAVED)).unwrap();
        f.asm.lock().inc(qword_ptr(rdx + 8)).unwrap();
    })
}

/// Queues a threaded DPC of [`slow`] on the second processor and does `then`; whether it was running then, and whether it had run, over the seeds.
fn while_it_runs(then: impl AsyncFn(&Kernel) -> Outcome<()> + Copy + 'static) -> Vec<(bool, bool)> {
    let mut seen = Vec::new();
    for seed in 0..60 {
        let now = Rc::new(Cell::new((false, false)));
        let told = now.clone();
        run(&slow(), seed, move |k| async move {
            let (notes, number) = (memory(&k, 16)?, memory(&k, 4)?);
            k.fill(notes, 0, 16)?;
            let dpc = new_threaded(&k, notes).await?;
            k.write(number, 1_u32 << 16)?;
            export(&k, "KeSetTargetProcessorDpcEx", &[dpc.get(), number.get()]).await?;
            export(&k, "KeInsertQueueDpc", &[dpc.get(), 0, 0]).await?;
            then(&k).await?;
            let (begun, ended): (u64, u64) = (k.read(notes)?, k.read(notes + 8_u64)?);
            told.set((begun > ended, ended > 0));
            k.delay(SOON).await
        });
        seen.push(now.get());
    }
    seen
}

/// No page says that it does.
#[test]
fn a_flush_need_not_wait_for_threaded_dpcs() {
    let seen = while_it_runs(async |k| export(k, "KeFlushQueuedDpcs", &[]).await.map(|_| ()));
    for expected in [(false, false), (true, false), (false, true)] {
        assert!(seen.contains(&expected), "{expected:?} is missing: {seen:?}");
    }
}

/// "Introduction to Threaded DPCs": a thread does not preempt one.
#[test]
fn a_thread_gets_its_processor_when_no_threaded_dpc_runs_there() {
    let seen = while_it_runs(async |k| {
        export(k, "KeSetSystemAffinityThreadEx", &[2]).await?;
        assert_eq!(k.processor(), 1);
        Ok(())
    });
    assert!(seen.iter().all(|(running, _)| !running), "{seen:?}");
    for expected in [(false, false), (false, true)] {
        assert!(seen.contains(&expected), "{expected:?} is missing: {seen:?}");
    }
}

/// Counts before and after a meeting in what its second argument points to; one of those that meet counts behind that.
fn meeting() -> Program {
    Program::default()
        .import(&["KeSignalCallDpcSynchronize", "KeSignalCallDpcDone"])
        .function(|f| {
            f.asm.lock().inc(qword_ptr(rdx)).unwrap();
            f.asm.sub(rsp, 0x20).unwrap();
            f.asm.mov(qword_ptr(rsp + 0x28), rdx).unwrap();
            f.asm.mov(qword_ptr(rsp + 0x30), r8).unwrap();
            f.asm.mov(rcx, r9).unwrap();
            f.call("KeSignalCallDpcSynchronize");
            f.asm.mov(rdx, qword_ptr(rsp + 0x28)).unwrap();
            f.asm.and(eax, 0xFF).unwrap();
            f.asm.lock().add(qword_ptr(rdx + 8), rax).unwrap();
            // Everybody has come when anybody goes on.
            f.asm.mov(rax, qword_ptr(rdx)).unwrap();
            f.asm.lock().add(qword_ptr(rdx + 16), rax).unwrap();
            f.asm.mov(rcx, qword_ptr(rsp + 0x30)).unwrap();
            f.call("KeSignalCallDpcDone");
            f.asm.add(rsp, 0x20).unwrap();
        })
}

#[test]
fn a_generic_call_runs_once_on_every_processor_and_waits_for_all() {
    for seed in 0..20 {
        run(&meeting(), seed, |k| async move {
            let notes = memory(&k, 24)?;
            k.fill(notes, 0, 24)?;
            let call =
                async |k: &Kernel| export(k, "KeGenericCallDpc", &[Program::address(0).get(), notes.get()]).await;
            let other = beside(&k, "other", move |k| async move {
                k.delay(50_000_000).await?;
                export(&k, "KeGenericCallDpc", &[Program::address(0).get(), notes.get()])
                    .await
                    .map(|_| ())
            });
            call(&k).await?;
            assert_eq!(k.irql(), crate::ke::Irql::PASSIVE);
            assert_eq!(k.read::<u64>(notes)?, 2, "two processors");
            assert_eq!(k.read::<u64>(notes + 8_u64)?, 1, "one of them is the last");
            assert_eq!(k.read::<u64>(notes + 16_u64)?, 4, "both have seen both");
            k.join(other).await?;
            assert_eq!(k.read::<u64>(notes)?, 4);
            Ok(())
        });
    }
}

#[test]
fn threads_are_no_dpcs() {
    run(&idle(), 1, |k| async move {
        assert_eq!(export(&k, "KeIsExecutingDpc", &[]).await?, 0);
        export(&k, "KfRaiseIrql", &[2]).await?;
        assert_eq!(export(&k, "KeShouldYieldProcessor", &[]).await?, 0);
        export(&k, "KeLowerIrql", &[0]).await.map(|_| ())
    });
}
