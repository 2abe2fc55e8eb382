//! What the scenarios have in common: the images that were built, a machine that has booted one, and what a trace says about cancels.

pub mod boot;
pub mod image;
pub mod leaks;
pub mod program;
pub mod seeds;
pub mod windows;
