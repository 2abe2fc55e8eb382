//! The driver's image: what it holds, where its instructions touch memory, and what its addresses mean.
//!
//! Nothing here knows of the emulator: [`Image`] is what Windows' loader would see, [`CodeMap`] what a disassembly of it
//! says, [`Symbols`] what the PDB beside it or its own DWARF sections say, and [`Unwinder`] what its exception directory says about a stack.

mod dataflow;
mod dwarf;
mod error;
mod exports;
mod headers;
mod load_config;
mod pe;
mod scan;
mod sites;
mod symbols;
#[cfg(test)]
pub(crate) mod synthetic;
mod unwind;
mod virtual_unwind;

pub use error::ImageError;
pub use load_config::LoadConfig;
pub use pe::{Image, Import, ImportName, PdbReference, Protection, Section};
pub use scan::{AccessKind, CodeAt, CodeMap, SystemInstruction, SystemInstructionKind};
pub use sites::is_return_address;
pub use symbols::{SourceLine, SymbolError, Symbols};
pub use unwind::{GeneralRegisters, Unwinder};
pub use virtual_unwind::{FrameRegisters, LanguageHandler, RSP, RuntimeFunction, UnwoundFrame};
