//! `IO_ERROR_LOG_PACKET`: what a driver writes to the system's error log.

/// Size of the structure, in bytes.
pub const SIZE: usize = 48;
/// `DumpDataSize`.
pub const DUMP_DATA_SIZE: usize = 2;
/// `NumberOfStrings`.
pub const NUMBER_OF_STRINGS: usize = 4;
/// `StringOffset`.
pub const STRING_OFFSET: usize = 6;
/// `ErrorCode`.
pub const ERROR_CODE: usize = 12;
/// `UniqueErrorValue`.
pub const UNIQUE_ERROR_VALUE: usize = 16;
/// `FinalStatus`.
pub const FINAL_STATUS: usize = 20;
/// `DumpData`.
pub const DUMP_DATA: usize = 40;
