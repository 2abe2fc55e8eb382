//! `KMUTANT`: a mutex object (`KMUTEX` is another name of it).

/// Size of the structure, in bytes.
pub const SIZE: usize = 56;
/// `Header`.
pub const HEADER: usize = 0;
/// `MutantListEntry`.
pub const MUTANT_LIST_ENTRY: usize = 24;
/// `OwnerThread`.
pub const OWNER_THREAD: usize = 40;
/// `Abandoned`, a bit of `MutantFlags`.
pub const ABANDONED: usize = 48;
/// `ApcDisable`.
pub const APC_DISABLE: usize = 49;
