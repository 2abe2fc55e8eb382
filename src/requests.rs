//! `IRP_MJ_READ`, `IRP_MJ_WRITE` and `IRP_MJ_DEVICE_CONTROL`. IRQL: at most DISPATCH.

use edu::ioctl::{
    ABI_VERSION, BufferError, ControlCode, DeviceInfo, Factorial, IOCTL_EDU_DMA_ECHO, IOCTL_EDU_FACTORIAL,
    IOCTL_EDU_LIVENESS, IOCTL_EDU_QUERY_INFO, IOCTL_EDU_QUERY_STATISTICS, IOCTL_EDU_RAISE_INTERRUPT,
    IOCTL_EDU_RESET_STATISTICS, IOCTL_EDU_WAIT_INTERRUPT, Liveness, QueryInfo, QueryStatistics, RaiseInput,
    RaiseInterrupt, Request, ResetStatistics, WaitInput, WaitInterrupt,
};
use wdm::{DeviceControl, Disposed, Error, Irp, Irql, Result, irql::UpToDispatch};

use crate::{device::EduDevice, statistics, transfer::transfer_of};

/// Checks a request, and answers it at once or queues it.
pub fn device_control<'i>(device: &EduDevice, mut irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    let Some(parameters) = irp.device_control() else {
        return irp.complete(Err(Error::INVALID_DEVICE_REQUEST), irql);
    };
    let answered = match ControlCode::from_raw(parameters.code) {
        IOCTL_EDU_QUERY_INFO => query_info(device, &mut irp, parameters),
        IOCTL_EDU_LIVENESS => match check_lengths::<Liveness>(parameters) {
            Ok(()) => return device.liveness.submit(irp, device, irql),
            Err(error) => Err(error),
        },
        IOCTL_EDU_QUERY_STATISTICS => query_statistics(device, &mut irp, parameters),
        IOCTL_EDU_RESET_STATISTICS => check_lengths::<ResetStatistics>(parameters).map(|()| statistics::reset(device)),
        IOCTL_EDU_RAISE_INTERRUPT => match check_input::<RaiseInterrupt>(&irp, parameters, RaiseInput::is_valid) {
            Ok(()) => return device.raise.submit(irp, irql),
            Err(error) => Err(error),
        },
        IOCTL_EDU_FACTORIAL => match check_lengths::<Factorial>(parameters) {
            Ok(()) => return device.compute.submit(irp, device, irql),
            Err(error) => Err(error),
        },
        IOCTL_EDU_DMA_ECHO => return transfer(device, irp, irql),
        IOCTL_EDU_WAIT_INTERRUPT => match check_input::<WaitInterrupt>(&irp, parameters, WaitInput::is_valid) {
            Ok(()) => return device.doorbell.submit(irp, device, irql),
            Err(error) => Err(error),
        },
        _ => Err(Error::INVALID_DEVICE_REQUEST),
    };
    irp.complete(answered, irql)
}

/// A read, a write or an echo: what has bytes to move is queued. The program's memory is mapped later, piece by piece: it may be much larger than what
/// the device can use of it.
pub fn transfer<'i>(device: &EduDevice, irp: Irp<'i>, irql: &mut Irql<UpToDispatch>) -> Disposed<'i> {
    match transfer_of(&irp) {
        Ok(transfer) if transfer.is_empty() => irp.complete(Ok(()), irql),
        Ok(_) => device.transfer.submit(irp, device, irql),
        Err(error) => irp.complete(Err(error), irql),
    }
}

/// `IOCTL_EDU_QUERY_INFO`: from what was read when the device was started, since it may sleep now.
fn query_info(device: &EduDevice, irp: &mut Irp<'_>, parameters: DeviceControl) -> Result<()> {
    check_lengths::<QueryInfo>(parameters)?;
    irp.write_output(&DeviceInfo {
        abi_version: ABI_VERSION,
        identification: device.registers.identification(),
        driver_version: edu::VERSION,
    })
}

/// `IOCTL_EDU_QUERY_STATISTICS`. Not inlined: the statistics would lie in every request's stack frame.
#[inline(never)]
fn query_statistics(device: &EduDevice, irp: &mut Irp<'_>, parameters: DeviceControl) -> Result<()> {
    check_lengths::<QueryStatistics>(parameters)?;
    irp.write_output(&statistics::read(device))
}

fn check_lengths<R: Request>(parameters: DeviceControl) -> Result<()> {
    R::check_lengths(parameters.input_length as usize, parameters.output_length as usize).map_err(|error| match error {
        BufferError::InputLength => Error::INVALID_PARAMETER,
        BufferError::OutputTooShort => Error::BUFFER_TOO_SMALL,
    })
}

/// Checks the lengths, and the input itself.
fn check_input<R: Request>(irp: &Irp<'_>, parameters: DeviceControl, is_valid: fn(R::Input) -> bool) -> Result<()> {
    check_lengths::<R>(parameters)?;
    if is_valid(irp.read_input()?) {
        Ok(())
    } else {
        Err(Error::INVALID_PARAMETER)
    }
}
