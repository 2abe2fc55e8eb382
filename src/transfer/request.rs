//! What a request wants transferred. IRQL: at most DISPATCH.

use edu::{
    ioctl::{ControlCode, IOCTL_EDU_DMA_ECHO},
    transfer::{Refusal, Transfer},
};
use wdm::{DeviceControl, Error, Irp, ReadWrite, Result};

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
        _ => Err(Error::INVALID_DEVICE_REQUEST),
    }
}

/// `IOCTL_EDU_DMA_ECHO`: the input's length is looked at first, as for every request.
fn echo(parameters: DeviceControl) -> Result<Transfer> {
    let transfer = Transfer::echo(parameters.input_length as usize).map_err(refused)?;
    if parameters.output_length < parameters.input_length {
        return Err(Error::BUFFER_TOO_SMALL);
    }
    Ok(transfer)
}

fn refused(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Invalid => Error::INVALID_PARAMETER,
        Refusal::EndOfBuffer => Error::END_OF_FILE,
        Refusal::DoesNotFit => Error::DISK_FULL,
    }
}
