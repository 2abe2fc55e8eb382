//! `IO_CONNECT_INTERRUPT_PARAMETERS`: what `IoConnectInterruptEx` is given. Which member of the union counts is for `Version` to say; the
//! first five fields lie alike in all of them.

/// Size of the structure, in bytes.
pub const SIZE: usize = 80;
/// `Version`.
pub const VERSION: usize = 0;
/// `PhysicalDeviceObject`, of each member.
pub const PHYSICAL_DEVICE_OBJECT: usize = 8;
/// `FullySpecified.InterruptObject` and `LineBased.InterruptObject`.
pub const INTERRUPT_OBJECT: usize = 16;
/// `MessageBased.ConnectionContext`.
pub const CONNECTION_CONTEXT: usize = 16;
/// `ServiceRoutine`, or `MessageBased.MessageServiceRoutine`.
pub const SERVICE_ROUTINE: usize = 24;
/// `ServiceContext`, of each member.
pub const SERVICE_CONTEXT: usize = 32;
/// `SpinLock`, of each member.
pub const SPIN_LOCK: usize = 40;
/// `SynchronizeIrql`, of each member.
pub const SYNCHRONIZE_IRQL: usize = 48;
/// `FloatingSave`, of each member.
pub const FLOATING_SAVE: usize = 49;
/// `FullySpecified.ShareVector`.
pub const SHARE_VECTOR: usize = 50;
/// `FullySpecified.Vector`.
pub const VECTOR: usize = 52;
/// `FullySpecified.Irql`.
pub const IRQL: usize = 56;
/// `MessageBased.FallBackServiceRoutine`.
pub const FALL_BACK_SERVICE_ROUTINE: usize = 56;
/// `FullySpecified.InterruptMode`.
pub const INTERRUPT_MODE: usize = 60;
/// `FullySpecified.ProcessorEnableMask`.
pub const PROCESSOR_ENABLE_MASK: usize = 64;
/// `FullySpecified.Group`.
pub const GROUP: usize = 72;
