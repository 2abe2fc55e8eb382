//! Counted strings: made, appended to, compared, changed.

use ntlayout::unicode_string as layout;

use crate::{
    kernel::Kernel,
    mm::Va,
    rtl::testing::{
        buffer, bytes_of, call, counted, counted_bytes, counted_narrow, counted_text, int, narrow, room, run, status,
        wide,
    },
    rtl::unicode_string::encode,
    status::NtStatus,
};

/// Length, maximum length and buffer of a counted string.
fn fields(k: &Kernel, at: u64) -> crate::bugcheck::Outcome<(u16, u16, u64)> {
    let at = Va(at);
    Ok((
        k.read(at + layout::LENGTH)?,
        k.read(at + layout::MAXIMUM_LENGTH)?,
        k.read(at + layout::BUFFER)?,
    ))
}

#[test]
fn initialising_measures_narrow_and_wide_text() {
    run(|k| async move {
        let string = buffer(&k, 16)?;
        let text = narrow(&k, "abc")?;
        for name in ["RtlInitString", "RtlInitAnsiString", "RtlInitUTF8String"] {
            call(&k, name, &[string, text]).await?;
            assert_eq!(fields(&k, string)?, (3, 4, text), "{name}");
        }
        for name in ["RtlInitStringEx", "RtlInitAnsiStringEx", "RtlInitUTF8StringEx"] {
            assert_eq!(status(&k, name, &[string, 0]).await?, NtStatus::SUCCESS);
            assert_eq!(fields(&k, string)?, (0, 0, 0), "{name}");
        }
        let text = wide(&k, "ab")?;
        assert_eq!(
            status(&k, "RtlInitUnicodeStringEx", &[string, text]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(fields(&k, string)?, (4, 6, text));

        let long = narrow(&k, vec![b'x'; 0x1_0000])?;
        assert_eq!(
            status(&k, "RtlInitAnsiStringEx", &[string, long]).await?,
            NtStatus::NAME_TOO_LONG
        );
        call(&k, "RtlInitAnsiString", &[string, long]).await?;
        assert_eq!(fields(&k, string)?, (0xFFFE, 0xFFFF, long), "cut off");
        Ok(())
    });
}

#[test]
fn appending_is_all_or_nothing() {
    run(|k| async move {
        let to = counted_bytes(&k, &encode("ab"), 10)?;
        let more = wide(&k, "cd")?;
        assert_eq!(
            status(&k, "RtlAppendUnicodeToString", &[to, more]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(counted_text(&k, to)?, "abcd");
        let (_, _, at) = fields(&k, to)?;
        assert_eq!(k.read::<u16>(Va(at) + 8_u64)?, 0, "a terminator, as there is room");
        let refused = status(&k, "RtlAppendUnicodeToString", &[to, more]).await?;
        assert_eq!(
            (refused, counted_text(&k, to)?),
            (NtStatus::BUFFER_TOO_SMALL, "abcd".to_owned())
        );
        let one = counted(&k, "e")?;
        assert_eq!(
            status(&k, "RtlAppendUnicodeStringToString", &[to, one]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(counted_text(&k, to)?, "abcde");
        assert_eq!(
            status(&k, "RtlAppendUnicodeToString", &[to, 0]).await?,
            NtStatus::SUCCESS
        );

        let to = counted_bytes(&k, b"a", 4)?;
        let more = counted_narrow(&k, "bc")?;
        assert_eq!(
            status(&k, "RtlAppendStringToString", &[to, more]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(bytes_of(&k, to)?, b"abc");
        let (_, _, at) = fields(&k, to)?;
        assert_eq!(k.read::<u8>(Va(at) + 3_u64)?, b'#', "no terminator");
        let text = narrow(&k, "de")?;
        assert_eq!(
            status(&k, "RtlAppendAsciizToString", &[to, text]).await?,
            NtStatus::BUFFER_TOO_SMALL
        );
        assert_eq!(
            status(&k, "RtlAppendAsciizToString", &[to, narrow(&k, "d")?]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(bytes_of(&k, to)?, b"abcd");

        let to = room(&k, 2)?;
        call(&k, "RtlCopyString", &[to, counted_narrow(&k, "xyz")?]).await?;
        assert_eq!(bytes_of(&k, to)?, b"xy");
        call(&k, "RtlCopyString", &[to, 0]).await?;
        assert_eq!(bytes_of(&k, to)?, b"");
        Ok(())
    });
}

#[test]
fn copies_of_strings_are_the_drivers_to_free() {
    run(|k| async move {
        let source = counted(&k, "ab")?;
        let copy = buffer(&k, 16)?;
        let duplicate = async |flags, source| status(&k, "RtlDuplicateUnicodeString", &[flags, source, copy]).await;
        assert_eq!(duplicate(0, source).await?, NtStatus::SUCCESS);
        assert_eq!((fields(&k, copy)?.1, counted_text(&k, copy)?), (4, "ab".to_owned()));
        assert_eq!(k.driver_allocations().len(), 1);
        call(&k, "RtlFreeUnicodeString", &[copy]).await?;
        assert_eq!(duplicate(1, source).await?, NtStatus::SUCCESS);
        let (length, maximum, at) = fields(&k, copy)?;
        assert_eq!((length, maximum, k.read::<u16>(Va(at) + 4_u64)?), (4, 6, 0));
        call(&k, "RtlFreeUnicodeString", &[copy]).await?;
        let empty = counted(&k, "")?;
        assert_eq!(duplicate(1, empty).await?, NtStatus::SUCCESS);
        assert_eq!(fields(&k, copy)?, (0, 0, 0));
        assert_eq!(duplicate(3, empty).await?, NtStatus::SUCCESS);
        assert_eq!(fields(&k, copy)?.1, 2);
        call(&k, "RtlFreeUnicodeString", &[copy]).await?;
        assert_eq!(duplicate(2, source).await?, NtStatus::INVALID_PARAMETER);

        assert_eq!(int(&k, "RtlCreateUnicodeString", &[copy, wide(&k, "xyz")?]).await?, 1);
        assert_eq!((fields(&k, copy)?.1, counted_text(&k, copy)?), (8, "xyz".to_owned()));
        call(&k, "RtlFreeUnicodeString", &[copy]).await?;
        assert!(k.driver_allocations().is_empty());
        Ok(())
    });
}

#[test]
fn strings_are_compared_with_and_without_their_case() {
    run(|k| async move {
        for (make, family) in [
            (
                counted as fn(&Kernel, &str) -> crate::bugcheck::Outcome<u64>,
                [
                    "RtlCompareUnicodeString",
                    "RtlEqualUnicodeString",
                    "RtlPrefixUnicodeString",
                ],
            ),
            (
                |k, text| counted_narrow(k, text),
                ["RtlCompareString", "RtlEqualString", "RtlPrefixString"],
            ),
        ] {
            let [compare, equal, prefix] = family;
            let (lower, upper, longer) = (make(&k, "abc")?, make(&k, "ABC")?, make(&k, "abcd")?);
            assert_eq!(int(&k, compare, &[lower, lower, 0]).await?, 0);
            assert!(int(&k, compare, &[upper, lower, 0]).await? < 0);
            assert_eq!(int(&k, compare, &[upper, lower, 1]).await?, 0);
            assert!(int(&k, compare, &[longer, lower, 0]).await? > 0);
            assert_eq!(int(&k, equal, &[upper, lower, 0]).await?, 0);
            assert_eq!(int(&k, equal, &[upper, lower, 1]).await?, 1);
            assert_eq!(int(&k, equal, &[longer, lower, 1]).await?, 0);
            assert_eq!(int(&k, prefix, &[lower, longer, 0]).await?, 1);
            assert_eq!(int(&k, prefix, &[upper, longer, 0]).await?, 0);
            assert_eq!(int(&k, prefix, &[upper, longer, 1]).await?, 1);
            assert_eq!(int(&k, prefix, &[longer, lower, 0]).await?, 0);
        }
        let (end, text) = (counted(&k, "BC")?, counted(&k, "abc")?);
        assert_eq!(int(&k, "RtlSuffixUnicodeString", &[end, text, 1]).await?, 1);
        assert_eq!(int(&k, "RtlSuffixUnicodeString", &[end, text, 0]).await?, 0);
        let (first, second) = (wide(&k, "abX")?, wide(&k, "ABy")?);
        let compare =
            async |length, folds| int(&k, "RtlCompareUnicodeStrings", &[first, length, second, length, folds]).await;
        assert_eq!(compare(2, 1).await?, 0);
        assert!(compare(3, 1).await? < 0);
        assert!(compare(2, 0).await? > 0);
        Ok(())
    });
}

#[test]
fn case_is_changed_by_character_and_by_string() {
    run(|k| async move {
        assert_eq!(int(&k, "RtlUpcaseUnicodeChar", &[0xFC]).await?, 0xDC);
        assert_eq!(int(&k, "RtlDowncaseUnicodeChar", &[0xDC]).await?, 0xFC);
        assert_eq!(int(&k, "RtlUpperChar", &[0xFC]).await?, 0xDC);
        assert_eq!(int(&k, "RtlUpperChar", &[0xFF]).await?, 0x9F, "by the code page");
        let (source, to) = (counted(&k, "aÜ")?, buffer(&k, 16)?);
        for (name, expected) in [("RtlUpcaseUnicodeString", "AÜ"), ("RtlDowncaseUnicodeString", "aü")] {
            assert_eq!(status(&k, name, &[to, source, 1]).await?, NtStatus::SUCCESS);
            assert_eq!((fields(&k, to)?.1, counted_text(&k, to)?), (4, expected.to_owned()));
            call(&k, "RtlFreeUnicodeString", &[to]).await?;
            let small = room(&k, 2)?;
            assert_eq!(status(&k, name, &[small, source, 0]).await?, NtStatus::BUFFER_OVERFLOW);
            let large = room(&k, 4)?;
            assert_eq!(status(&k, name, &[large, source, 0]).await?, NtStatus::SUCCESS);
            assert_eq!(counted_text(&k, large)?, expected);
        }
        let to = room(&k, 2)?;
        call(&k, "RtlUpperString", &[to, counted_narrow(&k, "xyz")?]).await?;
        assert_eq!(bytes_of(&k, to)?, b"XY");
        Ok(())
    });
}

#[test]
fn a_hash_is_that_of_the_documented_algorithm() {
    run(|k| async move {
        let (text, value) = (counted(&k, "Ab")?, buffer(&k, 4)?);
        let hash = async |folds, algorithm| {
            let answer = status(&k, "RtlHashUnicodeString", &[text, folds, algorithm, value]).await?;
            Ok((answer, k.read::<u32>(Va(value))?))
        };
        assert_eq!(hash(0, 0).await?, (NtStatus::SUCCESS, 65 * 65599 + 98));
        assert_eq!(hash(1, 1).await?, (NtStatus::SUCCESS, 65 * 65599 + 66));
        assert_eq!(hash(0, 2).await?.0, NtStatus::INVALID_PARAMETER);
        Ok(())
    });
}

#[test]
fn a_string_is_valid_when_its_lengths_fit() {
    run(|k| async move {
        let string = buffer(&k, 16)?;
        for (length, maximum, at, valid) in [
            (2_u16, 4_u16, string, true),
            (0, 0, 0, true),
            (3, 4, string, false),
            (2, 3, string, false),
            (4, 2, string, false),
            (0, 2, 0, false),
        ] {
            k.write(Va(string) + layout::LENGTH, length)?;
            k.write(Va(string) + layout::MAXIMUM_LENGTH, maximum)?;
            k.write(Va(string) + layout::BUFFER, at)?;
            let answer = status(&k, "RtlValidateUnicodeString", &[0, string]).await?;
            assert_eq!(answer == NtStatus::SUCCESS, valid, "{length} {maximum}");
        }
        assert_eq!(
            status(&k, "RtlValidateUnicodeString", &[1, string]).await?,
            NtStatus::INVALID_PARAMETER
        );
        Ok(())
    });
}
