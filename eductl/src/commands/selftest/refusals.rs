//! Checks of what the driver must not do.

use edu::ioctl::{
    Access, ControlCode, FILE_DEVICE_UNKNOWN, Factorial, FactorialInput, Liveness, LivenessInput, Method, QueryInfo,
    QueryStatistics, RaiseInput, RaiseInterrupt, Request, ResetStatistics, WaitInput, WaitInterrupt,
};
use edu::registers::InterruptStatus;
use zerocopy::IntoBytes;

use super::fault::Fault;
use crate::status::Condition;
use crate::transport::Transport;

/// For every request: an input one byte longer or shorter than it should be, and an output one byte too short.
pub(super) fn lengths(transport: &mut dyn Transport) -> Result<(), Fault> {
    lengths_of::<QueryInfo>("QUERY_INFO", &(), transport)?;
    lengths_of::<Liveness>("LIVENESS", &LivenessInput { value: 1 }, transport)?;
    lengths_of::<Factorial>("FACTORIAL", &FactorialInput { n: 1 }, transport)?;
    lengths_of::<RaiseInterrupt>("RAISE_INTERRUPT", &RaiseInput { causes: 2 }, transport)?;
    lengths_of::<WaitInterrupt>("WAIT_INTERRUPT", &WaitInput { mask: 2 }, transport)?;
    lengths_of::<QueryStatistics>("QUERY_STATISTICS", &(), transport)?;
    lengths_of::<ResetStatistics>("RESET_STATISTICS", &(), transport)
}

fn lengths_of<R: Request>(name: &str, input: &R::Input, transport: &mut dyn Transport) -> Result<(), Fault> {
    let input = input.as_bytes();
    let output_len = size_of::<R::Output>();
    let mut refused = |input: &[u8], output_len, expected| {
        let what = format!("{name} with {} bytes of input and {output_len} of output", input.len());
        refused(&what, R::CODE, input, output_len, expected, transport)
    };

    refused(&[input, &[0]].concat(), output_len, Condition::BadRequest)?;
    if let Some((_, shorter)) = input.split_last() {
        refused(shorter, output_len, Condition::BadRequest)?;
    }
    if let Some(shorter) = output_len.checked_sub(1) {
        refused(input, shorter, Condition::BufferTooSmall)?;
    }
    Ok(())
}

/// Causes that no program may raise, alone and beside one that it may; a wait for nothing.
pub(super) fn values(transport: &mut dyn Transport) -> Result<(), Fault> {
    let forbidden = [
        InterruptStatus::FACTORIAL,
        InterruptStatus::DMA,
        RaiseInput::NEVER_RAISED,
    ];
    let beside = forbidden.map(|causes| causes.bits() | 0x10);
    for causes in [0, u32::MAX]
        .into_iter()
        .chain(forbidden.map(|causes| causes.bits()))
        .chain(beside)
    {
        let input = RaiseInput { causes };
        let what = format!("a raise of {causes:#010x}");
        refused(
            &what,
            RaiseInterrupt::CODE,
            input.as_bytes(),
            0,
            Condition::BadRequest,
            transport,
        )?;
    }
    refused(
        "a wait for nothing",
        WaitInterrupt::CODE,
        WaitInput { mask: 0 }.as_bytes(),
        size_of::<<WaitInterrupt as Request>::Output>(),
        Condition::BadRequest,
        transport,
    )
}

/// The highest function code: should it ever be given to a request, this has to change.
pub(super) fn unknown_request(transport: &mut dyn Transport) -> Result<(), Fault> {
    const UNKNOWN: ControlCode = ControlCode::new(FILE_DEVICE_UNKNOWN, 0xFFF, Method::Buffered, Access::READ);

    refused(
        &format!("control code {UNKNOWN}"),
        UNKNOWN,
        &[],
        0,
        Condition::NotServed,
        transport,
    )
}

/// Makes a request that must be refused, for the reason that is `expected`.
pub(super) fn refused(
    what: &str,
    code: ControlCode,
    input: &[u8],
    output_len: usize,
    expected: Condition,
    transport: &mut dyn Transport,
) -> Result<(), Fault> {
    let answer = transport.submit(code, input, output_len).and_then(|request| {
        // A driver that takes what it should refuse may keep it for ever; one that has refused it takes no notice of this.
        transport.cancel(&request);
        transport.wait(request)
    });
    match answer {
        Err(error) if error.condition() == Some(expected) => Ok(()),
        Err(error) if error.condition() == Some(Condition::Cancelled) => Err(Fault::Unexpected(format!(
            "{what} was not refused until it was cancelled"
        ))),
        Err(error) => Err(Fault::Unexpected(format!(
            "{what} was refused for another reason: {error}"
        ))),
        Ok(_) => Err(Fault::Unexpected(format!("{what} was not refused"))),
    }
}
