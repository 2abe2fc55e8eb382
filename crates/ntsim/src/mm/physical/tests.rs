//! Physical memory as drivers allocate it.

use ntlayout::mdl as layout;

use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    ddi::testing::{bugcheck_of, call, call_at, clean},
    io::driver::LoadedImage,
    ke::Irql,
    kernel::Kernel,
    mm::{PAGE_SIZE, Pa, Va, mdl},
};

const BELOW_4_GIB: u64 = 0xFFFF_FFFF;
const READ_WRITE: u64 = 0x04;
const NO_EXECUTE: u64 = 0x4000_0000;
const STALE: u64 = 0xA5A5_A5A5_A5A5_A5A5;

async fn physical(k: &Kernel, va: Va) -> Outcome<u64> {
    call(k, "MmGetPhysicalAddress", &[va.get()]).await
}

async fn contiguous(k: &Kernel, length: u64, highest: u64) -> Outcome<Va> {
    call(k, "MmAllocateContiguousMemory", &[length, highest]).await.map(Va)
}

#[test]
fn contiguous_memory_is_page_aligned_contiguous_and_within_reach() {
    clean(|k| async move {
        for highest in [BELOW_4_GIB, 0xFF_FFFF, u64::MAX] {
            let va = contiguous(&k, 3 * PAGE_SIZE + 1, highest).await?;
            assert!(!va.is_null());
            assert_eq!(va.offset_in_page(), 0);
            let first = physical(&k, va).await?;
            for page in 0..4 {
                assert_eq!(physical(&k, va + page * PAGE_SIZE).await?, first + page * PAGE_SIZE);
            }
            assert!(first + 4 * PAGE_SIZE - 1 <= highest);
            assert_eq!(k.read::<u64>(va)?, STALE, "it holds what was there");
            k.write(va + 3 * PAGE_SIZE, 7_u8)?;
            call(&k, "MmFreeContiguousMemory", &[va.get()]).await?;
        }
        assert_eq!(
            contiguous(&k, PAGE_SIZE, 0xFFFF).await?,
            Va::NULL,
            "nothing lies that low"
        );
        assert_eq!(
            contiguous(&k, 1 << 40, u64::MAX).await?,
            Va::NULL,
            "nor is there so much"
        );
        assert_eq!(contiguous(&k, 0, u64::MAX).await?, Va::NULL);
        Ok(())
    });
}

#[test]
fn a_boundary_is_not_crossed_and_a_lowest_address_is_kept_to() {
    clean(|k| async move {
        let arguments = [0x9000, 0x20_0000, 0x3F_FFFF, 0x1_0000, 1];
        for _ in 0..8 {
            let name = "MmAllocateContiguousMemorySpecifyCache";
            let va = Va(call(&k, name, &arguments).await?);
            let start = physical(&k, va).await?;
            assert!((0x20_0000..0x40_0000).contains(&start));
            assert_eq!(start / 0x1_0000, (start + 0x8FFF) / 0x1_0000);
            let arguments = [va.get(), 0x9000, 1];
            call(&k, "MmFreeContiguousMemorySpecifyCache", &arguments).await?;
        }
        let name = "MmAllocateContiguousMemorySpecifyCacheNode";
        assert_eq!(
            call(&k, name, &[0x9000, 0, u64::MAX, 0x3000, 1, 0]).await?,
            0,
            "no power of two"
        );
        let name = "MmAllocateContiguousNodeMemory";
        let high = call(&k, name, &[0x3000, 1 << 33, u64::MAX, 0x4000, READ_WRITE, 0]).await?;
        let start = physical(&k, Va(high)).await?;
        assert!(start >= 1 << 33 && start % 0x4000 <= 0x1000);
        let end = crate::mm::layout::POOL_PHYSICAL.0;
        let last = call(&k, name, &[0x2000, end - 0x2000, u64::MAX, 0, READ_WRITE, 0]).await?;
        assert_eq!(physical(&k, Va(last)).await?, end - 0x2000);
        let next = contiguous(&k, 0x2000, u64::MAX).await?;
        assert!(physical(&k, next).await? < end - 0x2000, "others are not pushed up");
        assert_eq!(
            call(&k, name, &[0x2000, u64::MAX - 1, u64::MAX, 0, READ_WRITE, 0]).await?,
            0
        );
        for va in [last, next.get()] {
            call(&k, "MmFreeContiguousMemory", &[va]).await?;
        }
        assert_eq!(
            call(&k, name, &[0x3000, 0, u64::MAX, 0, 0x02, 0]).await?,
            0,
            "read-only is not offered"
        );
        Ok(())
    });
}

#[test]
fn freed_contiguous_memory_is_gone() {
    let use_after_free = bugcheck_of(|k| async move {
        let va = contiguous(&k, 16, BELOW_4_GIB).await?;
        call(&k, "MmFreeContiguousMemory", &[va.get()]).await?;
        k.write(va, 1_u32)
    });
    assert_eq!(use_after_free.0, Code::PAGE_FAULT_IN_NONPAGED_AREA);

    let twice = bugcheck_of(|k| async move {
        let va = contiguous(&k, 16, BELOW_4_GIB).await?;
        for _ in 0..2 {
            call(&k, "MmFreeContiguousMemory", &[va.get()]).await?;
        }
        Ok(())
    });
    assert_eq!(twice, (Code::BAD_POOL_CALLER, 0x60, "contiguous-bad-free"));

    let other_length = bugcheck_of(|k| async move {
        let va = contiguous(&k, 0x2000, BELOW_4_GIB).await?;
        let arguments = [va.get(), 0x1000, 1];
        call(&k, "MmFreeContiguousMemorySpecifyCache", &arguments).await?;
        Ok(())
    });
    assert_eq!(other_length.2, "contiguous-length");
}

#[test]
fn contiguous_memory_is_allocated_at_dispatch_level_at_most() {
    clean(|k| async move {
        let va = call_at(&k, Irql::DISPATCH, "MmAllocateContiguousMemory", &[64, BELOW_4_GIB]).await?;
        call_at(&k, Irql::DISPATCH, "MmFreeContiguousMemory", &[va]).await?;
        Ok(())
    });
    let too_high = bugcheck_of(|k| async move {
        call_at(&k, Irql(5), "MmFreeContiguousMemory", &[0]).await?;
        Ok(())
    });
    assert_eq!(
        too_high,
        (Code::DRIVER_VERIFIER_DETECTED_VIOLATION, 0x2_001A, "irql-contract")
    );
}

#[test]
fn noncached_memory_lies_in_pages_apart() {
    clean(|k| async move {
        let va = Va(call(&k, "MmAllocateNonCachedMemory", &[0x2001]).await?);
        k.fill(va, 3, 0x3000)?;
        let (first, second) = (physical(&k, va).await?, physical(&k, va + PAGE_SIZE).await?);
        assert_ne!(second, first + PAGE_SIZE);
        call(&k, "MmFreeNonCachedMemory", &[va.get(), 0x2001]).await?;
        assert_eq!(physical(&k, va).await?, 0);
        assert_eq!(call(&k, "MmAllocateNonCachedMemory", &[1 << 40]).await?, 0);
        Ok(())
    });
    let mixed_up = bugcheck_of(|k| async move {
        let va = contiguous(&k, 0x1000, BELOW_4_GIB).await?;
        call(&k, "MmFreeNonCachedMemory", &[va.get(), 0x1000]).await?;
        Ok(())
    });
    assert_eq!(mixed_up.2, "noncached-bad-free");
    let at_dispatch = bugcheck_of(|k| async move {
        call_at(&k, Irql::DISPATCH, "MmAllocateNonCachedMemory", &[1]).await?;
        Ok(())
    });
    assert_eq!(at_dispatch.1, 0x2_0019);
}

/// An MDL of pages.
async fn pages(k: &Kernel, arguments: [u64; 6]) -> Outcome<Va> {
    call(k, "MmAllocatePagesForMdlEx", &arguments).await.map(Va)
}

async fn map(k: &Kernel, list: Va) -> Outcome<Va> {
    let arguments = [list.get(), 0, 1, 0, 0, NO_EXECUTE];
    call(k, "MmMapLockedPagesSpecifyCache", &arguments).await.map(Va)
}

#[test]
fn the_pages_of_an_mdl_are_zeroed_and_can_be_mapped() {
    clean(|k| async move {
        let list = Va(call(&k, "MmAllocatePagesForMdl", &[0, BELOW_4_GIB, 0, 0x2800]).await?);
        assert_eq!(k.read::<u32>(list + layout::BYTE_COUNT)?, 0x2800);
        let frames = mdl::frames(&k, list)?;
        assert_eq!(frames.len(), 3);
        assert!(frames.iter().all(|&Pa(frame)| frame < BELOW_4_GIB));
        assert_ne!(frames[1], frames[0] + PAGE_SIZE);
        let va = map(&k, list).await?;
        assert_eq!(k.read::<u64>(va + 0x2000_u64)?, 0);
        k.write(va, 0x1234_u16)?;
        assert_eq!(physical(&k, va).await?, frames[0].0);
        call(&k, "MmUnmapLockedPages", &[va.get(), list.get()]).await?;
        call(&k, "MmFreePagesFromMdl", &[list.get()]).await?;
        call(&k, "ExFreePool", &[list.get()]).await?;
        assert!(
            super::check_device(&k, frames[0], 4).is_err(),
            "a device must not touch it any more"
        );
        Ok(())
    });
}

#[test]
fn contiguous_chunks_are_aligned_and_full_requests_fail_when_there_is_less() {
    const DONT_ZERO: u64 = 1;
    const FULL: u64 = 4;
    const CHUNKS: u64 = 0x20;
    clean(|k| async move {
        let list = pages(&k, [0, u64::MAX, 0x4000, 0x8000, 1, CHUNKS | DONT_ZERO]).await?;
        let frames = mdl::frames(&k, list)?;
        for chunk in frames.chunks(4) {
            assert_eq!(chunk[0].0 % 0x4000, 0);
            assert_eq!(chunk[3], chunk[0] + 3 * PAGE_SIZE);
        }
        let va = map(&k, list).await?;
        assert_eq!(k.read::<u64>(va)?, STALE);
        let list = pages(&k, [0, u64::MAX, 0, 0x8000, 1, CHUNKS]).await?;
        let frames = mdl::frames(&k, list)?;
        assert!(frames.windows(2).all(|pair| pair[1] == pair[0] + PAGE_SIZE));

        // 1 MiB from 1 MiB on, and nothing more: the request is for two.
        let small = [0x10_0000, 0x20_0FFF, 0, 0x20_0000, 1];
        let list = pages(&k, [small[0], small[1], small[2], small[3], small[4], 0]).await?;
        assert_eq!(
            k.read::<u32>(list + layout::BYTE_COUNT)?,
            0x10_0000,
            "as much as there is"
        );
        assert_eq!(
            pages(&k, [small[0], small[1], small[2], small[3], small[4], FULL]).await?,
            Va::NULL
        );
        Ok(())
    });
}

#[test]
fn pages_are_freed_once_and_not_while_they_are_mapped() {
    let mapped = bugcheck_of(|k| async move {
        let list = pages(&k, [0, u64::MAX, 0, 0x1000, 1, 0]).await?;
        map(&k, list).await?;
        call(&k, "MmFreePagesFromMdl", &[list.get()]).await?;
        Ok(())
    });
    assert_eq!((mapped.1, mapped.2), (0xB8, "mdl-freed-mapped"));
    let twice = bugcheck_of(|k| async move {
        let list = pages(&k, [0, u64::MAX, 0, 0x1000, 1, 0]).await?;
        for _ in 0..2 {
            call(&k, "MmFreePagesFromMdl", &[list.get()]).await?;
        }
        Ok(())
    });
    assert_eq!(twice, (Code::PFN_LIST_CORRUPT, 7, "pages-freed-twice"));
    let too_high = bugcheck_of(|k| async move {
        call_at(&k, Irql(5), "MmFreePagesFromMdl", &[0]).await?;
        Ok(())
    });
    assert_eq!(too_high.1, 0x7E);
}

/// An image that the calls of the tests come from.
fn everywhere() -> LoadedImage {
    LoadedImage {
        base: crate::mm::layout::EXPORTS,
        size: 0x1000_0000,
        entry: Va::NULL,
    }
}

#[test]
fn what_is_not_freed_is_found_at_unload() {
    let left = bugcheck_of(|k| async move {
        contiguous(&k, 0x2000, BELOW_4_GIB).await?;
        super::check_leaks(&k, everywhere(), "test")
    });
    assert_eq!(left.2, "physical-memory-leak");
    let left = bugcheck_of(|k| async move {
        let list = pages(&k, [0, u64::MAX, 0, 0x1000, 1, 0]).await?;
        call(&k, "ExFreePool", &[list.get()]).await?;
        super::check_leaks(&k, everywhere(), "test")
    });
    assert_eq!(left.2, "physical-memory-leak");
}

#[test]
fn more_chunks_than_the_machine_can_have_are_none() {
    const CONTIGUOUS_CHUNKS: u64 = 0x20;
    clean(|k| async move {
        let arguments = [0, u64::MAX, PAGE_SIZE, 0x1000_0000, 1, CONTIGUOUS_CHUNKS];
        let list = call(&k, "MmAllocatePagesForMdlEx", &arguments).await?;
        assert_eq!(list, 0, "65536 chunks are too many");
        Ok(())
    });
}
