//! From the code page and UTF-8 to UTF-16, and back.

use ntlayout::unicode_string as layout;

use crate::{
    bugcheck::BugCheckCode as Code,
    ke::Irql,
    mm::Va,
    rtl::testing::{
        buffer, bugcheck_of, bytes_of, call, counted, counted_narrow, counted_text, int, narrow, room, run, status,
        wide_text,
    },
    rtl::unicode_string::encode,
    status::NtStatus,
};

#[test]
fn narrow_strings_become_wide() {
    run(|k| async move {
        let source = counted_narrow(&k, b"a\x80")?;
        for name in ["RtlAnsiStringToUnicodeString", "RtlOemStringToUnicodeString"] {
            let to = buffer(&k, 16)?;
            assert_eq!(status(&k, name, &[to, source, 1]).await?, NtStatus::SUCCESS);
            assert_eq!(counted_text(&k, to)?, "a€");
            assert_eq!(k.read::<u16>(Va(to) + layout::MAXIMUM_LENGTH)?, 6, "with a terminator");
            call(&k, "RtlFreeUnicodeString", &[to]).await?;
            let small = room(&k, 4)?;
            assert_eq!(status(&k, name, &[small, source, 0]).await?, NtStatus::BUFFER_OVERFLOW);
            let large = room(&k, 6)?;
            assert_eq!(status(&k, name, &[large, source, 0]).await?, NtStatus::SUCCESS);
            assert_eq!(counted_text(&k, large)?, "a€");
        }
        let counted = room(&k, 4)?;
        let name = "RtlOemStringToCountedUnicodeString";
        assert_eq!(status(&k, name, &[counted, source, 0]).await?, NtStatus::SUCCESS);
        for name in [
            "RtlxAnsiStringToUnicodeSize",
            "RtlAnsiStringToUnicodeSize",
            "RtlxOemStringToUnicodeSize",
            "RtlOemStringToUnicodeSize",
        ] {
            assert_eq!(int(&k, name, &[source]).await?, 6, "{name}");
        }
        let text = narrow(&k, b"\x80b")?;
        let pointer = buffer(&k, 8)?;
        k.write(Va(pointer), text)?;
        assert_eq!(int(&k, "RtlAnsiCharToUnicodeChar", &[pointer]).await?, 0x20AC);
        assert_eq!(k.read::<u64>(Va(pointer))?, text + 1);
        Ok(())
    });
}

#[test]
fn wide_strings_become_narrow() {
    run(|k| async move {
        let source = counted(&k, "xü€Ж")?;
        for (name, free, expected) in [
            ("RtlUnicodeStringToAnsiString", "RtlFreeAnsiString", &b"x\xFC\x80?"[..]),
            ("RtlUnicodeStringToOemString", "RtlFreeOemString", b"x\xFC\x80?"),
            ("RtlUpcaseUnicodeStringToOemString", "RtlFreeOemString", b"X\xDC\x80?"),
        ] {
            let to = buffer(&k, 16)?;
            assert_eq!(status(&k, name, &[to, source, 1]).await?, NtStatus::SUCCESS);
            assert_eq!(bytes_of(&k, to)?, expected, "{name}");
            assert_eq!(k.read::<u16>(Va(to) + layout::MAXIMUM_LENGTH)?, 5);
            assert_eq!(k.driver_allocations().len(), 1);
            call(&k, free, &[to]).await?;
            assert!(k.driver_allocations().is_empty());
            let small = room(&k, 3)?;
            assert_eq!(status(&k, name, &[small, source, 0]).await?, NtStatus::BUFFER_OVERFLOW);
            assert_eq!(bytes_of(&k, small)?, expected[..2], "what fits with a terminator");
        }
        let to = room(&k, 4)?;
        for name in [
            "RtlUnicodeStringToCountedOemString",
            "RtlUpcaseUnicodeStringToCountedOemString",
        ] {
            assert_eq!(status(&k, name, &[to, source, 0]).await?, NtStatus::SUCCESS);
        }
        assert_eq!(bytes_of(&k, to)?, b"X\xDC\x80?");
        for name in [
            "RtlxUnicodeStringToAnsiSize",
            "RtlUnicodeStringToAnsiSize",
            "RtlxUnicodeStringToOemSize",
            "RtlUnicodeStringToOemSize",
        ] {
            assert_eq!(int(&k, name, &[source]).await?, 5, "{name}");
        }
        Ok(())
    });
}

#[test]
fn strings_become_utf_8_and_come_back() {
    run(|k| async move {
        let (source, utf8, back) = (counted(&k, "xЖ😀")?, buffer(&k, 16)?, buffer(&k, 16)?);
        assert_eq!(
            status(&k, "RtlUnicodeStringToUTF8String", &[utf8, source, 1]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(bytes_of(&k, utf8)?, "xЖ😀".as_bytes());
        assert_eq!(
            status(&k, "RtlUTF8StringToUnicodeString", &[back, utf8, 1]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(counted_text(&k, back)?, "xЖ😀");
        call(&k, "RtlFreeUTF8String", &[utf8]).await?;
        call(&k, "RtlFreeUnicodeString", &[back]).await?;
        let invalid = counted_narrow(&k, b"a\xFFb")?;
        let to = room(&k, 8)?;
        assert_eq!(
            status(&k, "RtlUTF8StringToUnicodeString", &[to, invalid, 0]).await?,
            NtStatus::SOME_NOT_MAPPED
        );
        assert_eq!(counted_text(&k, to)?, "a\u{FFFD}b");
        Ok(())
    });
}

#[test]
fn text_in_buffers_is_converted_as_far_as_it_fits() {
    run(|k| async move {
        let (to, done) = (buffer(&k, 16)?, buffer(&k, 4)?);
        let source = narrow(&k, b"a\x80c")?;
        for name in ["RtlMultiByteToUnicodeN", "RtlOemToUnicodeN"] {
            assert_eq!(status(&k, name, &[to, 5, done, source, 3]).await?, NtStatus::SUCCESS);
            assert_eq!(k.read::<u32>(Va(done))?, 4, "{name}");
            assert_eq!(k.read_bytes(Va(to), 4)?, encode("a€"));
        }
        let source = Va(buffer(&k, 6)?);
        k.write_bytes(source, &encode("a€ü"))?;
        for (name, expected) in [
            ("RtlUnicodeToMultiByteN", b"a\x80\xFC"),
            ("RtlUnicodeToOemN", b"a\x80\xFC"),
            ("RtlUpcaseUnicodeToMultiByteN", b"A\x80\xDC"),
            ("RtlUpcaseUnicodeToOemN", b"A\x80\xDC"),
        ] {
            assert_eq!(
                status(&k, name, &[to, 16, done, source.get(), 6]).await?,
                NtStatus::SUCCESS
            );
            assert_eq!(k.read::<u32>(Va(done))?, 3, "{name}");
            assert_eq!(k.read_bytes(Va(to), 3)?, expected, "{name}");
        }
        assert_eq!(
            status(&k, "RtlUnicodeToMultiByteSize", &[done, source.get(), 6]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<u32>(Va(done))?, 3);
        assert_eq!(
            status(&k, "RtlMultiByteToUnicodeSize", &[done, source.get(), 3]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<u32>(Va(done))?, 6);
        Ok(())
    });
}

#[test]
fn utf_8_in_buffers_says_what_it_needs_and_never_splits_a_character() {
    run(|k| async move {
        let (to, done) = (buffer(&k, 16)?, buffer(&k, 4)?);
        let source = narrow(&k, "aЖb\0")?;
        let decode = async |to, room| status(&k, "RtlUTF8ToUnicodeN", &[to, room, done, source, 5]).await;
        assert_eq!(decode(0, 0).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(Va(done))?, 8);
        assert_eq!(decode(to, 8).await?, NtStatus::SUCCESS);
        assert_eq!(wide_text(&k, to)?, "aЖb");
        assert_eq!(decode(to, 3).await?, NtStatus::BUFFER_TOO_SMALL);
        assert_eq!(k.read::<u32>(Va(done))?, 2);

        let source = Va(buffer(&k, 6)?);
        k.write_bytes(source, &encode("aЖb"))?;
        let encode = async |to, room| status(&k, "RtlUnicodeToUTF8N", &[to, room, done, source.get(), 6]).await;
        assert_eq!(encode(to, 4).await?, NtStatus::SUCCESS);
        assert_eq!(k.read_bytes(Va(to), 4)?, "aЖb".as_bytes());
        assert_eq!(encode(to, 2).await?, NtStatus::BUFFER_TOO_SMALL);
        assert_eq!(k.read::<u32>(Va(done))?, 1, "not half of the letter");
        k.write(source + 2_u64, 0xD800_u16)?;
        assert_eq!(encode(to, 16).await?, NtStatus::SOME_NOT_MAPPED);
        let nothing = status(&k, "RtlUnicodeToUTF8N", &[0, 0, 0, source.get(), 6]).await?;
        assert_eq!(nothing, NtStatus::INVALID_PARAMETER);
        let nothing = status(&k, "RtlUTF8ToUnicodeN", &[to, 4, done, 0, 6]).await?;
        assert_eq!(nothing, NtStatus::INVALID_PARAMETER_4);
        Ok(())
    });
}

#[test]
fn conversions_are_for_passive_level() {
    let (code, parameter, _) = bugcheck_of(|k| async move {
        let (to, source) = (room(&k, 4)?, counted_narrow(&k, "a")?);
        let _ = k.raise_irql(Irql::DISPATCH);
        call(&k, "RtlAnsiStringToUnicodeString", &[to, source, 0])
            .await
            .map(|_| ())
    });
    assert_eq!((code, parameter), (Code::DRIVER_VERIFIER_DETECTED_VIOLATION, 0x2_001E));
}
