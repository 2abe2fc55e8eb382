//! `RTL_GENERIC_TABLE`: a generic table with splay links.

/// Size of the structure, in bytes.
pub const SIZE: usize = 72;
/// `TableRoot`.
pub const TABLE_ROOT: usize = 0;
/// `InsertOrderList`.
pub const INSERT_ORDER_LIST: usize = 8;
/// `NumberGenericTableElements`.
pub const NUMBER_GENERIC_TABLE_ELEMENTS: usize = 36;
/// `CompareRoutine`.
pub const COMPARE_ROUTINE: usize = 40;
/// `AllocateRoutine`.
pub const ALLOCATE_ROUTINE: usize = 48;
/// `FreeRoutine`.
pub const FREE_ROUTINE: usize = 56;
/// `TableContext`.
pub const TABLE_CONTEXT: usize = 64;
/// Bytes of the links before an element's data: `RTL_SPLAY_LINKS` and a `LIST_ENTRY`.
pub const LINKS_SIZE: usize = 40;
