//! `KEY_FULL_INFORMATION`.

/// `LastWriteTime`.
pub const LAST_WRITE_TIME: usize = 0;
/// `TitleIndex`.
pub const TITLE_INDEX: usize = 8;
/// `ClassOffset`.
pub const CLASS_OFFSET: usize = 12;
/// `ClassLength`.
pub const CLASS_LENGTH: usize = 16;
/// `SubKeys`.
pub const SUB_KEYS: usize = 20;
/// `MaxNameLen`.
pub const MAX_NAME_LEN: usize = 24;
/// `MaxClassLen`.
pub const MAX_CLASS_LEN: usize = 28;
/// `Values`.
pub const VALUES: usize = 32;
/// `MaxValueNameLen`.
pub const MAX_VALUE_NAME_LEN: usize = 36;
/// `MaxValueDataLen`.
pub const MAX_VALUE_DATA_LEN: usize = 40;
/// `Class`.
pub const CLASS: usize = 44;
