//! `ACCESS_STATE`: what access is asked for, and what of it has been granted so far.

/// Size of the structure, in bytes.
pub const SIZE: usize = 160;
/// `SecurityEvaluated`.
pub const SECURITY_EVALUATED: usize = 8;
/// `Flags`.
pub const FLAGS: usize = 12;
/// `RemainingDesiredAccess`.
pub const REMAINING_DESIRED_ACCESS: usize = 16;
/// `PreviouslyGrantedAccess`.
pub const PREVIOUSLY_GRANTED_ACCESS: usize = 20;
/// `OriginalDesiredAccess`.
pub const ORIGINAL_DESIRED_ACCESS: usize = 24;
/// `SubjectSecurityContext`.
pub const SUBJECT_SECURITY_CONTEXT: usize = 32;
/// `SecurityDescriptor`.
pub const SECURITY_DESCRIPTOR: usize = 64;
/// `AuxData`.
pub const AUX_DATA: usize = 72;
