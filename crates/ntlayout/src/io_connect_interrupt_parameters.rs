//! `IO_CONNECT_INTERRUPT_PARAMETERS`: what `IoConnectInterruptEx` is given; the union starts at `VERSION + 8`.

/// Size of the structure, in bytes.
pub const SIZE: usize = 80;
/// `Version`.
pub const VERSION: usize = 0;
