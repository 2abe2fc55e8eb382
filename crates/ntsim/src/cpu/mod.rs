//! The processor core: unicorn with this machine's memory map, traps and watchpoints.

mod code;
mod engine;
mod fault;
mod hooks;
mod registers;
mod steps;

pub use code::{LoadedCode, LoadedImages};
pub use engine::{Engine, EngineError, Ran};
pub use fault::{Access, Divisor, PageFault, divisor};
pub use hooks::{DeviceAccess, Exit, Hardware, Watch};
pub use registers::{Gpr, Registers};
pub use steps::Steps;
