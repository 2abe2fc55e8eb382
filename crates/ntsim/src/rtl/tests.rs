//! Strings and debug output, through the exports.

use ntlayout::unicode_string;

use super::unicode_string::{encode, read, write_new};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::Program,
    mm::Va,
    sched::{RunEnd, ThreadSpec},
    trace::Event,
};

fn run<F>(script: impl FnOnce(Kernel) -> F) -> Vec<Event>
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = Program::default().function(|_| {}).machine(1);
    machine.spawn(ThreadSpec::system("test"), script);
    let end = machine.run();
    assert_eq!(end, RunEnd::Idle, "{}", machine.crash_report(None).unwrap_or_default());
    let trace = machine.kernel().recorded();
    trace.records().iter().map(|record| record.event.clone()).collect()
}

async fn call(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<u64> {
    k.call(k.routine_address(name), arguments).label("export").await
}

fn zero_terminated(k: &Kernel, text: &str) -> Outcome<Va> {
    let va = k.allocate_system(text.len() + 1, "text")?;
    k.write_bytes(va, text.as_bytes())?;
    Ok(va)
}

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
        let template = zero_terminated(&k, "%s %d %u %#x %08X %I64x %c %wZ 100%%\n")?;
        let name = zero_terminated(&k, "edu")?;
        let string = k.allocate_system(unicode_string::SIZE, "string")?;
        write_new(&k, string, "wide")?;
        let minus_five = u64::from((-5_i32).cast_unsigned());
        let arguments = [
            template.get(),
            name.get(),
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
