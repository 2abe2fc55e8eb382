//! Requests that the driver must refuse, and what it answers.

use edu::ioctl::{Access, ControlCode, Factorial, Liveness, Method, QueryInfo, Request};
use ntsim::{NtStatus, Outcome, trace::Event};
use scenarios::{
    boot::{Run, Setup},
    program::Program,
};

async fn wrong_lengths<R: Request>(program: &Program) -> Outcome<()> {
    let (input, output) = (size_of::<R::Input>(), size_of::<R::Output>());
    let cases = [
        (input + 1, output, NtStatus::INVALID_PARAMETER),
        (input + 4096, output, NtStatus::INVALID_PARAMETER),
        (input.wrapping_sub(1), output, NtStatus::INVALID_PARAMETER),
        (input + 1, 0, NtStatus::INVALID_PARAMETER),
        (input, output - 1, NtStatus::BUFFER_TOO_SMALL),
        (input, 0, NtStatus::BUFFER_TOO_SMALL),
    ];
    for (input, output, expected) in cases.into_iter().filter(|(input, ..)| *input != usize::MAX) {
        let done = program.call(R::CODE.raw(), &vec![0xA5; input], output).await?;
        assert_eq!(done.status, expected, "{:?} with {input} in, {output} out", R::CODE);
        assert_eq!(done.output.len(), 0, "an error has no output");
    }
    Ok(())
}

#[test]
fn wrong_buffer_lengths() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        wrong_lengths::<QueryInfo>(&program).await?;
        wrong_lengths::<Liveness>(&program).await?;
        wrong_lengths::<Factorial>(&program).await?;
        program.close().await
    });
    for record in run.clean().records() {
        if let Event::IrpCompleted {
            status, information, ..
        } = record.event
        {
            assert!(!status.is_error() || information == 0, "an error has no information");
        }
    }
}

/// A request that fails at once is told by what the call returns, and by nothing else; one that fails later by the I/O status block.
#[test]
fn an_error_at_once_is_returned_and_one_later_is_in_the_status_block() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let refused = program.send(Factorial::CODE.raw(), &[1, 2, 3], 4).await?;
        assert_eq!(refused.returned(), NtStatus::INVALID_PARAMETER);
        assert_eq!(refused.io_status_block(), None, "as the program left it");
        let cancelled = program.wait_interrupt(1).await?;
        assert_eq!(
            (cancelled.returned(), cancelled.io_status_block()),
            (NtStatus::PENDING, None)
        );
        program.cancel_request(&cancelled).await?;
        cancelled.wait(&pc.k).await?;
        assert_eq!(cancelled.returned(), NtStatus::PENDING);
        let block = cancelled.io_status_block().expect("the request was pending");
        assert_eq!((block.status, block.information), (NtStatus::CANCELLED, 0));
        program.close().await
    });
    let _ = run.clean();
}

/// What does not fit into the answer is not written: a program gets not one byte that the driver did not mean to give.
#[test]
fn a_longer_output_buffer_is_not_filled() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let done = program.call(Factorial::CODE.raw(), &5_u32.to_le_bytes(), 4096).await?;
        assert_eq!(done.status, NtStatus::SUCCESS);
        assert_eq!(done.output, 120_u32.to_le_bytes());
        program.close().await
    });
    let _ = run.clean();
}

#[test]
fn unknown_control_codes() {
    let run = Run::started(Setup::seed(1), async |pc| {
        let program = Program::open(&pc).await?;
        let known = Factorial::CODE;
        let other_method = ControlCode::new(known.device_type(), known.function(), Method::Neither, known.access());
        let other_type = ControlCode::new(0x8000, known.function(), known.method(), known.access());
        let other_function = ControlCode::new(known.device_type(), 0xFFF, Method::Buffered, Access::READ);
        for code in [0, u32::MAX, other_method.raw(), other_type.raw(), other_function.raw()] {
            let done = program.call(code, &[0; 4], 4).await?;
            assert_eq!(done.status, NtStatus::INVALID_DEVICE_REQUEST, "{code:#010x}");
        }
        program.close().await
    });
    let _ = run.clean();
}
