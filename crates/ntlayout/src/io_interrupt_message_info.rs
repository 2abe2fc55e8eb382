//! `IO_INTERRUPT_MESSAGE_INFO`: the messages that a device was assigned; [an entry](super::io_interrupt_message_info_entry) for each.

/// Size of the structure with one entry, in bytes.
pub const SIZE: usize = 56;
/// `UnifiedIrql`.
pub const UNIFIED_IRQL: usize = 0;
/// `MessageCount`.
pub const MESSAGE_COUNT: usize = 4;
/// `MessageInfo`: the first entry.
pub const MESSAGE_INFO: usize = 8;
