//! Strings and debug output, through the exports.

mod bitmap;
mod convert;
mod expression;
mod memory;
mod numbers;
mod strings;
mod table;
mod time;
mod version;

use ntlayout::unicode_string;

use super::{
    testing::{call, counted, int, narrow, run},
    unicode_string::{encode, read, write_new},
};
use crate::{mm::Va, trace::Event};

#[test]
fn counted_strings_are_made_copied_and_freed() {
    run(|k| async move {
        let source = k.allocate_system(unicode_string::SIZE, "string")?;
        write_new(&k, source, "Grüße")?;
        assert_eq!(read(&k, source)?, "Grüße");

        // A destination with room for four characters gets four, and no terminator.
        let target = k.allocate_system(unicode_string::SIZE, "string")?;
        let buffer = k.allocate_system(8, "buffer")?;
        k.write(target + unicode_string::MAXIMUM_LENGTH, 8_u16)?;
        k.write(target + unicode_string::BUFFER, buffer)?;
        call(&k, "RtlCopyUnicodeString", &[target.get(), source.get()]).await?;
        assert_eq!(read(&k, target)?, "Grüß");

        call(&k, "RtlFreeUnicodeString", &[source.get()]).await?;
        assert_eq!(k.read::<Va>(source + unicode_string::BUFFER)?, Va::NULL);
        Ok(())
    });
}

#[test]
fn initialising_measures_the_text() {
    run(|k| async move {
        let text = k.allocate_system(64, "text")?;
        k.write_bytes(text, &encode("abc"))?;
        let string = k.allocate_system(unicode_string::SIZE, "string")?;
        call(&k, "RtlInitUnicodeString", &[string.get(), text.get()]).await?;
        assert_eq!(k.read::<u16>(string + unicode_string::LENGTH)?, 6);
        assert_eq!(k.read::<u16>(string + unicode_string::MAXIMUM_LENGTH)?, 8);
        call(&k, "RtlInitUnicodeString", &[string.get(), 0]).await?;
        assert_eq!(k.read::<u16>(string + unicode_string::MAXIMUM_LENGTH)?, 0);
        Ok(())
    });
}

#[test]
fn debug_output_is_formatted() {
    let events = run(|k| async move {
        let template = narrow(&k, "%s %d %u %#x %08X %I64x %c %wZ 100%%\n")?;
        let name = narrow(&k, "edu")?;
        let string = k.allocate_system(unicode_string::SIZE, "string")?;
        write_new(&k, string, "wide")?;
        let minus_five = u64::from((-5_i32).cast_unsigned());
        let arguments = [
            template,
            name,
            minus_five,
            7,
            255,
            0xBEEF,
            0x1_2345_6789,
            u64::from(b'!'),
            string.get(),
        ];
        call(&k, "DbgPrint", &arguments).await?;
        Ok(())
    });
    let printed = Event::Printed("edu -5 7 0xff 0000BEEF 123456789 ! wide 100%\n".to_owned());
    assert!(events.contains(&printed), "{events:?}");
}

#[test]
fn debug_output_takes_a_va_list_and_a_prefix_and_ends_at_512_characters() {
    let events = run(|k| async move {
        let values = k.allocate_system(8, "va_list")?;
        k.write(values, 5_u64)?;
        let format = narrow(&k, "%d\n")?;
        assert_eq!(int(&k, "vDbgPrintEx", &[77, 0, format, values.get()]).await?, 0);
        let prefix = narrow(&k, "drv: ")?;
        assert_eq!(
            int(&k, "vDbgPrintExWithPrefix", &[prefix, 77, 0, format, values.get()]).await?,
            0
        );
        let wide = counted(&k, "Grüße")?;
        call(&k, "DbgPrintReturnControlC", &[narrow(&k, "%wZ")?, wide]).await?;
        call(&k, "DbgPrint", &[narrow(&k, "%600d")?, 1]).await?;
        Ok(())
    });
    let printed: Vec<&str> = events
        .iter()
        .filter_map(|event| match event {
            Event::Printed(text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(printed[..3], ["5\n", "drv: 5\n", "Grüße"]);
    assert_eq!(printed[3].len(), 512);
}

#[test]
fn a_failed_assertion_stops_at_a_breakpoint() {
    let (code, exception, rule) = super::testing::bugcheck_of(|k| async move {
        let arguments = [narrow(&k, "x > 0")?, narrow(&k, "driver.c")?, 7, 0];
        call(&k, "RtlAssert", &arguments).await.map(|_| ())
    });
    assert_eq!(code, crate::bugcheck::BugCheckCode::KMODE_EXCEPTION_NOT_HANDLED);
    assert_eq!((exception, rule), (0x8000_0003, "assertion-failed"));
}
