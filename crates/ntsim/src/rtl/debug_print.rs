//! `DbgPrint`, `DbgPrintEx`, `vDbgPrintEx` and the like: the driver's debug output becomes part of the trace.

use super::code_page;
use crate::{
    bugcheck::Outcome,
    crt::{
        self,
        format::{Arguments, format},
    },
    ddi::{Args, Contract, Registry},
    exception,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
    trace::Event,
};

/// The most characters that one call passes on.
const LONGEST: usize = 512;

/// The text of output: UTF-8 as Rust drivers print it, or else characters of the code page.
fn decode(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf16_lossy(&code_page::widen_text(error.as_bytes())))
}

fn print(k: &Kernel, routine: &'static str, prefix: Va, template: Va, arguments: Arguments<'_>) -> Outcome<NtStatus> {
    let mut text = if prefix.is_null() {
        Vec::new()
    } else {
        crt::read::<u8>(k, prefix, LONGEST)?
    };
    let template = crt::read::<u8>(k, template, usize::MAX)?;
    text.extend(format(k, routine, &template, arguments)?);
    text.truncate(LONGEST);
    k.trace(Event::Printed(decode(text)));
    Ok(NtStatus::SUCCESS)
}

/// `RtlAssert(FailedAssertion, FileName, LineNumber, Message)`: a failed `ASSERT` of a checked build. It prints and breaks into the
/// debugger; without one the breakpoint is an exception that nobody handles.
fn assert_failed(k: &Kernel, a: &Args) -> Outcome<()> {
    use crate::bugcheck::{BugCheck, BugCheckCode as Code};
    let text = |at: Va| -> Outcome<String> {
        Ok(if at.is_null() {
            String::new()
        } else {
            decode(crt::read::<u8>(k, at, LONGEST)?)
        })
    };
    let (assertion, file, message) = (text(a.va(0))?, text(a.va(1))?, text(a.va(3))?);
    let line = a.u32(2);
    let printed = format!("*** Assertion failed: {message}{assertion}\n***   Source File: {file}, line {line}\n");
    k.trace(Event::Printed(printed));
    Err(exception::fault(
        k,
        BugCheck::new(
            Code::KMODE_EXCEPTION_NOT_HANDLED,
            [NtStatus::BREAKPOINT.0.into(), k.caller().get(), 0, 0],
            "assertion-failed",
            format!(
                "the assertion {message}{assertion} failed at {file}:{line}, and no debugger is there to break into"
            ),
        ),
    ))
}

/// Adds this component's exports. The documentation allows them up to DIRQL.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql(12));
    ddi.function("DbgPrint", 1, contract, |k, a| {
        print(k, "DbgPrint", Va::NULL, a.va(0), Arguments::Call(a, 1))
    });
    ddi.function("DbgPrintEx", 3, contract, |k, a| {
        print(k, "DbgPrintEx", Va::NULL, a.va(2), Arguments::Call(a, 3))
    });
    ddi.function("DbgPrintReturnControlC", 1, contract, |k, a| {
        print(k, "DbgPrintReturnControlC", Va::NULL, a.va(0), Arguments::Call(a, 1))
    });
    ddi.function("vDbgPrintEx", 4, contract, |k, a| {
        print(k, "vDbgPrintEx", Va::NULL, a.va(2), Arguments::List(a.va(3)))
    });
    ddi.function("vDbgPrintExWithPrefix", 5, contract, |k, a| {
        print(k, "vDbgPrintExWithPrefix", a.va(0), a.va(3), Arguments::List(a.va(4)))
    });
    ddi.function("RtlAssert", 4, Contract::ANY, assert_failed);
}
