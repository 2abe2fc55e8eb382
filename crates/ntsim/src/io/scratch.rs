//! Small pieces of guest memory for results that a callback returns through a pointer.

use crate::{bugcheck::Outcome, kernel::Kernel, mm::Va};

/// Bytes of a piece.
const SIZE: usize = 16;

/// Takes a piece; its contents are arbitrary.
pub(super) fn take(k: &Kernel) -> Outcome<Va> {
    let spare = k.io().borrow_mut().scratch.pop();
    match spare {
        Some(piece) => Ok(piece),
        None => k.allocate_system(SIZE, "callback result"),
    }
}

/// Gives a piece back for the next user.
pub(super) fn give_back(k: &Kernel, piece: Va) {
    k.io().borrow_mut().scratch.push(piece);
}
