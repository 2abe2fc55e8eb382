//! `GENERAL_LOOKASIDE`, which `NPAGED_LOOKASIDE_LIST` and `PAGED_LOOKASIDE_LIST` consist of, and `GENERAL_LOOKASIDE_POOL`, which
//! `LOOKASIDE_LIST_EX` consists of. Both have the same fields; the first is padded to whole cache lines.

/// Size of `GENERAL_LOOKASIDE`, in bytes.
pub const SIZE: usize = 128;
/// Size of `GENERAL_LOOKASIDE_POOL`, in bytes.
pub const POOL_SIZE: usize = 96;
/// `ListHead`.
pub const LIST_HEAD: usize = 0;
/// `Depth`.
pub const DEPTH: usize = 16;
/// `MaximumDepth`.
pub const MAXIMUM_DEPTH: usize = 18;
/// `TotalAllocates`, the first of the counters that the inline routines update without a lock.
pub const TOTAL_ALLOCATES: usize = 20;
/// `AllocateMisses`.
pub const ALLOCATE_MISSES: usize = 24;
/// `TotalFrees`.
pub const TOTAL_FREES: usize = 28;
/// `FreeMisses`, the last of those counters.
pub const FREE_MISSES: usize = 32;
/// `Type`.
pub const TYPE: usize = 36;
/// `Tag`.
pub const TAG: usize = 40;
/// `Size`.
pub const ENTRY_SIZE: usize = 44;
/// `Allocate`, or `AllocateEx`.
pub const ALLOCATE: usize = 48;
/// `Free`, or `FreeEx`.
pub const FREE: usize = 56;
/// `ListEntry`.
pub const LIST_ENTRY: usize = 64;
