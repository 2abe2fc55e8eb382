//! `KEVENT`: a notification or synchronisation event.

/// Size of the structure, in bytes.
pub const SIZE: usize = 24;
/// `Header`.
pub const HEADER: usize = 0;
