//! `IO_INTERRUPT_MESSAGE_INFO_ENTRY`: one interrupt message.

/// Size of the structure, in bytes.
pub const SIZE: usize = 48;
/// `MessageAddress`.
pub const MESSAGE_ADDRESS: usize = 0;
/// `TargetProcessorSet`.
pub const TARGET_PROCESSOR_SET: usize = 8;
/// `InterruptObject`.
pub const INTERRUPT_OBJECT: usize = 16;
/// `MessageData`.
pub const MESSAGE_DATA: usize = 24;
/// `Vector`.
pub const VECTOR: usize = 28;
/// `Irql`.
pub const IRQL: usize = 32;
/// `Mode`.
pub const MODE: usize = 36;
/// `Polarity`.
pub const POLARITY: usize = 40;
