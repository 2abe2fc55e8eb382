//! Transfers through the device's buffer: what a request asks for, and the pieces that the DMA engine does it in.
//!
//! A program reads and writes the usable bytes of the buffer ([`BUFFER_USABLE`]) as if they were a file that cannot grow:
//!
//! | request | answer |
//! |---|---|
//! | offset below 0, which includes the one that means "at the end" | `STATUS_INVALID_PARAMETER` |
//! | no bytes, at any other offset | success, 0 bytes |
//! | read that begins at the end or behind it | `STATUS_END_OF_FILE` |
//! | read that goes beyond the end | success, the bytes up to the end |
//! | write that goes beyond the end, however little | `STATUS_DISK_FULL`, and nothing is written |
//!
//! An echo ([`IOCTL_EDU_DMA_ECHO`](crate::ioctl::IOCTL_EDU_DMA_ECHO)) sends each piece to the beginning of the buffer, and fetches it from there, before the
//! next.

use core::fmt;

use crate::{dma::BUFFER_USABLE, ioctl::MAX_ECHO};

/// What is to be transferred. It has been checked: every piece of it lies in the device's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transfer {
    kind: Kind,
    /// Where in the device's buffer it begins.
    offset: usize,
    length: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Read,
    Write,
    Echo,
}

/// Why a transfer is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An offset below 0, or a length that the request does not take: the driver answers `STATUS_INVALID_PARAMETER`.
    Invalid,
    /// There is nothing to be read: the driver answers `STATUS_END_OF_FILE`.
    EndOfBuffer,
    /// What is to be written does not fit: the driver answers `STATUS_DISK_FULL`.
    DoesNotFit,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "the offset or the length is not valid",
            Self::EndOfBuffer => "there is nothing at the end of the device's buffer or behind it",
            Self::DoesNotFit => "it does not fit into the device's buffer",
        })
    }
}

impl core::error::Error for Refusal {}

/// The most bytes that are moved by one DMA command: 1 to [`BUFFER_USABLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceSize(usize);

impl PieceSize {
    /// As many as the device can.
    pub const MAX: Self = Self(BUFFER_USABLE);

    /// This many; `None` for none, and for more than the device can.
    #[must_use]
    pub const fn new(bytes: usize) -> Option<Self> {
        if 0 < bytes && bytes <= BUFFER_USABLE {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// How many.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for PieceSize {
    fn default() -> Self {
        Self::MAX
    }
}

/// Which way a piece goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From memory to the device.
    ToDevice,
    /// From the device to memory.
    ToMemory,
}

/// What one DMA command moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which way.
    pub direction: Direction,
    /// Where in the request's data it begins, in bytes.
    pub data_offset: usize,
    /// Where in the device's buffer it begins, in bytes.
    pub device_offset: usize,
    /// How many bytes; at least 1.
    pub length: usize,
}

/// How far a transfer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// How many bytes of the request's data are done with.
    pub done: usize,
    /// The next piece of an echo lies in the device's buffer, to be fetched.
    pub sent: bool,
}

impl Transfer {
    /// A read of `length` bytes at `offset`.
    ///
    /// # Errors
    /// As the table of this module says.
    pub fn read(offset: i64, length: u32) -> Result<Self, Refusal> {
        let (offset, length) = range(offset, length)?;
        let rest = BUFFER_USABLE.saturating_sub(offset);
        if length != 0 && rest == 0 {
            return Err(Refusal::EndOfBuffer);
        }
        Ok(Self {
            kind: Kind::Read,
            offset,
            length: length.min(rest),
        })
    }

    /// A write of `length` bytes at `offset`.
    ///
    /// # Errors
    /// As the table of this module says.
    pub fn write(offset: i64, length: u32) -> Result<Self, Refusal> {
        let (offset, length) = range(offset, length)?;
        if length > BUFFER_USABLE.saturating_sub(offset) {
            return Err(Refusal::DoesNotFit);
        }
        Ok(Self {
            kind: Kind::Write,
            offset,
            length,
        })
    }

    /// An echo of `length` bytes.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for none, or more than [`MAX_ECHO`].
    pub fn echo(length: usize) -> Result<Self, Refusal> {
        if length == 0 || length > MAX_ECHO {
            return Err(Refusal::Invalid);
        }
        Ok(Self {
            kind: Kind::Echo,
            offset: 0,
            length,
        })
    }

    /// How many bytes of the request's data it moves.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether there is nothing to move.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The piece that is next, when it has come as far as `progress` says; `None` at the end.
    ///
    /// ```
    /// use edu::transfer::{PieceSize, Progress, Transfer};
    ///
    /// let transfer = Transfer::echo(5000)?;
    /// let mut progress = Progress::default();
    /// let mut lengths = Vec::new();
    /// while let Some(piece) = transfer.next_piece(progress, PieceSize::MAX) {
    ///     lengths.push(piece.length);
    ///     progress = transfer.progress_after(progress, piece);
    /// }
    /// assert_eq!(lengths, [4095, 4095, 905, 905], "there and back, one after the other");
    /// # Ok::<(), edu::transfer::Refusal>(())
    /// ```
    #[must_use]
    pub fn next_piece(&self, progress: Progress, at_most: PieceSize) -> Option<Piece> {
        let rest = self.length.checked_sub(progress.done).filter(|rest| *rest != 0)?;
        let (direction, device_offset) = match self.kind {
            Kind::Read => (Direction::ToMemory, self.offset.checked_add(progress.done)?),
            Kind::Write => (Direction::ToDevice, self.offset.checked_add(progress.done)?),
            Kind::Echo if progress.sent => (Direction::ToMemory, 0),
            Kind::Echo => (Direction::ToDevice, 0),
        };
        Some(Piece {
            direction,
            data_offset: progress.done,
            device_offset,
            length: rest.min(at_most.0),
        })
    }

    /// How far it has come when `piece`, which was the next, is through.
    #[must_use]
    pub fn progress_after(&self, progress: Progress, piece: Piece) -> Progress {
        if self.kind == Kind::Echo && piece.direction == Direction::ToDevice {
            Progress { sent: true, ..progress }
        } else {
            Progress {
                done: progress.done.saturating_add(piece.length),
                sent: false,
            }
        }
    }
}

/// An offset that is not below 0, and a length.
fn range(offset: i64, length: u32) -> Result<(usize, usize), Refusal> {
    if offset < 0 {
        return Err(Refusal::Invalid);
    }
    // What has no place in an address is behind the end of every buffer.
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let length = usize::try_from(length).map_err(|_| Refusal::Invalid)?;
    Ok((offset, length))
}

#[cfg(test)]
mod tests;
