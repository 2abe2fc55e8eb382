//! `KEY_VALUE_PARTIAL_INFORMATION`: type and data of a registry value.

/// `Type`.
pub const TYPE: usize = 4;
/// `DataLength`.
pub const DATA_LENGTH: usize = 8;
/// `Data`.
pub const DATA: usize = 12;
