//! Calling exports from tests, and the text and strings that they are given.

use std::future::Future;

use ntlayout::unicode_string;

use super::unicode_string::{encode, read_terminated};
use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    crt,
    kernel::{Config, Kernel},
    machine::Machine,
    mm::Va,
    sched::ThreadSpec,
    status::NtStatus,
    trace::Event,
};

/// Runs a script in a system thread.
fn run_any<F>(script: impl FnOnce(Kernel) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = Machine::new(Config::default()).unwrap();
    machine.spawn(ThreadSpec::system("test"), script);
    // What it ended with is for the caller to look at.
    let _ = machine.run();
    machine
}

/// Runs a script that breaks no rule; what it left in the trace.
pub(crate) fn run<F>(script: impl FnOnce(Kernel) -> F + 'static) -> Vec<Event>
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_any(script);
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
    let trace = machine.kernel().recorded();
    trace.records().iter().map(|record| record.event.clone()).collect()
}

/// The bug check that a script ends with: code, first parameter, rule.
pub(crate) fn bugcheck_of<F>(script: impl FnOnce(Kernel) -> F + 'static) -> (Code, u64, &'static str)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_any(script);
    let crash = machine.kernel().crash().expect("a rule is broken");
    (crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

/// Calls an export.
pub(crate) async fn call(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<u64> {
    k.call(k.routine_address(name), arguments).label("export").await
}

/// Calls an export that returns an `int`, a `LONG` or a `BOOLEAN`.
pub(crate) async fn int(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<i32> {
    let returned = call(k, name, arguments).await?;
    Ok(((returned & 0xFFFF_FFFF) as u32).cast_signed())
}

/// Calls an export that returns a status.
pub(crate) async fn status(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<NtStatus> {
    Ok(NtStatus(int(k, name, arguments).await?.cast_unsigned()))
}

/// A terminated string of bytes.
pub(crate) fn narrow(k: &Kernel, text: impl AsRef<[u8]>) -> Outcome<u64> {
    let text = text.as_ref();
    let at = k.allocate_system(text.len() + 1, "text")?;
    k.write_bytes(at, text)?;
    k.write(at + text.len(), 0_u8)?;
    Ok(at.get())
}

/// A terminated string of UTF-16.
pub(crate) fn wide(k: &Kernel, text: &str) -> Outcome<u64> {
    let bytes = encode(&format!("{text}\0"));
    let at = k.allocate_system(bytes.len(), "text")?;
    k.write_bytes(at, &bytes)?;
    Ok(at.get())
}

/// Memory of a size, filled with a byte that is no terminator.
pub(crate) fn buffer(k: &Kernel, size: usize) -> Outcome<u64> {
    let at = k.allocate_system(size.max(1), "buffer")?;
    k.fill(at, b'#', size.max(1))?;
    Ok(at.get())
}

/// The text of a terminated string of bytes.
pub(crate) fn text(k: &Kernel, at: u64) -> Outcome<String> {
    let bytes = crt::read::<u8>(k, Va(at), usize::MAX)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of a terminated string of UTF-16.
pub(crate) fn wide_text(k: &Kernel, at: u64) -> Outcome<String> {
    read_terminated(k, Va(at))
}

/// A counted string whose buffer holds `bytes` and has room for `maximum` of them.
pub(crate) fn counted_bytes(k: &Kernel, bytes: &[u8], maximum: usize) -> Outcome<u64> {
    let at = k.allocate_system(unicode_string::SIZE, "string")?;
    let buffer = Va(buffer(k, maximum)?);
    if !bytes.is_empty() {
        k.write_bytes(buffer, bytes)?;
    }
    k.write(at + unicode_string::LENGTH, u16::try_from(bytes.len()).unwrap())?;
    k.write(at + unicode_string::MAXIMUM_LENGTH, u16::try_from(maximum).unwrap())?;
    k.write(at + unicode_string::BUFFER, buffer)?;
    Ok(at.get())
}

/// A `UNICODE_STRING` without room for more.
pub(crate) fn counted(k: &Kernel, text: &str) -> Outcome<u64> {
    let bytes = encode(text);
    counted_bytes(k, &bytes, bytes.len())
}

/// An `ANSI_STRING` without room for more.
pub(crate) fn counted_narrow(k: &Kernel, text: impl AsRef<[u8]>) -> Outcome<u64> {
    let text = text.as_ref();
    counted_bytes(k, text, text.len())
}

/// An empty counted string with room for `maximum` bytes.
pub(crate) fn room(k: &Kernel, maximum: usize) -> Outcome<u64> {
    counted_bytes(k, &[], maximum)
}

/// The bytes of a counted string.
pub(crate) fn bytes_of(k: &Kernel, at: u64) -> Outcome<Vec<u8>> {
    super::counted::Counted::read(k, Va(at))?.bytes(k)
}

/// The text of a `UNICODE_STRING`.
pub(crate) fn counted_text(k: &Kernel, at: u64) -> Outcome<String> {
    super::unicode_string::read(k, Va(at))
}

/// A negative `int` as an argument.
pub(crate) fn negative(number: i32) -> u64 {
    number.cast_unsigned().into()
}
