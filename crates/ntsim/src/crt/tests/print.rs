//! The printf family: what each member does with text that does not fit.

use crate::{
    kernel::Kernel,
    mm::Va,
    rtl::testing::{buffer, int, narrow, run, text, wide, wide_text},
};

const TRUNCATE: u64 = u64::MAX;

/// A `va_list` of values.
fn list(k: &Kernel, values: &[u64]) -> crate::bugcheck::Outcome<u64> {
    let at = Va(buffer(k, 8 * values.len())?);
    for (index, &value) in values.iter().enumerate() {
        k.write(at + 8 * index, value)?;
    }
    Ok(at.get())
}

#[test]
fn text_is_printed_to_a_buffer_of_any_size() {
    run(|k| async move {
        let to = buffer(&k, 64)?;
        let format = narrow(&k, "%d %s %d %d %d")?;
        let word = narrow(&k, "x")?;
        // More values than registers hold.
        let printed = int(&k, "sprintf", &[to, format, 1, word, 2, 3, 4]).await?;
        assert_eq!((printed, text(&k, to)?), (9, "1 x 2 3 4".to_owned()));
        let values = list(&k, &[1, word, 2, 3, 4])?;
        assert_eq!(int(&k, "vsprintf", &[to, format, values]).await?, 9);
        assert_eq!(text(&k, to)?, "1 x 2 3 4");

        let format = wide(&k, "%d %s")?;
        let word = wide(&k, "x")?;
        for name in ["swprintf", "_swprintf"] {
            assert_eq!(int(&k, name, &[to, format, 1, word]).await?, 3);
            assert_eq!(wide_text(&k, to)?, "1 x");
        }
        let values = list(&k, &[7, word])?;
        for name in ["vswprintf", "_vswprintf"] {
            assert_eq!(int(&k, name, &[to, format, values]).await?, 3);
            assert_eq!(wide_text(&k, to)?, "7 x");
        }
        Ok(())
    });
}

#[test]
fn a_bounded_print_has_a_terminator_only_when_there_is_room() {
    run(|k| async move {
        let (format, values) = (narrow(&k, "%d")?, list(&k, &[1234])?);
        let wide_format = wide(&k, "%d")?;
        for (name, format, value, size) in [
            ("_snprintf", format, 1234, 1),
            ("_vsnprintf", format, values, 1),
            ("_snwprintf", wide_format, 1234, 2),
            ("_vsnwprintf", wide_format, values, 2),
        ] {
            for (room, expected, kept) in [(5, 4, "1234\0"), (4, 4, "1234"), (3, -1, "123")] {
                let to = buffer(&k, 16)?;
                assert_eq!(int(&k, name, &[to, room, format, value]).await?, expected, "{name}");
                let bytes = k.read_bytes(Va(to), 6 * size)?;
                let written: Vec<u8> = bytes.iter().copied().step_by(size).take(kept.len()).collect();
                assert_eq!(written, kept.as_bytes(), "{name}");
                assert_eq!(bytes[kept.len() * size], b'#', "{name} writes no further");
            }
        }
        assert_eq!(int(&k, "_snprintf", &[0, 0, format, 1234]).await?, 4, "what is needed");
        Ok(())
    });
}

#[test]
fn a_checked_print_is_whole_or_empty() {
    run(|k| async move {
        let (format, values) = (narrow(&k, "%d")?, list(&k, &[1234])?);
        let wide_format = wide(&k, "%d")?;
        let to = buffer(&k, 16)?;
        for (name, value) in [("sprintf_s", 1234), ("vsprintf_s", values)] {
            assert_eq!(int(&k, name, &[to, 5, format, value]).await?, 4);
            assert_eq!(text(&k, to)?, "1234");
            assert_eq!(int(&k, name, &[to, 4, format, value]).await?, -1);
            assert_eq!(text(&k, to)?, "");
        }
        for (name, value) in [("swprintf_s", 1234), ("vswprintf_s", values)] {
            assert_eq!(int(&k, name, &[to, 5, wide_format, value]).await?, 4);
            assert_eq!(wide_text(&k, to)?, "1234");
            assert_eq!(int(&k, name, &[to, 4, wide_format, value]).await?, -1);
            assert_eq!(wide_text(&k, to)?, "");
        }
        assert_eq!(int(&k, "sprintf_s", &[0, 4, format, 1]).await?, -1);
        assert_eq!(int(&k, "sprintf_s", &[to, 4, 0, 1]).await?, -1);
        Ok(())
    });
}

#[test]
fn a_count_cuts_a_checked_print_off() {
    run(|k| async move {
        let (format, values) = (narrow(&k, "%d")?, list(&k, &[1234])?);
        let to = buffer(&k, 16)?;
        for (name, value) in [("_snprintf_s", 1234), ("_vsnprintf_s", values)] {
            for (room, count, returned, kept) in [
                (8, 6, 4, "1234"),
                (8, 2, -1, "12"),
                (3, TRUNCATE, -1, "12"),
                (3, 3, -1, ""),
                (5, TRUNCATE, 4, "1234"),
            ] {
                let printed = int(&k, name, &[to, room, count, format, value]).await?;
                assert_eq!(
                    (printed, text(&k, to)?.as_str()),
                    (returned, kept),
                    "{name} {room} {count}"
                );
            }
        }
        let format = wide(&k, "%d")?;
        for (name, value) in [("_snwprintf_s", 1234), ("_vsnwprintf_s", values)] {
            assert_eq!(int(&k, name, &[to, 3, TRUNCATE, format, value]).await?, -1);
            assert_eq!(wide_text(&k, to)?, "12");
        }
        assert_eq!(int(&k, "_scprintf", &[narrow(&k, "%05d")?, 1]).await?, 5);
        assert_eq!(int(&k, "_scwprintf", &[format, 1234]).await?, 4);
        assert_eq!(int(&k, "_vscprintf", &[narrow(&k, "%d")?, values]).await?, 4);
        assert_eq!(int(&k, "_vscwprintf", &[format, values]).await?, 4);
        Ok(())
    });
}
