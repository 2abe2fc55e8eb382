//! Checks of reads and writes of the device's buffer, and of echoes through it. They overwrite it.

use edu::dma::BUFFER_USABLE;
use edu::ioctl::{IOCTL_EDU_DMA_ECHO, MAX_ECHO};

use super::fault::Fault;
use super::refusals::refused;
use crate::device_buffer::{echo, read, write};
use crate::request::RequestError;
use crate::status::Condition;
use crate::transport::Transport;

/// `length` bytes that no two places and no two patterns have in common for long.
fn pattern(length: usize, seed: u8) -> Vec<u8> {
    (0..length)
        .map(|index| {
            let mixed = index.wrapping_mul(0x9E37_79B1).wrapping_add(usize::from(seed));
            mixed.to_le_bytes()[2]
        })
        .collect()
}

/// All of it; a part in its middle, which leaves the rest alone; its first and its last byte.
pub(super) fn buffer(transport: &mut dyn Transport) -> Result<(), Fault> {
    let mut expected = pattern(BUFFER_USABLE, 1);
    put(0, &expected, transport)?;
    for (seed, place) in [(2, 1000..2500), (3, 0..1), (4, BUFFER_USABLE - 1..BUFFER_USABLE)] {
        let part = pattern(place.len(), seed);
        put(place.start, &part, transport)?;
        expected[place].copy_from_slice(&part);
    }
    same(&expected, &get(0, BUFFER_USABLE, transport)?)?;
    same(&expected[1234..1300], &get(1234, 66, transport)?)
}

fn put(offset: usize, data: &[u8], transport: &mut dyn Transport) -> Result<(), Fault> {
    let what = format!("write of {} bytes at offset {offset}", data.len());
    write(transport, offset as u64, data).map_err(Fault::of(what))
}

fn get(offset: usize, length: usize, transport: &mut dyn Transport) -> Result<Vec<u8>, Fault> {
    let what = format!("read of {length} bytes at offset {offset}");
    read(transport, offset as u64, length).map_err(Fault::of(what))
}

fn same(expected: &[u8], came: &[u8]) -> Result<(), Fault> {
    if expected.len() != came.len() {
        return Err(Fault::Unexpected(format!(
            "{} bytes came instead of {}",
            came.len(),
            expected.len()
        )));
    }
    match expected.iter().zip(came).position(|(expected, came)| expected != came) {
        None => Ok(()),
        Some(index) => Err(Fault::Unexpected(format!(
            "byte {index} is {:#04x} instead of {:#04x}",
            came[index], expected[index]
        ))),
    }
}

/// A read at the end has fewer bytes, one behind it fails, and so does a write that does not fit; nothing is nothing everywhere.
pub(super) fn end_of_buffer(transport: &mut dyn Transport) -> Result<(), Fault> {
    let last = get(BUFFER_USABLE - 1, 10, transport)?;
    if last.len() != 1 {
        return Err(Fault::Unexpected(format!(
            "a read at the last byte brought {} bytes",
            last.len()
        )));
    }
    for offset in [BUFFER_USABLE as u64, BUFFER_USABLE as u64 + 1, 1 << 40] {
        let what = format!("a read at offset {offset}");
        failed(&what, read(transport, offset, 1), Condition::EndOfBuffer)?;
        let what = format!("a write at offset {offset}");
        failed(&what, write(transport, offset, &[0]), Condition::Full)?;
    }
    let what = "a write over the end";
    failed(
        what,
        write(transport, BUFFER_USABLE as u64 - 1, &[0; 2]),
        Condition::Full,
    )?;
    same(&last, &get(BUFFER_USABLE - 1, 1, transport)?)?;
    put(5, &[], transport)?;
    same(&[], &get(5, 0, transport)?)
}

fn failed<T>(what: &str, result: Result<T, RequestError>, expected: Condition) -> Result<(), Fault> {
    match result {
        Err(RequestError::Device(error)) if error.condition() == Some(expected) => Ok(()),
        Err(error) => Err(Fault::Unexpected(format!("{what} failed for another reason: {error}"))),
        Ok(_) => Err(Fault::Unexpected(format!("{what} succeeded"))),
    }
}

/// One byte, as many as the buffer takes, one more, and several times as many.
pub(super) fn echoes(transport: &mut dyn Transport) -> Result<(), Fault> {
    for (seed, length) in (10..).zip([1, BUFFER_USABLE, BUFFER_USABLE + 1, 3 * BUFFER_USABLE + 5]) {
        let data = pattern(length, seed);
        let came = echo(transport, &data).map_err(Fault::of(format!("echo of {length} bytes")))?;
        same(&data, &came)?;
    }
    Ok(())
}

/// Nothing, more than there may be, and an output that is too short.
pub(super) fn refused_echoes(transport: &mut dyn Transport) -> Result<(), Fault> {
    for (input, output_len, expected) in [
        (0, 0, Condition::BadRequest),
        (0, 10, Condition::BadRequest),
        (MAX_ECHO + 1, MAX_ECHO + 1, Condition::BadRequest),
        (10, 9, Condition::BufferTooSmall),
        (10, 0, Condition::BufferTooSmall),
    ] {
        let what = format!("DMA_ECHO with {input} bytes of input and {output_len} of output");
        refused(
            &what,
            IOCTL_EDU_DMA_ECHO,
            &vec![0; input],
            output_len,
            expected,
            transport,
        )?;
    }
    Ok(())
}
