//! `KEY_VALUE_BASIC_INFORMATION`: name and type of a registry value.

/// `Type`.
pub const TYPE: usize = 4;
/// `NameLength`.
pub const NAME_LENGTH: usize = 8;
/// `Name`.
pub const NAME: usize = 12;
