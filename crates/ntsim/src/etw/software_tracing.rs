//! What the macros of software tracing (WPP) call: `WmiTraceMessage`, `WmiTraceMessageVa`, `WmiQueryTraceInformation`.

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `STATUS_INVALID_INFO_CLASS`, `STATUS_INFO_LENGTH_MISMATCH`.
const INVALID_INFO_CLASS: NtStatus = NtStatus(0xC000_0003);
const INFO_LENGTH_MISMATCH: NtStatus = NtStatus(0xC000_0004);

pub(super) fn register(ddi: &mut Registry) {
    // There is no session: no handle is that of one.
    ddi.function("WmiTraceMessage", 4, Contract::ANY, |_, _| Ok(NtStatus::INVALID_HANDLE));
    ddi.function("WmiTraceMessageVa", 5, Contract::ANY, |_, _| {
        Ok(NtStatus::INVALID_HANDLE)
    });
    ddi.function("WmiQueryTraceInformation", 5, Contract::ANY, query);
}

/// `WmiQueryTraceInformation(TraceInformationClass, TraceInformation, TraceInformationLength, RequiredLength, Buffer)`.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    const TRACE_ID: u32 = 0;
    const TRACE_HANDLE: u32 = 1;
    const ENABLE_FLAGS: u32 = 2;
    const ENABLE_LEVEL: u32 = 3;
    const GLOBAL_LOGGER: u32 = 4;
    const EVENT_LOGGER: u32 = 5;
    const ALL_LOGGERS: u32 = 6;
    const HANDLE_BY_NAME: u32 = 7;
    let (class, length, required, buffer) = (a.u32(0), a.u32(2), a.va(3), a.va(4));
    let needed = match class {
        ENABLE_FLAGS | ENABLE_LEVEL | TRACE_ID => 4,
        TRACE_HANDLE | GLOBAL_LOGGER | EVENT_LOGGER | HANDLE_BY_NAME => 8,
        ALL_LOGGERS => 0,
        _ => return Ok(INVALID_INFO_CLASS),
    };
    if required != Va::NULL {
        k.write(required, needed)?;
    }
    if length < needed {
        return Ok(INFO_LENGTH_MISMATCH);
    }
    Ok(match class {
        ALL_LOGGERS => NtStatus::SUCCESS,
        GLOBAL_LOGGER | EVENT_LOGGER | HANDLE_BY_NAME => NtStatus::NOT_FOUND,
        // The others ask about a session whose handle, or number, is given.
        _ if buffer == Va::NULL => NtStatus::INVALID_PARAMETER,
        _ => NtStatus::INVALID_HANDLE,
    })
}
