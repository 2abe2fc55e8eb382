//! Calling exports from tests, and the text and strings that they are given.

use std::future::Future;

use ntlayout::unicode_string;

use super::unicode_string::{encode, read_terminated};
pub(crate) use crate::ddi::testing::{bugcheck_of, call, status};
use crate::{bugcheck::Outcome, crt, ddi::testing, kernel::Kernel, mm::Va, trace::Event};

/// Runs a script that breaks no rule; what it left in the trace.
pub(crate) fn run<F>(script: impl FnOnce(Kernel) -> F + 'static) -> Vec<Event>
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = testing::run(script);
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
    let trace = machine.kernel().recorded();
    trace.records().iter().map(|record| record.event.clone()).collect()
}

/// Calls an export that returns an `int`, a `LONG` or a `BOOLEAN`.
pub(crate) async fn int(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<i32> {
    let returned = call(k, name, arguments).await?;
    Ok(((returned & 0xFFFF_FFFF) as u32).cast_signed())
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
