//! Every rule of the machine: which setting it belongs to, what to do about a violation, and where its documentation is.
//!
//! A rule is named by [`BugCheck::rule`](crate::bugcheck::BugCheck). Each has an entry here, in the file of its setting; in the crate's
//! own tests a bug check by a rule without an entry is an error.

mod ddi;
mod dma;
mod io;
mod kernel;
mod locks;
mod memory;
mod misc;
mod ntsim;
mod sync;

use super::Setting;

/// What can follow a violation when its rule is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// The machine goes on, as Windows would without Driver Verifier.
    GoesOn,
    /// The run ends all the same: what Windows would do from there on depends on memory that the machine does not have.
    Stops,
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it belongs to.
    pub setting: Setting,
    /// What follows a violation when it is off.
    pub after: After,
    /// What a driver's author does about a violation.
    pub advice: &'static str,
    /// The page of Microsoft's driver documentation about it, below `learn.microsoft.com/windows-hardware/drivers/`.
    pub page: &'static str,
}

/// Defines `RULES`, all of one setting.
macro_rules! rules {
    (@page $page:literal) => { $page };
    (@page $page:literal, $own:literal) => { $own };
    ($setting:ident, $page:literal; $($name:literal $after:ident $advice:literal $(, $own:literal)?;)*) => {
        pub(in crate::verifier::rules) const RULES: &[crate::verifier::rules::Rule] = &[$(crate::verifier::rules::Rule {
            name: $name,
            setting: crate::verifier::Setting::$setting,
            after: crate::verifier::rules::After::$after,
            advice: $advice,
            page: crate::verifier::rules::rules!(@page $page $(, $own)?),
        }),*];
    };
}
use rules;

const TABLES: &[&[Rule]] = &[
    kernel::RULES,
    memory::special_pool::RULES,
    memory::force_irql::RULES,
    memory::pool_tracking::RULES,
    memory::code_integrity::RULES,
    memory::automatic::RULES,
    io::RULES,
    locks::RULES,
    dma::RULES,
    misc::miscellaneous::RULES,
    misc::security::RULES,
    ddi::RULES,
    ntsim::RULES,
    sync::kernel::RULES,
    sync::locks::RULES,
    sync::automatic::RULES,
    sync::ntsim::RULES,
];

/// All rules, those of a setting together.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    TABLES.iter().copied().flatten()
}

/// The rule called `name`.
#[must_use]
pub fn find(name: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.name == name)
}

/// The place of the rule called `name` among [`all`].
pub(super) fn index(name: &str) -> Option<usize> {
    all().position(|rule| rule.name == name)
}

#[cfg(test)]
mod tests;
