//! The routines that know how much room there is.

use crate::{
    kernel::Kernel,
    mm::Va,
    rtl::testing::{buffer, call, int, narrow, run, text, wide, wide_text},
};

const EINVAL: i32 = 22;
const ERANGE: i32 = 34;
const STRUNCATE: i32 = 80;
const TRUNCATE: u64 = u64::MAX;

#[test]
fn a_copy_that_does_not_fit_leaves_an_empty_string() {
    run(|k| async move {
        let (to, source) = (buffer(&k, 8)?, narrow(&k, "abcd")?);
        assert_eq!(int(&k, "strcpy_s", &[to, 5, source]).await?, 0);
        assert_eq!(text(&k, to)?, "abcd");
        assert_eq!(int(&k, "strcpy_s", &[to, 4, source]).await?, ERANGE);
        assert_eq!(text(&k, to)?, "");
        assert_eq!(int(&k, "strcpy_s", &[to, 4, 0]).await?, EINVAL);
        assert_eq!(int(&k, "strcpy_s", &[0, 4, source]).await?, EINVAL);
        assert_eq!(int(&k, "strcpy_s", &[to, 0, source]).await?, EINVAL);

        let (to, source) = (buffer(&k, 16)?, wide(&k, "abcd")?);
        assert_eq!(int(&k, "wcscpy_s", &[to, 5, source]).await?, 0);
        assert_eq!(wide_text(&k, to)?, "abcd");
        assert_eq!(int(&k, "wcscpy_s", &[to, 4, source]).await?, ERANGE);
        assert_eq!(wide_text(&k, to)?, "");
        Ok(())
    });
}

#[test]
fn a_count_or_truncate_makes_a_copy_fit() {
    run(|k| async move {
        let (to, source) = (buffer(&k, 8)?, narrow(&k, "abcd")?);
        assert_eq!(int(&k, "strncpy_s", &[to, 3, source, 2]).await?, 0);
        assert_eq!(text(&k, to)?, "ab");
        assert_eq!(int(&k, "strncpy_s", &[to, 3, source, 3]).await?, ERANGE);
        assert_eq!(int(&k, "strncpy_s", &[to, 3, source, TRUNCATE]).await?, STRUNCATE);
        assert_eq!(text(&k, to)?, "ab");
        assert_eq!(int(&k, "strncpy_s", &[0, 0, source, 0]).await?, 0);
        let (to, source) = (buffer(&k, 8)?, wide(&k, "abcd")?);
        assert_eq!(int(&k, "wcsncpy_s", &[to, 4, source, TRUNCATE]).await?, STRUNCATE);
        assert_eq!(wide_text(&k, to)?, "abc");
        Ok(())
    });
}

#[test]
fn appending_needs_a_terminated_destination_with_room() {
    run(|k| async move {
        let (to, more) = (narrow(&k, "ab\0....")?, narrow(&k, "cd")?);
        assert_eq!(int(&k, "strcat_s", &[to, 8, more]).await?, 0);
        assert_eq!(text(&k, to)?, "abcd");
        assert_eq!(int(&k, "strncat_s", &[to, 8, more, 1]).await?, 0);
        assert_eq!(text(&k, to)?, "abcdc");
        assert_eq!(int(&k, "strncat_s", &[to, 7, more, TRUNCATE]).await?, STRUNCATE);
        assert_eq!(text(&k, to)?, "abcdcc");
        assert_eq!(int(&k, "strcat_s", &[to, 8, more]).await?, ERANGE);
        assert_eq!(text(&k, to)?, "");
        let unterminated = buffer(&k, 4)?;
        assert_eq!(int(&k, "strcat_s", &[unterminated, 4, more]).await?, EINVAL);
        let (to, more) = (wide(&k, "a\0...")?, wide(&k, "b")?);
        assert_eq!(int(&k, "wcscat_s", &[to, 3, more]).await?, 0);
        assert_eq!(wide_text(&k, to)?, "ab");
        assert_eq!(int(&k, "wcsncat_s", &[to, 4, more, 1]).await?, 0);
        assert_eq!(wide_text(&k, to)?, "abb");
        Ok(())
    });
}

#[test]
fn characters_are_changed_where_the_string_has_a_terminator_in_its_room() {
    run(|k| async move {
        let changed = async |k: &Kernel, name: &'static str, more: &[u64]| {
            let at = narrow(k, "aBc")?;
            let error = int(k, name, &[&[at, 4], more].concat()).await?;
            Ok((error, text(k, at)?))
        };
        assert_eq!(changed(&k, "_strlwr_s", &[]).await?, (0, "abc".to_owned()));
        assert_eq!(changed(&k, "_strupr_s", &[]).await?, (0, "ABC".to_owned()));
        assert_eq!(changed(&k, "_strset_s", &[b'.'.into()]).await?, (0, "...".to_owned()));
        assert_eq!(
            changed(&k, "_strnset_s", &[b'.'.into(), 1]).await?,
            (0, ".Bc".to_owned())
        );
        let at = narrow(&k, "abc")?;
        assert_eq!(int(&k, "_strupr_s", &[at, 3]).await?, EINVAL);
        assert_eq!(text(&k, at)?, "");
        let at = wide(&k, "aBc")?;
        assert_eq!(int(&k, "_wcsupr_s", &[at, 4]).await?, 0);
        assert_eq!(wide_text(&k, at)?, "ABC");
        assert_eq!(int(&k, "_wcslwr_s", &[at, 4]).await?, 0);
        assert_eq!(wide_text(&k, at)?, "abc");
        Ok(())
    });
}

#[test]
fn tokens_are_cut_out_one_by_one() {
    run(|k| async move {
        let (at, delimiters, context) = (narrow(&k, ",,ab,c,")?, narrow(&k, ",")?, buffer(&k, 8)?);
        let first = call(&k, "strtok_s", &[at, delimiters, context]).await?;
        assert_eq!((first, text(&k, first)?), (at + 2, "ab".to_owned()));
        let second = call(&k, "strtok_s", &[0, delimiters, context]).await?;
        assert_eq!(text(&k, second)?, "c");
        assert_eq!(call(&k, "strtok_s", &[0, delimiters, context]).await?, 0);
        assert_eq!(
            call(&k, "strtok_s", &[0, delimiters, context]).await?,
            0,
            "and stays so"
        );
        let (at, delimiters) = (wide(&k, "x y")?, wide(&k, " ")?);
        let first = call(&k, "wcstok_s", &[at, delimiters, context]).await?;
        assert_eq!(wide_text(&k, first)?, "x");
        Ok(())
    });
}

#[test]
fn bytes_are_copied_where_there_is_room() {
    run(|k| async move {
        let (to, from) = (buffer(&k, 4)?, narrow(&k, "abcd")?);
        assert_eq!(int(&k, "memcpy_s", &[to, 4, from, 3]).await?, 0);
        assert_eq!(k.read_bytes(Va(to), 4)?, b"abc#");
        assert_eq!(int(&k, "memmove_s", &[to + 1, 3, to, 3]).await?, 0);
        assert_eq!(k.read_bytes(Va(to), 4)?, b"aabc");
        assert_eq!(int(&k, "memmove_s", &[to, 2, from, 3]).await?, ERANGE);
        assert_eq!(k.read_bytes(Va(to), 4)?, b"aabc", "untouched");
        assert_eq!(int(&k, "memcpy_s", &[to, 4, from, 5]).await?, ERANGE);
        assert_eq!(k.read_bytes(Va(to), 4)?, [0; 4], "cleared");
        assert_eq!(int(&k, "memcpy_s", &[0, 4, from, 1]).await?, EINVAL);
        assert_eq!(int(&k, "memcpy_s", &[to, 4, 0, 1]).await?, EINVAL);
        assert_eq!(int(&k, "memcpy_s", &[0, 0, 0, 0]).await?, 0);
        Ok(())
    });
}
