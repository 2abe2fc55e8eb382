//! `CM_PARTIAL_RESOURCE_DESCRIPTOR`: one resource. Packed to four bytes.

/// Size of the structure, in bytes.
pub const SIZE: usize = 20;
/// `Type`.
pub const TYPE: usize = 0;
/// `ShareDisposition`.
pub const SHARE_DISPOSITION: usize = 1;
/// `Flags`.
pub const FLAGS: usize = 2;
/// `u.Memory.Start`.
pub const MEMORY_START: usize = 4;
/// `u.Interrupt.Level`.
pub const INTERRUPT_LEVEL: usize = 4;
/// `u`.
pub const U: usize = 4;
/// `u.MessageInterrupt.Raw.MessageCount`.
pub const MESSAGE_COUNT: usize = 6;
/// `u.MessageInterrupt.Raw.Vector`. The translated form is that of `u.Interrupt`.
pub const MESSAGE_VECTOR: usize = 8;
/// `u.Interrupt.Vector`.
pub const INTERRUPT_VECTOR: usize = 8;
/// `u.Memory.Length`.
pub const MEMORY_LENGTH: usize = 12;
/// `u.Interrupt.Affinity`.
pub const INTERRUPT_AFFINITY: usize = 12;
