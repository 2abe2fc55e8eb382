//! Blocks of memory.

use crate::{
    mm::Va,
    rtl::testing::{buffer, bugcheck_of, call, int, narrow, run},
};

#[test]
fn memory_is_compared_up_to_the_first_difference() {
    run(|k| async move {
        let (first, second) = (narrow(&k, "abcX")?, narrow(&k, "abcY")?);
        assert_eq!(call(&k, "RtlCompareMemory", &[first, second, 4]).await?, 3);
        assert_eq!(call(&k, "RtlCompareMemory", &[first, second, 3]).await?, 3);
        assert_eq!(call(&k, "RtlCompareMemory", &[first, second, 0]).await?, 0);
        let numbers = buffer(&k, 12)?;
        call(&k, "RtlFillMemoryUlong", &[numbers, 8, 0x1234_5678]).await?;
        assert_eq!(call(&k, "RtlCompareMemoryUlong", &[numbers, 12, 0x1234_5678]).await?, 8);
        assert_eq!(call(&k, "RtlCompareMemoryUlong", &[numbers, 7, 0x1234_5678]).await?, 4);
        Ok(())
    });
}

#[test]
fn memory_is_filled_cleared_and_copied() {
    run(|k| async move {
        let at = buffer(&k, 8)?;
        let bytes = || k.read_bytes(Va(at), 8);
        call(&k, "RtlFillMemory", &[at, 3, b'x'.into()]).await?;
        assert_eq!(bytes()?, b"xxx#####");
        call(&k, "RtlZeroMemory", &[at + 1, 2]).await?;
        assert_eq!(bytes()?, b"x\0\0#####");
        assert_eq!(call(&k, "RtlSecureZeroMemory", &[at, 4]).await?, at);
        assert_eq!(bytes()?, b"\0\0\0\0####");
        assert_eq!(int(&k, "RtlIsZeroMemory", &[at, 4]).await?, 1);
        assert_eq!(int(&k, "RtlIsZeroMemory", &[at, 5]).await?, 0);
        call(&k, "RtlFillMemoryUlonglong", &[at, 8, u64::from_le_bytes(*b"abcdefgh")]).await?;
        call(&k, "RtlMoveMemory", &[at + 1, at, 3]).await?;
        assert_eq!(bytes()?, b"aabcefgh", "the blocks may overlap");
        let from = narrow(&k, "12")?;
        call(&k, "RtlCopyMemory", &[at, from, 2]).await?;
        call(&k, "RtlCopyMemoryNonTemporal", &[at + 6, from, 2]).await?;
        assert_eq!(bytes()?, b"12bcef12");
        call(&k, "RtlPrefetchMemoryNonTemporal", &[at, 8]).await?;
        assert_eq!(bytes()?, b"12bcef12");
        Ok(())
    });
}

/// A length below zero is a length of 16 EiB: the run ends at the first byte that is nobody's.
#[test]
fn a_length_that_is_negative_ends_at_the_end_of_the_memory() {
    for (name, length) in [
        ("RtlZeroMemory", 1),
        ("RtlFillMemory", 1),
        ("RtlFillMemoryUlong", 1),
        ("RtlMoveMemory", 2),
        ("RtlIsZeroMemory", 1),
        ("RtlCompareMemory", 2),
        ("memset", 2),
        ("memchr", 2),
    ] {
        let (_, _, rule) = bugcheck_of(move |k| async move {
            let at = buffer(&k, 8)?;
            let mut arguments = [at, at, at];
            arguments[length] = u64::MAX;
            call(&k, name, &arguments).await.map(|_| ())
        });
        assert!(rule.starts_with("pool") || rule.contains("memory"), "{name}: {rule}");
    }
}
