//! The format language.

use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::testing::{
        buffer, bugcheck_of, call, counted, counted_narrow, int, narrow, negative, run, text, wide, wide_text,
    },
};

/// What `sprintf` prints.
async fn print(k: &Kernel, format: &str, values: &[u64]) -> Outcome<String> {
    let to = buffer(k, 256)?;
    let arguments = [&[to, narrow(k, format)?], values].concat();
    let printed = int(k, "sprintf", &arguments).await?;
    let printed_text = text(k, to)?;
    assert_eq!(usize::try_from(printed), Ok(printed_text.len()));
    Ok(printed_text)
}

/// What `swprintf` prints.
async fn print_wide(k: &Kernel, format: &str, values: &[u64]) -> Outcome<String> {
    let to = buffer(k, 256)?;
    let arguments = [&[to, wide(k, format)?], values].concat();
    int(k, "swprintf", &arguments).await?;
    wide_text(k, to)
}

#[test]
fn integers_have_flags_width_precision_and_size() {
    const ONES: u64 = u64::MAX;
    run(|k| async move {
        for (format, value, expected) in [
            ("%d", negative(-5), "-5"),
            ("%i", 5, "5"),
            ("%u", negative(-1), "4294967295"),
            ("%o", 8, "10"),
            ("%x", 0xBEEF, "beef"),
            ("%X", 0xBEEF, "BEEF"),
            ("%5d|", 42, "   42|"),
            ("%-5d|", 42, "42   |"),
            ("%05d", negative(-42), "-0042"),
            ("%+d", 42, "+42"),
            ("% d", 42, " 42"),
            ("%.4d", negative(-42), "-0042"),
            ("%8.4x", 0xAB, "    00ab"),
            ("%08.4x", 0xAB, "    00ab"),
            ("%.0d|", 0, "|"),
            ("%#x", 0xAB, "0xab"),
            ("%#X", 0xAB, "0XAB"),
            ("%#x", 0, "0"),
            ("%#010x", 0xAB, "0x000000ab"),
            ("%#o", 8, "010"),
            ("%hd", 0x1_FFFF, "-1"),
            ("%hu", 0x1_FFFF, "65535"),
            ("%hhd", 0x1FF, "-1"),
            ("%ld", 0x1_FFFF_FFFF, "-1"),
            ("%lu", ONES, "4294967295"),
            ("%lld", ONES, "-1"),
            ("%llu", ONES, "18446744073709551615"),
            ("%I64d", ONES, "-1"),
            ("%I64x", 0x1_2345_6789, "123456789"),
            ("%I32u", ONES, "4294967295"),
            ("%Iu", ONES, "18446744073709551615"),
            ("%zu", ONES, "18446744073709551615"),
            ("%p", 0xFFFF_F800_1234_ABCD, "FFFFF8001234ABCD"),
            ("%p", 0x10, "0000000000000010"),
            ("%I64", 7, ""),
            ("100%%", 0, "100%"),
            ("%y", 0, "y"),
            ("%", 0, ""),
        ] {
            assert_eq!(print(&k, format, &[value]).await?, expected, "{format}");
            assert_eq!(print_wide(&k, format, &[value]).await?, expected, "wide {format}");
        }
        assert_eq!(
            print(&k, "%*d|%-*d|%*d|", &[4, 1, 4, 2, negative(-3), 3]).await?,
            "   1|2   |3  |"
        );
        assert_eq!(print(&k, "%.*d %.*d", &[3, 1, negative(-1), 2]).await?, "001 2");
        Ok(())
    });
}

#[test]
fn text_is_of_the_routines_kind_or_the_other() {
    run(|k| async move {
        let (ansi, unicode) = (narrow(&k, b"h\x80")?, wide(&k, "w€")?);
        let (counted_ansi, counted_unicode) = (counted_narrow(&k, "ha")?, counted(&k, "wü")?);
        let to = buffer(&k, 64)?;
        for (format, value, expected) in [
            ("%s", ansi, &b"h\x80"[..]),
            ("%hs", ansi, b"h\x80"),
            ("%hS", ansi, b"h\x80"),
            ("%S", unicode, b"w\x80"),
            ("%ws", unicode, b"w\x80"),
            ("%ls", unicode, b"w\x80"),
            ("%Z", counted_ansi, b"ha"),
            ("%wZ", counted_unicode, b"w\xFC"),
            ("%c", u64::from(b'c'), b"c"),
            ("%C", 0x20AC, b"\x80"),
            ("%lc", 0x20AC, b"\x80"),
            ("%hC", 0x80, b"\x80"),
            ("%5s|", ansi, b"   h\x80|"),
            ("%-5s|", ansi, b"h\x80   |"),
            ("%.1s", ansi, b"h"),
            ("%.1S", unicode, b"w"),
            ("%s", 0, b"(null)"),
            ("%wZ", 0, b"(null)"),
        ] {
            int(&k, "sprintf", &[to, narrow(&k, format)?, value]).await?;
            let mut end = expected.to_vec();
            end.push(0);
            assert_eq!(k.read_bytes(Va(to), end.len())?, end, "{format}");
        }
        for (format, value, expected) in [
            ("%s", unicode, "w€"),
            ("%ws", unicode, "w€"),
            ("%S", ansi, "h€"),
            ("%hs", ansi, "h€"),
            ("%wZ", counted_unicode, "wü"),
            ("%Z", counted_ansi, "ha"),
            ("%c", 0x20AC, "€"),
            ("%C", 0x80, "€"),
            ("%4s|", unicode, "  w€|"),
            ("%s", 0, "(null)"),
        ] {
            assert_eq!(print_wide(&k, format, &[value]).await?, expected, "{format}");
        }
        Ok(())
    });
}

/// A precision bounds what is read: the text need not have a terminator.
#[test]
fn a_precision_bounds_what_is_read() {
    run(|k| async move {
        let unterminated = buffer(&k, 3)?;
        assert_eq!(
            print(&k, "%.3s %.*s", &[unterminated, 2, unterminated]).await?,
            "### ##"
        );
        Ok(())
    });
}

#[test]
fn a_unicode_conversion_is_for_passive_level() {
    let (code, parameter, rule) = bugcheck_of(|k| async move {
        let (format, value) = (narrow(&k, "%ws")?, wide(&k, "x")?);
        let _ = k.raise_irql(Irql::DISPATCH);
        call(&k, "DbgPrint", &[format, value]).await.map(|_| ())
    });
    assert_eq!(
        (code, parameter, rule),
        (Code::DRIVER_VERIFIER_DETECTED_VIOLATION, 0xE5, "irql-contract")
    );
}

#[test]
fn floating_point_is_not_for_the_kernel() {
    let (_, _, rule) = bugcheck_of(|k| async move {
        let format = narrow(&k, "%f")?;
        call(&k, "DbgPrint", &[format, 0]).await.map(|_| ())
    });
    assert_eq!(rule, "not-modelled");
}
