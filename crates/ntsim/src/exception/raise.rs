//! Exceptions that a driver raises itself: `ExRaiseStatus`, `RtlRaiseException` and their kin.

use ntlayout::exception_record as record;

use super::{Exception, MAXIMUM_PARAMETERS, RAISED, raise, raise_status};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Halted, Outcome},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::at_most(Irql::APC);
    ddi.function("ExRaiseStatus", 1, contract, |k, a| -> Outcome<()> {
        Err(raise_status(k, "ExRaiseStatus", NtStatus(a.u32(0))))
    });
    ddi.function("ExRaiseAccessViolation", 0, contract, |k, _| -> Outcome<()> {
        Err(raise_status(k, "ExRaiseAccessViolation", NtStatus::ACCESS_VIOLATION))
    });
    ddi.function("ExRaiseDatatypeMisalignment", 0, contract, |k, _| -> Outcome<()> {
        Err(raise_status(
            k,
            "ExRaiseDatatypeMisalignment",
            NtStatus::DATATYPE_MISALIGNMENT,
        ))
    });
    ddi.function("RtlRaiseStatus", 1, Contract::ANY, |k, a| -> Outcome<()> {
        Err(raise_status(k, "RtlRaiseStatus", NtStatus(a.u32(0))))
    });
    for name in ["RtlRaiseException", "ExRaiseException"] {
        ddi.function(name, 1, Contract::ANY, move |k, a: &Args| -> Outcome<()> {
            Err(raise_record(k, name, a.va(0))?)
        });
    }
}

/// Raises the exception of the driver's `EXCEPTION_RECORD` at `at`. Execution may go on after the call.
fn raise_record(k: &Kernel, routine: &str, at: Va) -> Outcome<Halted> {
    let code: NtStatus = k.read(at + record::EXCEPTION_CODE)?;
    let count: u32 = k.read(at + record::NUMBER_PARAMETERS)?;
    let mut parameters = Vec::new();
    for index in 0..MAXIMUM_PARAMETERS.min(count as usize) {
        parameters.push(k.read(at + record::EXCEPTION_INFORMATION + 8 * index)?);
    }
    let parameter = |index: usize| parameters.get(index).copied().unwrap_or(0);
    let unhandled = BugCheck::new(
        Code::KMODE_EXCEPTION_NOT_HANDLED,
        [code.0.into(), k.caller().get(), parameter(0), parameter(1)],
        RAISED,
        format!("{routine} raised {code}, and nothing handles it"),
    );
    let exception = Exception {
        parameters,
        record: Some(at),
        after_call: true,
        ..Exception::behind(k, unhandled)
    };
    Ok(raise(k, exception))
}
