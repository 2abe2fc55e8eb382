//! Numbers from text and text from numbers.

use crate::{
    mm::Va,
    rtl::testing::{buffer, call, int, narrow, negative, run, text, wide, wide_text},
};

#[test]
fn numbers_are_read_up_to_the_first_other_character() {
    run(|k| async move {
        for (written, expected) in [
            ("42", 42),
            (" \t-17x", -17),
            ("+5", 5),
            ("x", 0),
            ("0x10", 0),
            ("99999999999", i32::MAX),
            ("-99999999999", i32::MIN),
        ] {
            let (narrow, wide) = (narrow(&k, written)?, wide(&k, written)?);
            for (name, text) in [("atoi", narrow), ("atol", narrow), ("_wtoi", wide), ("_wtol", wide)] {
                assert_eq!(int(&k, name, &[text]).await?, expected, "{name} of {written}");
            }
        }
        let large = call(&k, "_atoi64", &[narrow(&k, "-99999999999")?]).await?;
        assert_eq!(large.cast_signed(), -99_999_999_999);
        let large = call(&k, "_wtoi64", &[wide(&k, "99999999999")?]).await?;
        assert_eq!(large, 99_999_999_999);
        Ok(())
    });
}

#[test]
fn a_base_can_be_given_or_found_out() {
    run(|k| async move {
        let end = buffer(&k, 8)?;
        for (name, written, base, expected, used) in [
            ("strtol", "0x1Fg", 0, 0x1F, 4),
            ("strtol", "017", 0, 0o17, 3),
            ("strtol", "19", 8, 1, 1),
            ("strtol", "zz", 36, 35 * 36 + 35, 2),
            ("strtol", "0xg", 16, 0, 1),
            ("strtol", "none", 10, 0, 0),
            ("strtoul", "4294967295", 10, 0xFFFF_FFFF, 10),
            ("strtoul", "4294967296", 10, 0xFFFF_FFFF, 10),
            ("strtoul", "-1", 10, 0xFFFF_FFFF, 2),
            ("_strtoi64", "-8000000000", 10, (-8_000_000_000_i64).cast_unsigned(), 11),
            ("_strtoui64", "ffffffffffffffff", 16, u64::MAX, 16),
            ("_strtoui64", "18446744073709551616", 10, u64::MAX, 20),
        ] {
            let text = narrow(&k, written)?;
            let value = call(&k, name, &[text, end, base]).await?;
            assert_eq!(value, expected, "{name} of {written}");
            assert_eq!(k.read::<u64>(Va(end))? - text, used, "{name} of {written}");
        }
        let text = wide(&k, "ff!")?;
        assert_eq!(call(&k, "wcstoul", &[text, end, 16]).await?, 0xFF);
        assert_eq!(k.read::<u64>(Va(end))?, text + 4);
        assert_eq!(int(&k, "wcstol", &[text, 0, 10]).await?, 0);
        Ok(())
    });
}

#[test]
fn numbers_are_written_in_any_base() {
    run(|k| async move {
        let to = buffer(&k, 140)?;
        for (name, value, base, expected) in [
            ("_itoa", negative(-42), 10, "-42"),
            ("_itoa", negative(-1), 16, "ffffffff"),
            ("_ltoa", 35, 36, "z"),
            ("_ultoa", 0xFFFF_FFFF, 10, "4294967295"),
            ("_i64toa", (-5_i64).cast_unsigned(), 10, "-5"),
            ("_ui64toa", u64::MAX, 10, "18446744073709551615"),
            ("_ui64toa", 5, 2, "101"),
        ] {
            assert_eq!(call(&k, name, &[value, to, base]).await?, to);
            assert_eq!(text(&k, to)?, expected, "{name}");
        }
        for (name, value) in [
            ("_itow", 0),
            ("_ltow", 0),
            ("_ultow", 0),
            ("_i64tow", 0),
            ("_ui64tow", 0),
        ] {
            assert_eq!(call(&k, name, &[value, to, 10]).await?, to);
            assert_eq!(wide_text(&k, to)?, "0", "{name}");
        }
        for (name, expected) in [
            ("_itoa_s", "123"),
            ("_ltoa_s", "123"),
            ("_ultoa_s", "123"),
            ("_i64toa_s", "123"),
        ] {
            assert_eq!(int(&k, name, &[123, to, 4, 10]).await?, 0);
            assert_eq!(text(&k, to)?, expected);
            assert_eq!(int(&k, name, &[123, to, 3, 10]).await?, 34, "ERANGE");
            assert_eq!(text(&k, to)?, "");
        }
        assert_eq!(int(&k, "_itow_s", &[9, to, 4, 1]).await?, 22, "EINVAL");
        assert_eq!(int(&k, "_ui64tow_s", &[9, to, 4, 10]).await?, 0);
        assert_eq!(wide_text(&k, to)?, "9");
        Ok(())
    });
}

#[test]
fn random_numbers_follow_from_the_seed() {
    run(|k| async move {
        let unseeded = int(&k, "rand", &[]).await?;
        call(&k, "srand", &[1]).await?;
        assert_eq!(int(&k, "rand", &[]).await?, unseeded);
        assert_eq!(unseeded, 41, "as everywhere with this library");
        for _ in 0..50 {
            assert!((0..0x8000).contains(&int(&k, "rand", &[]).await?));
        }
        Ok(())
    });
}
