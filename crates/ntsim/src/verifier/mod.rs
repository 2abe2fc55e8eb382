//! Rules that need more than one DDI call to judge: what Driver Verifier and KASAN-like checkers watch on real systems.

mod clock;
mod shadow;
mod sharing;

pub use sharing::{AccessSite, MAX_PROCESSORS, SharingRule, SyncObject, Violation};
