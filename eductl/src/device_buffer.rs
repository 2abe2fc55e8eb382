//! The device's buffer, read and written like a file (`ReadFile`, `WriteFile`), and echoes through it.

use edu::ioctl::IOCTL_EDU_DMA_ECHO;

use crate::request::RequestError;
use crate::transport::Transport;

/// Reads up to `len` bytes at the byte offset `offset`, and waits for them. At the buffer's end they are fewer.
///
/// # Errors
/// The request failed, or brought more than was asked for.
pub fn read(transport: &mut dyn Transport, offset: u64, len: usize) -> Result<Vec<u8>, RequestError> {
    let request = transport.submit_read(offset, len)?;
    let completed = transport.wait(request)?;
    if completed.transferred > len || completed.output.len() != completed.transferred {
        return Err(RequestError::ImpossibleAnswer(format!(
            "{} bytes were read, {len} at the most were asked for",
            completed.transferred
        )));
    }
    Ok(completed.output)
}

/// Writes `data` at the byte offset `offset`, and waits until all of it is in the device.
///
/// # Errors
/// The request failed, or succeeded with another number of bytes.
pub fn write(transport: &mut dyn Transport, offset: u64, data: &[u8]) -> Result<(), RequestError> {
    let request = transport.submit_write(offset, data)?;
    let completed = transport.wait(request)?;
    if completed.transferred != data.len() {
        return Err(RequestError::ImpossibleAnswer(format!(
            "{} bytes of {} were written",
            completed.transferred,
            data.len()
        )));
    }
    Ok(())
}

/// Sends `data` through the device's buffer and back by DMA, and waits for it. What lay in the buffer is overwritten.
///
/// # Errors
/// The request failed, or brought another number of bytes.
pub fn echo(transport: &mut dyn Transport, data: &[u8]) -> Result<Vec<u8>, RequestError> {
    let request = transport.submit(IOCTL_EDU_DMA_ECHO, data, data.len())?;
    let echo = transport.wait(request)?.output;
    if echo.len() != data.len() {
        return Err(RequestError::AnswerLength {
            expected: data.len(),
            got: echo.len(),
        });
    }
    Ok(echo)
}
