//! Rules that need more than one DDI call to judge: what Driver Verifier and KASAN-like checkers watch on real systems. And which rules
//! are on: [`rules`] lists them all, [`settings`] switches them.

pub(crate) mod calls;
mod clock;
pub(crate) mod lock_order;
pub(crate) mod objects;
pub mod rules;
pub mod settings;
mod shadow;
mod sharing;

pub use rules::Rule;
pub use settings::{AllowError, Level, RuleSet, Setting, Settings, UnknownLevel};
pub use sharing::{AccessSite, MAX_PROCESSORS, SharingRule, SyncObject, Violation};
