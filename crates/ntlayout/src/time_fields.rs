//! `TIME_FIELDS`: a date and a time of day, each field a `CSHORT`.

/// Size of the structure, in bytes.
pub const SIZE: usize = 16;
/// `Year`.
pub const YEAR: usize = 0;
/// `Month`.
pub const MONTH: usize = 2;
/// `Day`.
pub const DAY: usize = 4;
/// `Hour`.
pub const HOUR: usize = 6;
/// `Minute`.
pub const MINUTE: usize = 8;
/// `Second`.
pub const SECOND: usize = 10;
/// `Milliseconds`.
pub const MILLISECONDS: usize = 12;
/// `Weekday`: 0 is Sunday.
pub const WEEKDAY: usize = 14;
