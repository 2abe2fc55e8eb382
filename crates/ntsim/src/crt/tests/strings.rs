//! Terminated strings: lengths, copies, comparisons, searches, case, conversions.

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::Va,
    rtl::testing::{buffer, call, int, narrow, negative, run, text, wide, wide_text},
};

/// One family of routines: how text of its kind is made and read, and the size of a character.
struct Kind {
    make: fn(&Kernel, &str) -> Outcome<u64>,
    read: fn(&Kernel, u64) -> Outcome<String>,
    size: u64,
    /// The routine for this kind of text.
    name: fn(&'static str, &'static str) -> &'static str,
}

const KINDS: [Kind; 2] = [
    Kind {
        make: |k, text| narrow(k, text),
        read: text,
        size: 1,
        name: |narrow, _| narrow,
    },
    Kind {
        make: wide,
        read: wide_text,
        size: 2,
        name: |_, wide| wide,
    },
];

#[test]
fn lengths_are_counted_up_to_the_terminator_or_the_limit() {
    run(|k| async move {
        for kind in &KINDS {
            let text = (kind.make)(&k, "abc")?;
            assert_eq!(call(&k, (kind.name)("strlen", "wcslen"), &[text]).await?, 3);
            let limited = (kind.name)("strnlen", "wcsnlen");
            assert_eq!(call(&k, limited, &[text, 10]).await?, 3);
            // Four characters without a terminator: nothing beyond the limit is touched.
            let unterminated = buffer(&k, 4 * 2)?;
            assert_eq!(call(&k, limited, &[unterminated, 8 / kind.size]).await?, 8 / kind.size);
        }
        Ok(())
    });
}

#[test]
fn copies_end_with_a_terminator_unless_the_count_is_used_up() {
    run(|k| async move {
        for kind in &KINDS {
            let (source, to) = ((kind.make)(&k, "abc")?, buffer(&k, 32)?);
            let copied = call(&k, (kind.name)("strcpy", "wcscpy"), &[to, source]).await?;
            assert_eq!((copied, (kind.read)(&k, to)?), (to, "abc".to_owned()));
            let counted = (kind.name)("strncpy", "wcsncpy");
            let to = (kind.make)(&k, "wxyz")?;
            assert_eq!(call(&k, counted, &[to, source, 2]).await?, to);
            assert_eq!((kind.read)(&k, to)?, "abyz", "no terminator");
            let to = (kind.make)(&k, "stuvwxyz")?;
            call(&k, counted, &[to, source, 6]).await?;
            let rest = k.read_bytes(Va(to + 3 * kind.size), usize::try_from(5 * kind.size).unwrap())?;
            let cleared = usize::try_from(3 * kind.size).unwrap();
            assert!(rest[..cleared].iter().all(|&byte| byte == 0), "filled up: {rest:?}");
            assert_eq!(rest[cleared], b'y', "and no further");
        }
        Ok(())
    });
}

#[test]
fn text_is_appended_with_a_terminator() {
    run(|k| async move {
        for kind in &KINDS {
            let to = (kind.make)(&k, "ab\0......")?;
            let more = (kind.make)(&k, "cdef")?;
            assert_eq!(call(&k, (kind.name)("strcat", "wcscat"), &[to, more]).await?, to);
            assert_eq!((kind.read)(&k, to)?, "abcdef");
            let to = (kind.make)(&k, "ab\0......")?;
            call(&k, (kind.name)("strncat", "wcsncat"), &[to, more, 3]).await?;
            assert_eq!((kind.read)(&k, to)?, "abcde");
        }
        Ok(())
    });
}

#[test]
fn comparisons_have_the_sign_of_the_difference() {
    run(|k| async move {
        for kind in &KINDS {
            let make = |text| (kind.make)(&k, text);
            let compare = (kind.name)("strcmp", "wcscmp");
            let counted = (kind.name)("strncmp", "wcsncmp");
            let folded = (kind.name)("_stricmp", "_wcsicmp");
            let counted_folded = (kind.name)("_strnicmp", "_wcsnicmp");
            assert_eq!(int(&k, compare, &[make("abc")?, make("abc")?]).await?, 0);
            assert!(int(&k, compare, &[make("ab")?, make("abc")?]).await? < 0);
            assert!(int(&k, compare, &[make("b")?, make("abc")?]).await? > 0);
            assert!(int(&k, compare, &[make("B")?, make("a")?]).await? < 0);
            assert_eq!(int(&k, counted, &[make("abX")?, make("abY")?, 2]).await?, 0);
            assert!(int(&k, counted, &[make("abX")?, make("abY")?, 3]).await? < 0);
            assert_eq!(int(&k, counted, &[make("ab")?, make("ab")?, 9]).await?, 0);
            assert_eq!(int(&k, folded, &[make("AbC")?, make("aBc")?]).await?, 0);
            assert!(int(&k, folded, &[make("B")?, make("a")?]).await? > 0);
            assert_eq!(int(&k, counted_folded, &[make("ABx")?, make("aby")?, 2]).await?, 0);
            assert!(int(&k, counted_folded, &[make("ABx")?, make("aby")?, 3]).await? < 0);
        }
        Ok(())
    });
}

#[test]
fn searches_give_where_the_match_begins() {
    run(|k| async move {
        for kind in &KINDS {
            let text = (kind.make)(&k, "abcabc")?;
            let at = |index: u64| text + index * kind.size;
            let letter = |letter: u8| u64::from(letter);
            let (first, last) = ((kind.name)("strchr", "wcschr"), (kind.name)("strrchr", "wcsrchr"));
            assert_eq!(call(&k, first, &[text, letter(b'b')]).await?, at(1));
            assert_eq!(call(&k, first, &[text, 0]).await?, at(6), "the terminator counts");
            assert_eq!(call(&k, first, &[text, letter(b'x')]).await?, 0);
            assert_eq!(call(&k, last, &[text, letter(b'b')]).await?, at(4));
            assert_eq!(call(&k, last, &[text, 0]).await?, at(6));
            assert_eq!(call(&k, last, &[text, letter(b'x')]).await?, 0);
            let find = (kind.name)("strstr", "wcsstr");
            assert_eq!(call(&k, find, &[text, (kind.make)(&k, "ca")?]).await?, at(2));
            assert_eq!(call(&k, find, &[text, (kind.make)(&k, "")?]).await?, text);
            assert_eq!(call(&k, find, &[text, (kind.make)(&k, "cb")?]).await?, 0);
            let set = (kind.make)(&k, "ba")?;
            assert_eq!(call(&k, (kind.name)("strspn", "wcsspn"), &[text, set]).await?, 2);
            let set = (kind.make)(&k, "xc")?;
            assert_eq!(call(&k, (kind.name)("strcspn", "wcscspn"), &[text, set]).await?, 2);
            let any_of = (kind.name)("strpbrk", "wcspbrk");
            assert_eq!(call(&k, any_of, &[text, set]).await?, at(2));
            assert_eq!(call(&k, any_of, &[text, (kind.make)(&k, "xy")?]).await?, 0);
        }
        Ok(())
    });
}

#[test]
fn strings_are_changed_in_place() {
    run(|k| async move {
        for kind in &KINDS {
            for (name, expected) in [
                ((kind.name)("_strlwr", "_wcslwr"), "ab-c"),
                ((kind.name)("_strupr", "_wcsupr"), "AB-C"),
                ((kind.name)("_strrev", "_wcsrev"), "c-Ba"),
                ((kind.name)("_strset", "_wcsset"), "...."),
            ] {
                let text = (kind.make)(&k, "aB-c")?;
                assert_eq!(call(&k, name, &[text, u64::from(b'.')]).await?, text);
                assert_eq!((kind.read)(&k, text)?, expected, "{name}");
            }
            let text = (kind.make)(&k, "abcd")?;
            call(&k, (kind.name)("_strnset", "_wcsnset"), &[text, u64::from(b'.'), 2]).await?;
            assert_eq!((kind.read)(&k, text)?, "..cd");
        }
        Ok(())
    });
}

#[test]
fn characters_have_classes_and_case() {
    run(|k| async move {
        let members = [
            ("isalnum", "aZ5", " _"),
            ("isalpha", "aZ", "5 "),
            ("iscntrl", "\t\x7F", "a "),
            ("isdigit", "05", "a"),
            ("isgraph", "a5!", " \t"),
            ("islower", "a", "A5"),
            ("isprint", "a !", "\t"),
            ("ispunct", "!_", "a "),
            ("isspace", " \t\n\r", "a"),
            ("isupper", "A", "a5"),
            ("isxdigit", "aF9", "gG"),
            ("iswalpha", "aZ", "5 "),
            ("iswdigit", "05", "a"),
            ("iswspace", " \t", "a"),
            ("iswxdigit", "aF9", "gG"),
        ];
        for (name, inside, outside) in members {
            for byte in inside.bytes() {
                assert_ne!(int(&k, name, &[byte.into()]).await?, 0, "{name} of {byte}");
            }
            for byte in outside.bytes() {
                assert_eq!(int(&k, name, &[byte.into()]).await?, 0, "{name} of {byte}");
            }
        }
        assert_eq!(int(&k, "isdigit", &[negative(-1)]).await?, 0, "EOF");
        assert_eq!(int(&k, "tolower", &[b'A'.into()]).await?, i32::from(b'a'));
        assert_eq!(int(&k, "toupper", &[b'z'.into()]).await?, i32::from(b'Z'));
        assert_eq!(int(&k, "toupper", &[negative(-1)]).await?, -1);
        assert_eq!(int(&k, "towupper", &[0xE4]).await?, 0xC4);
        assert_eq!(int(&k, "towlower", &[0x416]).await?, 0x436);
        Ok(())
    });
}

#[test]
fn text_is_converted_by_the_code_page() {
    run(|k| async move {
        let to = buffer(&k, 32)?;
        let from = narrow(&k, b"a\x80")?;
        assert_eq!(call(&k, "mbstowcs", &[0, from, 0]).await?, 2, "how many there would be");
        assert_eq!(call(&k, "mbstowcs", &[to, from, 8]).await?, 2);
        assert_eq!(wide_text(&k, to)?, "a€");
        let from = wide(&k, "x€Ж")?;
        assert_eq!(call(&k, "wcstombs", &[to, from, 8]).await?, 3);
        assert_eq!(k.read_bytes(Va(to), 4)?, b"x\x80?\0");
        let to = buffer(&k, 4)?;
        assert_eq!(call(&k, "wcstombs", &[to, from, 2]).await?, 2);
        assert_eq!(k.read_bytes(Va(to), 4)?, b"x\x80##", "no terminator without room");
        assert_eq!(int(&k, "mbtowc", &[to, narrow(&k, b"\x80")?, 1]).await?, 1);
        assert_eq!(k.read::<u16>(Va(to))?, 0x20AC);
        assert_eq!(int(&k, "wctomb", &[to, 0x20AC]).await?, 1);
        assert_eq!(k.read::<u8>(Va(to))?, 0x80);
        Ok(())
    });
}
