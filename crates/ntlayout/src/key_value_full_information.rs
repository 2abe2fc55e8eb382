//! `KEY_VALUE_FULL_INFORMATION`: name, type and data of a registry value.

/// `Type`.
pub const TYPE: usize = 4;
/// `DataOffset`.
pub const DATA_OFFSET: usize = 8;
/// `DataLength`.
pub const DATA_LENGTH: usize = 12;
/// `NameLength`.
pub const NAME_LENGTH: usize = 16;
/// `Name`.
pub const NAME: usize = 20;
