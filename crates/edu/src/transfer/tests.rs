extern crate std;

use std::vec::Vec;

use super::{Direction, Piece, PieceSize, Progress, Refusal, Transfer};
use crate::{dma::BUFFER_USABLE, ioctl::MAX_ECHO};

const END: i64 = 4095;

fn pieces(transfer: Transfer, at_most: usize) -> Vec<Piece> {
    let at_most = PieceSize::new(at_most).expect("a valid size");
    let mut progress = Progress::default();
    let mut pieces = Vec::new();
    while let Some(piece) = transfer.next_piece(progress, at_most) {
        pieces.push(piece);
        progress = transfer.progress_after(progress, piece);
    }
    assert_eq!(progress.done, transfer.len(), "all of it");
    pieces
}

/// Every piece is short enough, lies in the usable buffer, and follows the one before.
fn check(pieces: &[Piece], at_most: usize) {
    let mut next = 0;
    for piece in pieces {
        assert!((1..=at_most).contains(&piece.length), "{piece:?}");
        assert!(piece.device_offset + piece.length <= BUFFER_USABLE, "{piece:?}");
        assert_eq!(piece.data_offset, next, "{piece:?}");
        next += piece.length;
    }
}

#[test]
fn a_read_stops_at_the_end() {
    for (offset, length, expected) in [
        (0, 4095, 4095),
        (0, 4096, 4095),
        (0, u32::MAX, 4095),
        (4094, 1, 1),
        (4094, 2, 1),
        (1, 4094, 4094),
    ] {
        assert_eq!(
            Transfer::read(offset, length).map(|transfer| transfer.len()),
            Ok(expected),
            "{length} at {offset}"
        );
    }
    for offset in [END, END + 1, 1 << 32, i64::MAX] {
        assert_eq!(Transfer::read(offset, 1), Err(Refusal::EndOfBuffer), "{offset}");
    }
}

#[test]
fn a_write_fits_or_is_refused() {
    for (offset, length) in [(0, 4095), (4094, 1), (1, 4094), (2000, 0)] {
        assert_eq!(
            Transfer::write(offset, length).map(|transfer| transfer.len()),
            Ok(length as usize),
            "{length} at {offset}"
        );
    }
    for (offset, length) in [(0, 4096), (1, 4095), (4094, 2), (END, 1), (i64::MAX, 1), (0, u32::MAX)] {
        assert_eq!(
            Transfer::write(offset, length),
            Err(Refusal::DoesNotFit),
            "{length} at {offset}"
        );
    }
}

#[test]
fn nothing_is_nothing_wherever_it_is() {
    for offset in [0, END - 1, END, END + 1, i64::MAX] {
        for transfer in [Transfer::read(offset, 0), Transfer::write(offset, 0)] {
            let transfer = transfer.expect("no bytes are no error");
            assert!(transfer.is_empty(), "{offset}");
            assert_eq!(
                transfer.next_piece(Progress::default(), PieceSize::MAX),
                None,
                "{offset}"
            );
        }
    }
}

#[test]
fn offsets_below_zero_are_refused() {
    for offset in [-1, -2, i64::MIN] {
        for length in [0, 1] {
            assert_eq!(Transfer::read(offset, length), Err(Refusal::Invalid), "{offset}");
            assert_eq!(Transfer::write(offset, length), Err(Refusal::Invalid), "{offset}");
        }
    }
}

#[test]
fn an_echo_has_some_bytes_and_not_too_many() {
    assert_eq!(Transfer::echo(0), Err(Refusal::Invalid));
    assert_eq!(Transfer::echo(MAX_ECHO + 1), Err(Refusal::Invalid));
    assert_eq!(Transfer::echo(MAX_ECHO).map(|transfer| transfer.len()), Ok(MAX_ECHO));
}

#[test]
fn pieces_of_every_size_cover_a_read_and_a_write() {
    for at_most in [1, 2, 7, 1000, 4094, 4095] {
        for (offset, length) in [(0, 4095), (1, 4094), (100, 999), (4094, 1)] {
            let read = pieces(Transfer::read(offset, length).expect("in range"), at_most);
            let write = pieces(Transfer::write(offset, length).expect("in range"), at_most);
            check(&read, at_most);
            check(&write, at_most);
            assert_eq!(read.len(), (length as usize).div_ceil(at_most));
            assert!(read.iter().all(|piece| piece.direction == Direction::ToMemory));
            assert!(write.iter().all(|piece| piece.direction == Direction::ToDevice));
            for piece in read.iter().chain(&write) {
                assert_eq!(
                    piece.device_offset,
                    usize::try_from(offset).unwrap() + piece.data_offset
                );
            }
        }
    }
}

#[test]
fn an_echo_sends_each_piece_and_fetches_it_before_the_next() {
    for (length, at_most) in [
        (1, 4095),
        (4094, 4095),
        (4095, 4095),
        (4096, 4095),
        (10, 3),
        (MAX_ECHO, 4095),
    ] {
        let all = pieces(Transfer::echo(length).expect("in range"), at_most);
        let (there, back): (Vec<Piece>, Vec<Piece>) = all.chunks(2).map(|pair| (pair[0], pair[1])).unzip();
        check(&there, at_most);
        check(&back, at_most);
        assert_eq!(there.len(), length.div_ceil(at_most));
        for (there, back) in there.iter().zip(&back) {
            assert_eq!(
                (there.direction, back.direction),
                (Direction::ToDevice, Direction::ToMemory)
            );
            assert_eq!((there.device_offset, there.length), (back.device_offset, back.length));
        }
    }
}

/// A device that was stopped in between may have forgotten what it was sent.
#[test]
fn a_piece_of_an_echo_can_be_sent_again() {
    let transfer = Transfer::echo(10).expect("in range");
    let size = PieceSize::new(4).expect("in range");
    let progress = Progress { done: 4, sent: true };
    let fetch = transfer.next_piece(progress, size).expect("there is one");
    let send = transfer
        .next_piece(
            Progress {
                sent: false,
                ..progress
            },
            size,
        )
        .expect("there is one");
    assert_eq!(
        (fetch.direction, send.direction),
        (Direction::ToMemory, Direction::ToDevice)
    );
    assert_eq!((fetch.data_offset, send.data_offset), (4, 4));
}

#[test]
fn pieces_have_at_least_a_byte_and_at_most_what_the_device_can() {
    assert_eq!(PieceSize::new(0), None);
    assert_eq!(PieceSize::new(4096), None);
    assert_eq!(PieceSize::new(1).map(PieceSize::get), Some(1));
    assert_eq!(PieceSize::new(4095), Some(PieceSize::default()));
}
