//! Lookaside lists.

use iced_x86::code_asm::{dword_ptr, ecx, edx, qword_ptr, r8, r8d, rax, rbx, rcx};
use ntlayout::general_lookaside as layout;

use crate::{
    bugcheck::{BugCheck, Outcome},
    kernel::Kernel,
    machine::testing::{
        Program,
        script::{crash, export, idle, memory, run},
    },
    mm::Va,
    sched::ThreadSpec,
};

const TAG: u64 = 0x7453_6554;
const NON_PAGED_NX: u64 = 512;

/// A driver that takes an entry as the headers' inline routine does, from the list whose address its argument is.
fn taking() -> Program {
    Program::default()
        .import(&["ExpInterlockedPopEntrySList"])
        .function(|f| {
            f.asm.push(rbx).unwrap();
            f.asm.sub(iced_x86::code_asm::rsp, 0x28).unwrap();
            f.asm.mov(rbx, rcx).unwrap();
            f.asm.inc(dword_ptr(rbx + layout::TOTAL_ALLOCATES)).unwrap();
            f.call("ExpInterlockedPopEntrySList");
            let mut got = f.asm.create_label();
            f.asm.test(rax, rax).unwrap();
            f.asm.jne(got).unwrap();
            f.asm.inc(dword_ptr(rbx + layout::ALLOCATE_MISSES)).unwrap();
            f.asm.mov(ecx, dword_ptr(rbx + layout::TYPE)).unwrap();
            f.asm.mov(edx, dword_ptr(rbx + layout::ENTRY_SIZE)).unwrap();
            f.asm.mov(r8d, dword_ptr(rbx + layout::TAG)).unwrap();
            let _ = r8;
            f.asm.call(qword_ptr(rbx + layout::ALLOCATE)).unwrap();
            f.asm.set_label(&mut got).unwrap();
            f.asm.add(iced_x86::code_asm::rsp, 0x28).unwrap();
            f.asm.pop(rbx).unwrap();
        })
}

async fn nonpaged(k: &Kernel, size: u64) -> Outcome<Va> {
    let list = memory(k, layout::SIZE)?;
    let arguments = [list.get(), 0, 0, NON_PAGED_NX, size, TAG, 0];
    export(k, "ExInitializeNPagedLookasideList", &arguments).await?;
    Ok(list)
}

#[test]
fn inline_code_takes_entries_and_the_list_gives_back_what_it_has_when_it_is_deleted() {
    run(&taking(), 1, |k| async move {
        let list = nonpaged(&k, 40).await?;
        let take = async || k.call(Program::address(0), &[list.get()]).await;
        let (first, second) = (take().await?, take().await?);
        assert_ne!(first, second);
        k.write(Va(first) + 32_u64, 1_u64)?;
        assert_eq!(k.driver_allocations().len(), 2);
        assert_eq!(k.read::<u16>(list + layout::DEPTH)?, 0);
        export(&k, "ExFreePool", &[first]).await?;
        // A driver that pushes without regard to the depth is right as well.
        export(&k, "ExpInterlockedPushEntrySList", &[list.get(), second]).await?;
        assert_eq!(take().await?, second, "from the list");
        assert_eq!(k.read::<u32>(list + layout::TOTAL_ALLOCATES)?, 3);
        assert_eq!(k.read::<u32>(list + layout::ALLOCATE_MISSES)?, 2);
        export(&k, "ExpInterlockedPushEntrySList", &[list.get(), second]).await?;
        export(&k, "ExDeleteNPagedLookasideList", &[list.get()]).await?;
        assert!(k.driver_allocations().is_empty());
        Ok(())
    });
}

#[test]
fn the_counters_of_a_list_may_be_updated_without_a_lock() {
    for seed in 0..30 {
        run(&taking(), seed, |k| async move {
            let list = nonpaged(&k, 16).await?;
            let mut threads = Vec::new();
            for _ in 0..3 {
                threads.push(k.spawn(ThreadSpec::system("user"), move |k| async move {
                    for _ in 0..3 {
                        let entry = k.call(Program::address(0), &[list.get()]).await?;
                        export(&k, "ExFreePool", &[entry]).await?;
                    }
                    Ok(())
                }));
            }
            for thread in threads {
                k.join(thread).await?;
            }
            export(&k, "ExDeleteNPagedLookasideList", &[list.get()])
                .await
                .map(|_| ())
        });
    }
}

#[test]
fn a_list_of_the_extended_kind_calls_its_own_routines() {
    // Allocates what its fourth argument, the list, says where; frees by counting in the driver's data.
    let program = Program::default()
        .function(|f| f.load(rax, Program::data().get()))
        .function(|f| {
            f.load(rax, Program::data().get());
            f.asm.inc(qword_ptr(rax + 0x80)).unwrap();
        });
    run(&program, 1, |k| async move {
        let list = memory(&k, layout::POOL_SIZE)?;
        let [allocate, free] = [Program::address(0).get(), Program::address(1).get()];
        let arguments = |pool_type, flags| [list.get(), allocate, free, pool_type, flags, 32, TAG, 0];
        assert_eq!(
            export(&k, "ExInitializeLookasideListEx", &arguments(0x1_0000, 0)).await?,
            0xC000_00F2
        );
        assert_eq!(
            export(&k, "ExInitializeLookasideListEx", &arguments(1, 3)).await?,
            0xC000_00F3
        );
        assert_eq!(export(&k, "ExInitializeLookasideListEx", &arguments(1, 2)).await?, 0);
        assert_eq!(
            k.read::<u32>(list + layout::TYPE)?,
            1 | 8,
            "paged, and fails instead of raising"
        );
        assert_eq!(k.read::<u64>(list + layout::ALLOCATE)?, allocate);
        export(&k, "ExpInterlockedPushEntrySList", &[list.get(), Program::data().get()]).await?;
        export(&k, "ExFlushLookasideListEx", &[list.get()]).await?;
        assert_eq!(k.read::<u64>(Program::data() + 0x80_u64)?, 1);
        export(&k, "ExDeleteLookasideListEx", &[list.get()]).await.map(|_| ())
    });
}

#[test]
fn lists_without_routines_use_pool_of_their_type() {
    run(&idle(), 1, |k| async move {
        let list = memory(&k, layout::POOL_SIZE)?;
        let arguments = [list.get(), 0, 0, 1, 0, 32, TAG, 0];
        assert_eq!(export(&k, "ExInitializeLookasideListEx", &arguments).await?, 0);
        let allocate: Va = k.read(list + layout::ALLOCATE)?;
        let free: Va = k.read(list + layout::FREE)?;
        let entry = k.call(allocate, &[1, 32, TAG, list.get()]).await?;
        assert_eq!(k.driver_allocations()[0].kind, crate::mm::PoolKind::Paged);
        k.call(free, &[entry, list.get()]).await?;
        assert!(k.driver_allocations().is_empty());
        export(&k, "ExDeleteLookasideListEx", &[list.get()]).await?;
        let paged = memory(&k, layout::SIZE)?;
        export(
            &k,
            "ExInitializePagedLookasideList",
            &[paged.get(), 0, 0, 0, 64, TAG, 0],
        )
        .await?;
        assert_eq!(k.read::<u32>(paged + layout::TYPE)?, 1);
        export(&k, "ExDeletePagedLookasideList", &[paged.get()])
            .await
            .map(|_| ())
    });
}

#[test]
fn misuse_of_a_lookaside_list_is_told_by_kind() {
    let again: BugCheck = crash(|k| async move {
        let list = nonpaged(&k, 32).await?;
        let arguments = [list.get(), 0, 0, NON_PAGED_NX, 32, TAG, 0];
        export(&k, "ExInitializeNPagedLookasideList", &arguments)
            .await
            .map(|_| ())
    });
    assert_eq!((again.code.0, again.parameters[0]), (0xC4, 0xCA));
    let never = crash(|k| async move {
        let list = memory(&k, layout::SIZE)?;
        export(&k, "ExDeleteNPagedLookasideList", &[list.get()])
            .await
            .map(|_| ())
    });
    assert_eq!(never.parameters[0], 0xCB);
    let small = crash(|k| async move { nonpaged(&k, 4).await.map(|_| ()) });
    assert_eq!(
        (small.parameters[0], small.parameters[2], small.parameters[3]),
        (0xCD, 4, 8)
    );
    let freed = crash(|k| async move {
        let pool = export(&k, "ExAllocatePoolWithTag", &[NON_PAGED_NX, 0x200, TAG]).await?;
        let arguments = [pool, 0, 0, NON_PAGED_NX, 32, TAG, 0];
        export(&k, "ExInitializeNPagedLookasideList", &arguments).await?;
        export(&k, "ExFreePool", &[pool]).await.map(|_| ())
    });
    assert_eq!(freed.parameters[0], 0xCC);
}
