//! `ANSI_STRING` and `UNICODE_STRING` as values. Both have the same layout, with lengths in bytes.

use ntlayout::unicode_string::{BUFFER, LENGTH, MAXIMUM_LENGTH};

use crate::{
    bugcheck::{Outcome, VerifierRule},
    crt::Unit,
    ddi::Contract,
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
};

/// The tag of the buffers that the routines allocate.
pub(super) const STRING_TAG: u32 = u32::from_le_bytes(*b"Strg");

/// The contract of the routines that are for `PASSIVE_LEVEL` only.
pub(crate) const PASSIVE: Contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_RTL_PASSIVE);

/// The contract of the routines whose tables are pageable.
pub(super) const APC: Contract = Contract::at_most(Irql::APC);

/// A counted string.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counted {
    /// Where the structure is.
    pub at: Va,
    /// `Length`.
    pub length: u16,
    /// `MaximumLength`.
    pub maximum: u16,
    /// `Buffer`.
    pub buffer: Va,
}

impl Counted {
    pub(super) fn read(k: &Kernel, at: Va) -> Outcome<Self> {
        Ok(Self {
            at,
            length: k.read(at + LENGTH)?,
            maximum: k.read(at + MAXIMUM_LENGTH)?,
            buffer: k.read(at + BUFFER)?,
        })
    }

    /// Its bytes.
    pub(super) fn bytes(&self, k: &Kernel) -> Outcome<Vec<u8>> {
        read_bytes(k, self.buffer, self.length.into())
    }

    /// Its characters.
    pub(super) fn units<T: Unit>(&self, k: &Kernel) -> Outcome<Vec<T>> {
        Ok(units(&self.bytes(k)?))
    }

    /// Sets the length alone.
    pub(super) fn set_length(&self, k: &Kernel, length: u16) -> Outcome<()> {
        k.write(self.at + LENGTH, length)
    }

    /// Writes bytes at an offset of the buffer.
    pub(super) fn put(&self, k: &Kernel, offset: u16, bytes: &[u8]) -> Outcome<()> {
        write_bytes(k, self.buffer + u64::from(offset), bytes)
    }
}

/// The characters of the string at `at`.
pub(super) fn units_at<T: Unit>(k: &Kernel, at: Va) -> Outcome<Vec<T>> {
    Counted::read(k, at)?.units(k)
}

/// Bytes as characters; an odd one at the end is left out.
pub(super) fn units<T: Unit>(bytes: &[u8]) -> Vec<T> {
    bytes.chunks_exact(T::SIZE).map(T::from_guest).collect()
}

/// Characters as bytes.
pub(super) fn bytes_of<T: Unit>(units: &[T]) -> Vec<u8> {
    let mut bytes = vec![0; units.len() * T::SIZE];
    for (unit, to) in units.iter().zip(bytes.chunks_exact_mut(T::SIZE)) {
        unit.to_guest(to);
    }
    bytes
}

/// Reads bytes; none are read from anywhere, a null pointer too.
pub(super) fn read_bytes(k: &Kernel, from: Va, length: usize) -> Outcome<Vec<u8>> {
    if length == 0 {
        return Ok(Vec::new());
    }
    k.read_bytes(from, length)
}

/// Writes bytes; none are written to anywhere, a null pointer too.
pub(super) fn write_bytes(k: &Kernel, to: Va, bytes: &[u8]) -> Outcome<()> {
    if bytes.is_empty() {
        return Ok(());
    }
    k.write_bytes(to, bytes)
}

/// A buffer that the driver has to free.
pub(super) fn allocate(k: &Kernel, size: usize) -> Va {
    let size = size.max(1) as u64;
    k.allocate_pool(PoolKind::Paged, size, STRING_TAG, PoolOwner::Driver, "string buffer")
}
