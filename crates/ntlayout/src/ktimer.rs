//! `KTIMER`: a timer object.

/// Size of the structure, in bytes.
pub const SIZE: usize = 64;
/// `Header`.
pub const HEADER: usize = 0;
/// `DueTime`.
pub const DUE_TIME: usize = 24;
/// `TimerListEntry`.
pub const TIMER_LIST_ENTRY: usize = 32;
/// `Dpc`.
pub const DPC: usize = 48;
/// `Processor`.
pub const PROCESSOR: usize = 56;
/// `TimerType`.
pub const TIMER_TYPE: usize = 58;
/// `Period`.
pub const PERIOD: usize = 60;
