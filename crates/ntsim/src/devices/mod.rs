//! Device models.

mod edu;
pub mod noise;
pub mod qemu;

pub use edu::{DmaRegisters, Edu, EduFaults, EduProfile, Mistakes, Reset};
pub use noise::Noise;

/// Adds the routines of the drivers that the models bring along.
pub(crate) fn register(ddi: &mut crate::ddi::Registry) {
    noise::register(ddi);
}
