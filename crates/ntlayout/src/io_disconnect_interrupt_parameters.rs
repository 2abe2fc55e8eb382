//! `IO_DISCONNECT_INTERRUPT_PARAMETERS`: what `IoDisconnectInterruptEx` is given.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Version`.
pub const VERSION: usize = 0;
/// `ConnectionContext`.
pub const CONNECTION_CONTEXT: usize = 8;
