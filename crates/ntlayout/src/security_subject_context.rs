//! `SECURITY_SUBJECT_CONTEXT`: on whose behalf something is done.

/// Size of the structure, in bytes.
pub const SIZE: usize = 32;
/// `ClientToken`.
pub const CLIENT_TOKEN: usize = 0;
/// `ImpersonationLevel`.
pub const IMPERSONATION_LEVEL: usize = 8;
/// `PrimaryToken`.
pub const PRIMARY_TOKEN: usize = 16;
/// `ProcessAuditId`.
pub const PROCESS_AUDIT_ID: usize = 24;
