//! `RTL_QUERY_REGISTRY_TABLE`: one entry of what `RtlQueryRegistryValues` is to look for.

/// Size of the structure, in bytes.
pub const SIZE: usize = 56;
/// `QueryRoutine`.
pub const QUERY_ROUTINE: usize = 0;
/// `Flags`.
pub const FLAGS: usize = 8;
/// `Name`.
pub const NAME: usize = 16;
/// `EntryContext`.
pub const ENTRY_CONTEXT: usize = 24;
/// `DefaultType`.
pub const DEFAULT_TYPE: usize = 32;
/// `DefaultData`.
pub const DEFAULT_DATA: usize = 40;
/// `DefaultLength`.
pub const DEFAULT_LENGTH: usize = 48;
