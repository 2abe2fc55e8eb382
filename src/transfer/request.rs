//! What a request wants transferred. IRQL: at most DISPATCH.

use edu::{
    ioctl::{ControlCode, IOCTL_EDU_DMA_ECHO},
    transfer::{Refusal, Transfer},
};
use wdm::{DeviceControl, Irp, ReadWrite, Result, Status};

/// Reads a request's parameters: a read, a write or an echo. The same request gives the same answer every time.
pub fn transfer_of(irp: &Irp<'_>) -> Result<Transfer> {
    if let Some(ReadWrite {
        transfer,
        length,
        offset,
    }) = irp.read_write()
    {
        return match transfer {
            wdm::Transfer::Read => Transfer::read(offset, length),
            wdm::Transfer::Write => Transfer::write(offset, length),
        }
        .map_err(refused);
    }
    match irp.device_control() {
        Some(parameters) if ControlCode::from_raw(parameters.code) == IOCTL_EDU_DMA_ECHO => echo(parameters),
        _ => Err(Status::INVALID_DEVICE_REQUEST),
    }
}

/// `IOCTL_EDU_DMA_ECHO`: the input's length is looked at first, as for every request.
fn echo(parameters: DeviceControl) -> Result<Transfer> {
    let transfer = Transfer::echo(parameters.input_length as usize).map_err(refused)?;
    if parameters.output_length < parameters.input_length {
        return Err(Status::BUFFER_TOO_SMALL);
    }
    Ok(transfer)
}

fn refused(refusal: Refusal) -> Status {
    match refusal {
        Refusal::Invalid => Status::INVALID_PARAMETER,
        Refusal::EndOfBuffer => Status::END_OF_FILE,
        Refusal::DoesNotFit => Status::DISK_FULL,
    }
}
