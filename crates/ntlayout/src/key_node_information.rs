//! `KEY_NODE_INFORMATION`.

/// `LastWriteTime`.
pub const LAST_WRITE_TIME: usize = 0;
/// `TitleIndex`.
pub const TITLE_INDEX: usize = 8;
/// `ClassOffset`.
pub const CLASS_OFFSET: usize = 12;
/// `ClassLength`.
pub const CLASS_LENGTH: usize = 16;
/// `NameLength`.
pub const NAME_LENGTH: usize = 20;
/// `Name`.
pub const NAME: usize = 24;
