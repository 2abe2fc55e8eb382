//! Text that routines of other components give in a `UNICODE_STRING`.

use super::{
    counted::{self, Counted},
    unicode_string::{self, encode},
};
use crate::{bugcheck::Outcome, kernel::Kernel, mm::Va, status::NtStatus};

/// Stores text in the string at `to`, with a terminator when there is room: in a new buffer that the driver has to free, or in the
/// string's own.
///
/// # Errors
/// When the string or its buffer cannot be written.
pub(crate) fn store(k: &Kernel, to: Va, text: &str, allocates: bool) -> Outcome<NtStatus> {
    let bytes = encode(text);
    let Ok(length) = u16::try_from(bytes.len()) else {
        return Ok(NtStatus::BUFFER_OVERFLOW);
    };
    if allocates {
        let buffer = counted::allocate(k, bytes.len() + 2);
        counted::write_bytes(k, buffer, &[bytes, vec![0, 0]].concat())?;
        unicode_string::write(k, to, length, length.saturating_add(2), buffer)?;
        return Ok(NtStatus::SUCCESS);
    }
    let destination = Counted::read(k, to)?;
    if destination.maximum < length {
        return Ok(NtStatus::BUFFER_OVERFLOW);
    }
    destination.put(k, 0, &bytes)?;
    if destination.maximum - length >= 2 {
        destination.put(k, length, &[0, 0])?;
    }
    destination.set_length(k, length)?;
    Ok(NtStatus::SUCCESS)
}
