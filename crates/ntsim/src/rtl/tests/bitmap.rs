//! Bitmaps.

use ntlayout::rtl_bitmap as layout;

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::Va,
    rtl::testing::{buffer, call, int, run},
};

const NONE: i32 = -1;

/// A bitmap of 40 bits, of which those listed are set.
async fn bitmap(k: &Kernel, set: &[u64]) -> Outcome<u64> {
    let (header, bits) = (buffer(k, layout::SIZE)?, buffer(k, 8)?);
    call(k, "RtlInitializeBitMap", &[header, bits, 40]).await?;
    call(k, "RtlClearAllBits", &[header]).await?;
    assert_eq!(k.read::<u64>(Va(bits))?, 0, "whole words");
    for &index in set {
        call(k, "RtlSetBit", &[header, index]).await?;
    }
    Ok(header)
}

#[test]
fn bits_are_set_cleared_and_tested() {
    run(|k| async move {
        let map = bitmap(&k, &[3]).await?;
        let test = async |index| int(&k, "RtlTestBit", &[map, index]).await;
        assert_eq!((test(3).await?, test(4).await?), (1, 0));
        call(&k, "RtlClearBit", &[map, 3]).await?;
        assert_eq!(test(3).await?, 0);
        call(&k, "RtlSetBits", &[map, 6, 20]).await?;
        assert_eq!(
            (test(5).await?, test(6).await?, test(25).await?, test(26).await?),
            (0, 1, 1, 0)
        );
        call(&k, "RtlClearBits", &[map, 8, 2]).await?;
        assert_eq!(int(&k, "RtlNumberOfSetBits", &[map]).await?, 18);
        assert_eq!(int(&k, "RtlNumberOfClearBits", &[map]).await?, 22);
        assert_eq!(int(&k, "RtlNumberOfSetBitsUlongPtr", &[0xF0F0]).await?, 8);
        for (name, start, count, expected) in [
            ("RtlAreBitsSet", 6, 2, 1),
            ("RtlAreBitsSet", 6, 3, 0),
            ("RtlAreBitsSet", 6, 0, 0),
            ("RtlAreBitsClear", 26, 14, 1),
            ("RtlAreBitsClear", 26, 15, 0),
            ("RtlAreBitsClear", 8, 3, 0),
        ] {
            assert_eq!(
                int(&k, name, &[map, start, count]).await?,
                expected,
                "{name} {start} {count}"
            );
        }
        call(&k, "RtlSetAllBits", &[map]).await?;
        assert_eq!(int(&k, "RtlNumberOfSetBits", &[map]).await?, 40);
        Ok(())
    });
}

#[test]
fn ranges_are_looked_for_from_the_hint_and_then_from_the_start() {
    run(|k| async move {
        let map = bitmap(&k, &[4, 5, 10, 39]).await?;
        let find = async |name, count, hint| int(&k, name, &[map, count, hint]).await;
        assert_eq!(find("RtlFindClearBits", 4, 0).await?, 0);
        assert_eq!(find("RtlFindClearBits", 5, 0).await?, 11);
        assert_eq!(find("RtlFindClearBits", 4, 36).await?, 0, "from the start again");
        assert_eq!(find("RtlFindClearBits", 29, 0).await?, NONE);
        assert_eq!(find("RtlFindSetBits", 2, 0).await?, 4);
        assert_eq!(find("RtlFindSetBits", 1, 6).await?, 10);
        assert_eq!(find("RtlFindSetBits", 3, 0).await?, NONE);
        assert_eq!(find("RtlFindClearBitsAndSet", 2, 0).await?, 0);
        assert_eq!(
            find("RtlFindClearBitsAndSet", 2, 0).await?,
            2,
            "the first ones are taken"
        );
        assert_eq!(find("RtlFindSetBitsAndClear", 6, 0).await?, 0);
        assert_eq!(int(&k, "RtlNumberOfSetBits", &[map]).await?, 2);
        Ok(())
    });
}

#[test]
fn runs_of_clear_bits_are_found_by_size_and_place() {
    run(|k| async move {
        let map = bitmap(&k, &[4, 5, 10, 39]).await?;
        let start = buffer(&k, 4)?;
        let at_start = || k.read::<u32>(Va(start));
        assert_eq!(
            (int(&k, "RtlFindLongestRunClear", &[map, start]).await?, at_start()?),
            (28, 11)
        );
        assert_eq!(
            (int(&k, "RtlFindFirstRunClear", &[map, start]).await?, at_start()?),
            (4, 0)
        );
        let forward = async |from| {
            Ok((
                int(&k, "RtlFindNextForwardRunClear", &[map, from, start]).await?,
                at_start()?,
            ))
        };
        assert_eq!((forward(2).await?, forward(4).await?), ((2, 2), (4, 6)));
        assert_eq!(forward(39).await?.0, 0);
        let backward = async |from| {
            Ok((
                int(&k, "RtlFindLastBackwardRunClear", &[map, from, start]).await?,
                at_start()?,
            ))
        };
        assert_eq!(
            (backward(10).await?, backward(7).await?, backward(2).await?),
            ((4, 6), (2, 6), (3, 0))
        );
        let runs = Va(buffer(&k, 16)?);
        assert_eq!(int(&k, "RtlFindClearRuns", &[map, runs.get(), 2, 0]).await?, 2);
        let read = || -> Outcome<Vec<u32>> { (0..4_u64).map(|index| k.read(runs + 4 * index)).collect::<Outcome<_>>() };
        assert_eq!(read()?, [0, 4, 6, 4]);
        assert_eq!(int(&k, "RtlFindClearRuns", &[map, runs.get(), 2, 1]).await?, 2);
        assert_eq!(read()?, [11, 28, 0, 4]);
        Ok(())
    });
}
