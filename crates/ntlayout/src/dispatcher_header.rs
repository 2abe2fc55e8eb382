//! `DISPATCHER_HEADER`: what every object that can be waited for starts with.

/// Size of the structure, in bytes.
pub const SIZE: usize = 24;
/// `Type`.
pub const TYPE: usize = 0;
/// `Signalling`.
pub const SIGNALLING: usize = 1;
/// `Size`, in units of four bytes.
pub const OBJECT_SIZE: usize = 2;
/// `SignalState`.
pub const SIGNAL_STATE: usize = 4;
/// `WaitListHead`.
pub const WAIT_LIST_HEAD: usize = 8;
