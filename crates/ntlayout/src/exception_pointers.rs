//! `EXCEPTION_POINTERS`: an exception with the processor's state when it happened.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `ExceptionRecord`.
pub const EXCEPTION_RECORD: usize = 0;
/// `ContextRecord`.
pub const CONTEXT_RECORD: usize = 8;
