//! Numbers as text, GUIDs, random numbers, bits.

use crate::{
    mm::Va,
    rtl::testing::{buffer, call, counted, counted_text, int, narrow, negative, room, run, status},
    status::NtStatus,
};

#[test]
fn numbers_become_text_in_the_documented_bases() {
    run(|k| async move {
        for (name, number, base, expected) in [
            ("RtlIntegerToUnicodeString", 0xBEEF, 16, "BEEF"),
            ("RtlIntegerToUnicodeString", negative(-1), 10, "4294967295"),
            ("RtlIntegerToUnicodeString", 0, 0, "0"),
            ("RtlIntegerToUnicodeString", 5, 2, "101"),
            ("RtlInt64ToUnicodeString", 0x1_0000_0000, 8, "40000000000"),
        ] {
            let to = room(&k, 64)?;
            assert_eq!(status(&k, name, &[number, base, to]).await?, NtStatus::SUCCESS);
            assert_eq!(counted_text(&k, to)?, expected);
        }
        let small = room(&k, 4)?;
        let refused = status(&k, "RtlIntegerToUnicodeString", &[123, 10, small]).await?;
        assert_eq!(refused, NtStatus::BUFFER_OVERFLOW);
        let refused = status(&k, "RtlIntegerToUnicodeString", &[1, 7, small]).await?;
        assert_eq!(refused, NtStatus::INVALID_PARAMETER);
        Ok(())
    });
}

/// The documentation's own examples, and the prefixes.
#[test]
fn text_becomes_numbers() {
    run(|k| async move {
        let value = buffer(&k, 4)?;
        for (text, base, expected) in [
            ("123", 10, 123),
            ("-345", 10, -345),
            ("xyz", 10, 0),
            ("+678abc", 10, 678),
            ("+678abc", 16, 6_785_724),
            ("007", 10, 7),
            ("789", 8, 7),
            ("FGH", 16, 15),
            (" ", 10, 0),
            ("  0x1f", 0, 31),
            ("0o17", 0, 15),
            ("0b101", 0, 5),
            ("12", 0, 12),
        ] {
            let arguments = [counted(&k, text)?, base, value];
            assert_eq!(
                status(&k, "RtlUnicodeStringToInteger", &arguments).await?,
                NtStatus::SUCCESS
            );
            assert_eq!(k.read::<i32>(Va(value))?, expected, "{text}");
            let arguments = [narrow(&k, text)?, base, value];
            assert_eq!(status(&k, "RtlCharToInteger", &arguments).await?, NtStatus::SUCCESS);
            assert_eq!(k.read::<i32>(Va(value))?, expected, "{text}");
        }
        let empty = status(&k, "RtlUnicodeStringToInteger", &[counted(&k, "")?, 10, value]).await?;
        assert_eq!(empty, NtStatus::INVALID_PARAMETER);
        let base = status(&k, "RtlUnicodeStringToInteger", &[counted(&k, "1")?, 3, value]).await?;
        assert_eq!(base, NtStatus::INVALID_PARAMETER);
        Ok(())
    });
}

#[test]
fn a_guid_goes_to_text_and_back() {
    const TEXT: &str = "{4d36e97d-e325-11ce-bfc1-08002be10318}";
    run(|k| async move {
        let (guid, text) = (buffer(&k, 16)?, buffer(&k, 16)?);
        assert_eq!(
            status(&k, "RtlGUIDFromString", &[counted(&k, TEXT)?, guid]).await?,
            NtStatus::SUCCESS
        );
        let expected = [
            0x7D, 0xE9, 0x36, 0x4D, 0x25, 0xE3, 0xCE, 0x11, 0xBF, 0xC1, 8, 0, 0x2B, 0xE1, 3, 0x18,
        ];
        assert_eq!(k.read_bytes(Va(guid), 16)?, expected);
        assert_eq!(status(&k, "RtlStringFromGUID", &[guid, text]).await?, NtStatus::SUCCESS);
        assert_eq!(counted_text(&k, text)?, TEXT);
        call(&k, "RtlFreeUnicodeString", &[text]).await?;
        for wrong in [
            &TEXT[1..],
            "{4d36e97d-e325-11ce-bfc1-08002be1031}",
            "{4d36e97d-e325-11ce-bfc1-08002be1031x}",
        ] {
            let refused = status(&k, "RtlGUIDFromString", &[counted(&k, wrong)?, guid]).await?;
            assert_eq!(refused, NtStatus::INVALID_PARAMETER, "{wrong}");
        }
        Ok(())
    });
}

#[test]
fn random_numbers_are_the_seeds() {
    run(|k| async move {
        let seed = buffer(&k, 4)?;
        for name in ["RtlRandom", "RtlRandomEx"] {
            let mut drawn = Vec::new();
            for _ in 0..2 {
                k.write(Va(seed), 42_u32)?;
                let first = int(&k, name, &[seed]).await?;
                let second = int(&k, name, &[seed]).await?;
                assert!(first >= 0 && second >= 0 && first != second, "{name}");
                drawn.push((first, second));
            }
            assert_eq!(drawn[0], drawn[1], "{name}");
        }
        Ok(())
    });
}

#[test]
fn bits_and_bytes_of_numbers() {
    run(|k| async move {
        for (number, most, least) in [(0, -1, -1), (1, 0, 0), (0xA0, 7, 5), (u64::MAX, 63, 0)] {
            let bit = |returned: u64| i64::from(returned.to_le_bytes()[0].cast_signed());
            assert_eq!(bit(call(&k, "RtlFindMostSignificantBit", &[number]).await?), most);
            assert_eq!(bit(call(&k, "RtlFindLeastSignificantBit", &[number]).await?), least);
        }
        assert_eq!(call(&k, "RtlUshortByteSwap", &[0x1234]).await?, 0x3412);
        assert_eq!(call(&k, "RtlUlongByteSwap", &[0x1234_5678]).await?, 0x7856_3412);
        assert_eq!(
            call(&k, "RtlUlonglongByteSwap", &[0x0102_0304_0506_0708]).await?,
            0x0807_0605_0403_0201
        );
        Ok(())
    });
}
