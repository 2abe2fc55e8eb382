//! `KDPC`: a deferred procedure call.

/// Size of the structure, in bytes.
pub const SIZE: usize = 64;
/// `Type`.
pub const TYPE: usize = 0;
/// `Importance`.
pub const IMPORTANCE: usize = 1;
/// `Number`: the target processor.
pub const NUMBER: usize = 2;
/// `DpcListEntry`.
pub const DPC_LIST_ENTRY: usize = 8;
/// `ProcessorHistory`.
pub const PROCESSOR_HISTORY: usize = 16;
/// `DeferredRoutine`.
pub const DEFERRED_ROUTINE: usize = 24;
/// `DeferredContext`.
pub const DEFERRED_CONTEXT: usize = 32;
/// `SystemArgument1`.
pub const SYSTEM_ARGUMENT1: usize = 40;
/// `SystemArgument2`.
pub const SYSTEM_ARGUMENT2: usize = 48;
/// `DpcData`.
pub const DPC_DATA: usize = 56;
