//! Names and the expressions for them.

use crate::{
    mm::Va,
    rtl::testing::{buffer, call, counted, counted_text, int, run},
};

#[test]
fn names_match_expressions_with_wild_cards() {
    run(|k| async move {
        for (expression, name, ignores_case, expected) in [
            ("*", "anything", 0, 1),
            ("*.TXT", "a.txt", 1, 1),
            ("*.TXT", "a.txt", 0, 0),
            ("A?C", "abc", 1, 1),
            ("A?C", "ac", 1, 0),
            ("*A*B*", "xaxbx", 1, 1),
            ("*A*B*", "xbxax", 1, 0),
            ("", "", 0, 1),
            ("", "a", 0, 0),
            ("<.TXT", "a.b.txt", 1, 1),
            ("<", "a.b", 1, 0),
            ("<", "ab", 1, 1),
            ("A>>", "a", 1, 1),
            ("A>>.B", "ax.b", 1, 1),
            ("A>>.B", "axyz.b", 1, 0),
            ("A\"", "a", 1, 1),
            ("A\"B", "a.b", 1, 1),
            ("A\"B", "ab", 1, 0),
        ] {
            let arguments = [counted(&k, expression)?, counted(&k, name)?, ignores_case, 0];
            let found = int(&k, "FsRtlIsNameInExpression", &arguments).await?;
            assert_eq!(found, expected, "{name} in {expression}");
        }
        Ok(())
    });
}

#[test]
fn names_are_compared_and_taken_apart() {
    run(|k| async move {
        for (name, expected) in [("a\\b*", 1), ("a*\\b", 0), ("plain", 0), ("a<", 1)] {
            let wild = int(&k, "FsRtlDoesNameContainWildCards", &[counted(&k, name)?]).await?;
            assert_eq!(wild, expected, "{name}");
        }
        let (lower, upper) = (counted(&k, "ab")?, counted(&k, "AB")?);
        assert_eq!(int(&k, "FsRtlAreNamesEqual", &[lower, upper, 0, 0]).await?, 0);
        assert_eq!(int(&k, "FsRtlAreNamesEqual", &[lower, upper, 1, 0]).await?, 1);
        // A table that knows no upper case.
        let table = Va(buffer(&k, 2 * 128)?);
        for unit in 0..128_u16 {
            k.write(table + 2 * usize::from(unit), unit)?;
        }
        assert_eq!(int(&k, "FsRtlAreNamesEqual", &[lower, upper, 1, table.get()]).await?, 0);

        let (first, rest) = (buffer(&k, 16)?, buffer(&k, 16)?);
        for (path, expected_first, expected_rest) in [
            ("\\a\\b\\c", "a", "b\\c"),
            ("a\\b", "a", "b"),
            ("\\a", "a", ""),
            ("", "", ""),
        ] {
            call(&k, "FsRtlDissectName", &[counted(&k, path)?, first, rest]).await?;
            assert_eq!(counted_text(&k, first)?, expected_first, "{path}");
            assert_eq!(counted_text(&k, rest)?, expected_rest, "{path}");
        }
        Ok(())
    });
}
