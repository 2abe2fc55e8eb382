//! Views of physical memory and of the paging file, and a process's memory.

use super::*;
use crate::ob::testing::{call, close, memory, open, run};

const CURRENT_PROCESS: u64 = u64::MAX;
const PAGE_READWRITE: u64 = 4;

/// `ZwMapViewOfSection` of `length` bytes from `offset` on: its status, where the view is, where it begins and how long it is.
async fn map(k: &Kernel, section: Handle, offset: u64, length: u64) -> Outcome<(NtStatus, Va, u64, u64)> {
    let (base, at, size) = (memory(k, 8)?, memory(k, 8)?, memory(k, 8)?);
    k.write(at, offset)?;
    k.write(size, length)?;
    let arguments = [
        section.0,
        CURRENT_PROCESS,
        base.get(),
        0,
        length,
        at.get(),
        size.get(),
        2,
        0,
        PAGE_READWRITE,
    ];
    let status = call(k, "ZwMapViewOfSection", &arguments).await?;
    Ok((status, k.read(base)?, k.read(at)?, k.read(size)?))
}

#[test]
fn a_view_of_physical_memory_shows_what_lies_there() {
    run(|k| async move {
        let block = k.allocate_pages(0x2000, "test");
        k.write(block + 0x1010_u64, 0x1234_5678_u32)?;
        let (physical, _) = k.watch().space.borrow().translate(block, 1).unwrap();
        let section = open(&k, "ZwOpenSection", "\\Device\\PhysicalMemory", &[])
            .await?
            .unwrap();
        let (status, base, begin, length) = map(&k, section, physical.0 + 0x1010, 4).await?;
        assert_eq!(
            (status, begin, length),
            (NtStatus::SUCCESS, physical.0 + 0x1000, 0x1000)
        );
        assert!(
            !base.is_system(),
            "a view is in the process's part of the address space"
        );
        assert_eq!(k.read::<u32>(base + 0x10_u64)?, 0x1234_5678);
        k.write(base + 0x10_u64, 7_u32)?;
        assert_eq!(k.read::<u32>(block + 0x1010_u64)?, 7);
        let unmap = [CURRENT_PROCESS, base.get()];
        assert_eq!(call(&k, "ZwUnmapViewOfSection", &unmap).await?, NtStatus::SUCCESS);
        assert_eq!(
            call(&k, "ZwUnmapViewOfSection", &unmap).await?,
            NtStatus::NOT_MAPPED_VIEW
        );
        let (status, base, ..) = map(&k, section, 0xF_0000, 0x1_0000).await?;
        assert_eq!(status, NtStatus::SUCCESS, "firmware has its tables there");
        assert_eq!(k.read::<u64>(base + 0xFFF0_u64)?, 0);
        call(&k, "ZwUnmapViewOfSection", &[CURRENT_PROCESS, base.get()]).await?;
        close(&k, section).await
    });
}

#[test]
fn a_section_of_the_paging_file_is_memory_that_its_views_share() {
    run(|k| async move {
        let maximum = memory(&k, 8)?;
        k.write(maximum, 0x2_0001_u64)?;
        let more = [maximum.get(), PAGE_READWRITE, 0x0800_0000, 0];
        let section = open(&k, "ZwCreateSection", "\\BaseNamedObjects\\Shared", &more)
            .await?
            .unwrap();
        let (_, first, _, length) = map(&k, section, 0, 0).await?;
        assert_eq!(length, 0x2_1000);
        let (_, second, begin, length) = map(&k, section, 0x1_2000, 0x1000).await?;
        assert_eq!((begin, length), (0x1_0000, 0x3000));
        k.write(first + 0x1_0008_u64, 5_u64)?;
        assert_eq!(k.read::<u64>(second + 8_u64)?, 5);
        let (beyond, ..) = map(&k, section, 0x2_0000, 0x2000).await?;
        assert_eq!(beyond, NtStatus::INVALID_VIEW_SIZE);
        let again = open(&k, "ZwOpenSection", "\\BaseNamedObjects\\shared", &[])
            .await?
            .unwrap();
        close(&k, again).await?;
        close(&k, section).await?;
        let gone = open(&k, "ZwOpenSection", "\\BaseNamedObjects\\Shared", &[]).await?;
        assert_eq!(gone, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        // A view stays without its section.
        assert_eq!(k.read::<u64>(second + 8_u64)?, 5);
        Ok(())
    });
}

#[test]
fn a_process_is_given_memory_and_gives_it_back_as_a_whole() {
    run(|k| async move {
        let (base, size) = (memory(&k, 8)?, memory(&k, 8)?);
        k.write(size, 0x1001_u64)?;
        let arguments = [CURRENT_PROCESS, base.get(), 0, size.get(), 0x3000, PAGE_READWRITE];
        assert_eq!(
            call(&k, "ZwAllocateVirtualMemory", &arguments).await?,
            NtStatus::SUCCESS
        );
        let (start, length): (Va, u64) = (k.read(base)?, k.read(size)?);
        assert_eq!(length, 0x2000);
        k.write(start + 0x1FF8_u64, 1_u64)?;
        k.write(base, start + 0x1000_u64)?;
        k.write(size, 0_u64)?;
        let release = [CURRENT_PROCESS, base.get(), size.get(), 0x8000];
        assert_eq!(
            call(&k, "ZwFreeVirtualMemory", &release).await?,
            NtStatus::FREE_VM_NOT_AT_BASE
        );
        k.write(base, start)?;
        assert_eq!(call(&k, "ZwFreeVirtualMemory", &release).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u64>(size)?, 0x2000);
        assert_eq!(
            call(&k, "ZwFreeVirtualMemory", &release).await?,
            NtStatus::MEMORY_NOT_ALLOCATED
        );
        Ok(())
    });
}

#[test]
fn more_memory_than_the_machine_has_is_refused() {
    run(|k| async move {
        let (base, size, handle) = (memory(&k, 8)?, memory(&k, 8)?, memory(&k, 8)?);
        k.write(size, 3_u64 << 30)?;
        let allocate = [CURRENT_PROCESS, base.get(), 0, size.get(), 0x1000, PAGE_READWRITE];
        let status = call(&k, "ZwAllocateVirtualMemory", &allocate).await?;
        assert_eq!((status, k.read(base)?), (NtStatus::NO_MEMORY, Va::NULL));
        let create = [
            handle.get(),
            0xF_001F,
            0,
            size.get(),
            PAGE_READWRITE,
            SEC_COMMIT.into(),
            0,
        ];
        let status = call(&k, "ZwCreateSection", &create).await?;
        assert_eq!((status, k.read(handle)?), (NtStatus::SECTION_TOO_BIG, Va::NULL));
        Ok(())
    });
}
