//! `DISPATCHER_CONTEXT`: what a language-specific handler is told of the frame that it is called for. The layout is that of the
//! description of x64 exception handling in Microsoft's C++ documentation.

/// Size of the structure, in bytes.
pub const SIZE: usize = 80;
/// `ControlPc`.
pub const CONTROL_PC: usize = 0;
/// `ImageBase`.
pub const IMAGE_BASE: usize = 8;
/// `FunctionEntry`.
pub const FUNCTION_ENTRY: usize = 16;
/// `EstablisherFrame`.
pub const ESTABLISHER_FRAME: usize = 24;
/// `TargetIp`.
pub const TARGET_IP: usize = 32;
/// `ContextRecord`.
pub const CONTEXT_RECORD: usize = 40;
/// `LanguageHandler`.
pub const LANGUAGE_HANDLER: usize = 48;
/// `HandlerData`.
pub const HANDLER_DATA: usize = 56;
/// `HistoryTable`.
pub const HISTORY_TABLE: usize = 64;
/// `ScopeIndex`.
pub const SCOPE_INDEX: usize = 72;
