//! MDLs through the exports.

use ntlayout::mdl as layout;

use super::*;
use crate::{
    ddi::testing::{buffer, bugcheck_of, call, call_at, clean, status},
    status::NtStatus,
};

const TAG: u64 = 0x3174_7345;

/// An MDL of pages that nothing maps.
async fn pages(k: &Kernel, length: u64) -> Outcome<Va> {
    call(k, "MmAllocatePagesForMdl", &[0, u64::MAX, 0, length])
        .await
        .map(Va)
}

/// An MDL of nonpaged pool.
async fn of_pool(k: &Kernel, length: u64) -> Outcome<Va> {
    let va = buffer(k, usize::try_from(length).unwrap())?;
    let list = buffer(k, 0x60)?;
    initialize(k, list, va, u32::try_from(length).unwrap())?;
    call(k, "MmBuildMdlForNonPagedPool", &[list.get()]).await?;
    Ok(list)
}

#[test]
fn the_old_form_maps_locked_pages() {
    clean(|k| async move {
        let list = pages(&k, 0x1800).await?;
        let va = Va(call_at(&k, Irql::DISPATCH, "MmMapLockedPages", &[list.get(), 0]).await?);
        k.write(va + 0x17F8_u64, 1_u64)?;
        call(&k, "MmUnmapLockedPages", &[va.get(), list.get()]).await?;
        call(&k, "MmFreePagesFromMdl", &[list.get()]).await?;
        Ok(())
    });
    let too_high = bugcheck_of(|k| async move {
        let list = pages(&k, 0x1000).await?;
        call_at(&k, Irql(5), "MmMapLockedPages", &[list.get(), 0]).await?;
        Ok(())
    });
    assert_eq!((too_high.1, too_high.2), (0x74, "irql-contract"));
    let for_a_program = bugcheck_of(|k| async move {
        let list = pages(&k, 0x1000).await?;
        call(&k, "MmMapLockedPages", &[list.get(), 1]).await?;
        Ok(())
    });
    assert_eq!(for_a_program.2, "not-modelled");
}

#[test]
fn an_mdl_advances_within_a_page_and_past_pages() {
    clean(|k| async move {
        let list = pages(&k, 0x2800).await?;
        let frames = frames(&k, list)?;
        let va = Va(call(&k, "MmMapLockedPages", &[list.get(), 0]).await?);
        k.write(va + 0x1010_u64, 0x55_u8)?;
        let advance = async |bytes: u64| status(&k, "MmAdvanceMdl", &[list.get(), bytes]).await;
        assert_eq!(advance(0x10).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(list + layout::BYTE_OFFSET)?, 0x10);
        assert_eq!(advance(0x1000).await?, NtStatus::SUCCESS);
        let now = Fields::read(&k, list)?;
        assert_eq!((now.length, now.system), (0x17F0, va + 0x1010_u64));
        assert_eq!(super::frames(&k, list)?, frames[1..]);
        assert_eq!(k.read::<u8>(now.system)?, 0x55);
        assert_eq!(advance(0x17F1).await?, NtStatus::INVALID_PARAMETER_2);
        call(&k, "MmUnmapLockedPages", &[now.system.get(), list.get()]).await?;
        Ok(())
    });
    let passed = bugcheck_of(|k| async move {
        let list = pages(&k, 0x2000).await?;
        let va = Va(call(&k, "MmMapLockedPages", &[list.get(), 0]).await?);
        status(&k, "MmAdvanceMdl", &[list.get(), 0x1000]).await?;
        k.write(va, 0_u8)
    });
    assert_eq!(passed.2, "unmapped-memory");
}

#[test]
fn an_mdl_of_nonpaged_pool_advances_as_well() {
    clean(|k| async move {
        let list = of_pool(&k, 0x20).await?;
        let before = Fields::read(&k, list)?;
        let advanced = status(&k, "MmAdvanceMdl", &[list.get(), 0x20]).await?;
        assert_eq!(advanced, NtStatus::SUCCESS);
        let after = Fields::read(&k, list)?;
        assert_eq!((after.length, after.system), (0, before.system + 0x20_u64));
        Ok(())
    });
}

async fn reserve(k: &Kernel, length: u64) -> Outcome<Va> {
    call(k, "MmAllocateMappingAddress", &[length, TAG]).await.map(Va)
}

async fn map(k: &Kernel, at: Va, tag: u64, list: Va) -> Outcome<Va> {
    let arguments = [at.get(), tag, list.get(), 1];
    call(k, "MmMapLockedPagesWithReservedMapping", &arguments).await.map(Va)
}

#[test]
fn a_reserved_range_is_mapped_and_unmapped_and_freed() {
    clean(|k| async move {
        let at = reserve(&k, 0x1800).await?;
        let (small, large) = (pages(&k, 0x1000).await?, pages(&k, 0x3000).await?);
        assert_eq!(map(&k, at, TAG, large).await?, Va::NULL, "it does not fit");
        for _ in 0..2 {
            let va = map(&k, at, TAG, small).await?;
            assert_eq!(va, at);
            k.write(va, 1_u8)?;
            call(&k, "MmUnmapReservedMapping", &[at.get(), TAG, small.get()]).await?;
        }
        assert!(leftovers(&k)[0].to_string().contains("never freed"));
        call(&k, "MmFreeMappingAddress", &[at.get(), TAG]).await?;
        assert_eq!(leftovers(&k), []);
        Ok(())
    });
}

#[test]
fn misuse_of_a_reserved_range_has_its_codes() {
    type Case = (&'static str, u64);
    async fn misuse(k: &Kernel, name: &str) -> Outcome<()> {
        const OTHER: u64 = 0x99;
        let at = reserve(k, 0x1000).await?;
        let list = pages(k, 0x1000).await?;
        let (at_, list_) = (at.get(), list.get());
        match name {
            "nothing" => call(k, "MmAllocateMappingAddress", &[0, TAG]).await?,
            "free foreign" => call(k, "MmFreeMappingAddress", &[at_, OTHER]).await?,
            "free unknown" => call(k, "MmFreeMappingAddress", &[at_ + 0x1000, TAG]).await?,
            "map foreign" => map(k, at, OTHER, list).await?.get(),
            "map unknown" => map(k, list, TAG, list).await?.get(),
            "unmap foreign" => call(k, "MmUnmapReservedMapping", &[at_, OTHER, list_]).await?,
            "unmap unknown" => call(k, "MmUnmapReservedMapping", &[list_, TAG, list_]).await?,
            "unmap unmapped" => call(k, "MmUnmapReservedMapping", &[at_, TAG, list_]).await?,
            mapped => {
                map(k, at, TAG, list).await?;
                match mapped {
                    "free mapped" => call(k, "MmFreeMappingAddress", &[at_, TAG]).await?,
                    "map mapped" => map(k, at, TAG, pages(k, 0x1000).await?).await?.get(),
                    _ => call(k, "MmUnmapLockedPages", &[at_, list_]).await?,
                }
            }
        };
        Ok(())
    }
    let cases: [Case; 11] = [
        ("nothing", 0x100),
        ("free foreign", 0x101),
        ("free unknown", 0x102),
        ("free mapped", 0x103),
        ("map foreign", 0x104),
        ("map unknown", 0x105),
        ("map mapped", 0x107),
        ("unmap foreign", 0x108),
        ("unmap unknown", 0x109),
        ("unmap unmapped", 0x10B),
        ("unmap as another", 0x301),
    ];
    for (name, code) in cases {
        let crash = bugcheck_of(move |k| async move { misuse(&k, name).await });
        assert_eq!((crash.0, crash.1), (Code::SYSTEM_PTE_MISUSE, code), "{name}");
    }
}

#[test]
fn a_page_frame_number_that_is_made_up_is_not_mapped() {
    for number in [u64::MAX, 1 << 50, 0x7_0000_0000] {
        let end = bugcheck_of(move |k| async move {
            let list = of_pool(&k, 0x1000).await?;
            set_flags(&k, list, PAGES_LOCKED, SOURCE_IS_NONPAGED_POOL)?;
            k.write(list + layout::SIZE, number)?;
            call(&k, "MmMapLockedPages", &[list.get(), 0]).await?;
            Ok(())
        });
        assert_eq!(end, (Code::PFN_LIST_CORRUPT, 2, "mdl-page-does-not-exist"));
    }
}
