//! Device models.

mod edu;

pub use edu::{Edu, EduFaults, EduProfile};
