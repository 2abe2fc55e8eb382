//! `KEY_BASIC_INFORMATION`.

/// `LastWriteTime`.
pub const LAST_WRITE_TIME: usize = 0;
/// `TitleIndex`.
pub const TITLE_INDEX: usize = 8;
/// `NameLength`.
pub const NAME_LENGTH: usize = 12;
/// `Name`.
pub const NAME: usize = 16;
