//! `CONTEXT`: a processor's state.

/// Size of the structure, in bytes.
pub const SIZE: usize = 1232;
/// `ContextFlags`.
pub const CONTEXT_FLAGS: usize = 48;
/// `MxCsr`.
pub const MX_CSR: usize = 52;
/// `SegCs`.
pub const SEG_CS: usize = 56;
/// `SegSs`.
pub const SEG_SS: usize = 66;
/// `EFlags`.
pub const E_FLAGS: usize = 68;
/// `Rax`: the sixteen general-purpose registers follow in the order of their encoding.
pub const RAX: usize = 120;
/// `Rip`.
pub const RIP: usize = 248;
/// `FltSave`.
pub const FLT_SAVE: usize = 256;
/// `Xmm0`: the sixteen vector registers follow in their order.
pub const XMM0: usize = 416;
