//! `RTL_AVL_TABLE`: a generic table with balanced links.

/// Size of the structure, in bytes.
pub const SIZE: usize = 104;
/// `BalancedRoot`.
pub const BALANCED_ROOT: usize = 0;
/// `NumberGenericTableElements`.
pub const NUMBER_GENERIC_TABLE_ELEMENTS: usize = 44;
/// `CompareRoutine`.
pub const COMPARE_ROUTINE: usize = 72;
/// `AllocateRoutine`.
pub const ALLOCATE_ROUTINE: usize = 80;
/// `FreeRoutine`.
pub const FREE_ROUTINE: usize = 88;
/// `TableContext`.
pub const TABLE_CONTEXT: usize = 96;
/// Bytes of the links before an element's data: `RTL_BALANCED_LINKS`.
pub const LINKS_SIZE: usize = 32;
