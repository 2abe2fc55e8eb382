//! `EXCEPTION_RECORD`: what an exception is.

/// Size of the structure, in bytes.
pub const SIZE: usize = 152;
/// `ExceptionCode`.
pub const EXCEPTION_CODE: usize = 0;
/// `ExceptionFlags`.
pub const EXCEPTION_FLAGS: usize = 4;
/// `ExceptionRecord`: the record of the exception during which this one was raised.
pub const EXCEPTION_RECORD: usize = 8;
/// `ExceptionAddress`.
pub const EXCEPTION_ADDRESS: usize = 16;
/// `NumberParameters`.
pub const NUMBER_PARAMETERS: usize = 24;
/// `ExceptionInformation`: 15 values.
pub const EXCEPTION_INFORMATION: usize = 32;
