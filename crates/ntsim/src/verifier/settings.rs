//! Which rules are on: Driver Verifier's settings, as `verifier.exe` has them, and exceptions by name.

use std::{fmt, str::FromStr};

use thiserror::Error;

use super::rules::{self, After, Rule};

/// What a rule belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Setting {
    /// Windows stops for it without Driver Verifier: always on.
    Kernel,
    /// The machine's own rules.
    Ntsim,
    /// Driver Verifier checks it whichever settings are on.
    Automatic,
    /// Special pool.
    SpecialPool,
    /// Force IRQL checking.
    ForceIrqlChecking,
    /// Pool tracking.
    PoolTracking,
    /// I/O verification.
    IoVerification,
    /// Deadlock detection.
    DeadlockDetection,
    /// DMA checking.
    DmaChecking,
    /// Security checks.
    SecurityChecks,
    /// Miscellaneous checks.
    Miscellaneous,
    /// DDI compliance checking.
    DdiCompliance,
    /// Code integrity checks.
    CodeIntegrity,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "Windows itself",
            Self::Ntsim => "ntsim's own",
            Self::Automatic => "Driver Verifier, automatic checks",
            Self::SpecialPool => "Driver Verifier, special pool",
            Self::ForceIrqlChecking => "Driver Verifier, force IRQL checking",
            Self::PoolTracking => "Driver Verifier, pool tracking",
            Self::IoVerification => "Driver Verifier, I/O verification",
            Self::DeadlockDetection => "Driver Verifier, deadlock detection",
            Self::DmaChecking => "Driver Verifier, DMA checking",
            Self::SecurityChecks => "Driver Verifier, security checks",
            Self::Miscellaneous => "Driver Verifier, miscellaneous checks",
            Self::DdiCompliance => "Driver Verifier, DDI compliance checking",
            Self::CodeIntegrity => "Driver Verifier, code integrity checks",
        })
    }
}

/// Rules outside of the standard settings that are on with them.
///
/// Nothing in a driver needs executable pool, and memory integrity, which new machines have switched on, refuses it.
const STANDARD_AS_WELL: &[&str] = &["executable-pool"];

/// Rules that are on with the setting `all` alone.
///
/// Driver Verifier's lock order is that of threads. A DPC that takes two locks in another order than a thread is wrong all the same, and
/// deadlocks in the runs where the two meet; this rule finds it in every run.
const NOT_STANDARD: &[&str] = &["lock-order-in-dpc"];

/// How much is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// What `verifier /standard` switches on, and the machine's own rules.
    #[default]
    Standard,
    /// Everything.
    All,
    /// What Windows stops for by itself.
    None,
}

/// A set of rules, by their place in the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSet([u64; 8]);

impl RuleSet {
    /// How many rules there can be.
    pub const ROOM: usize = 8 * 64;

    fn add(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn contains(self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 != 0
    }
}

/// Which rules are on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    level: Level,
    allowed: RuleSet,
}

/// Why a text names no settings.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0:?} is not a level of checking: standard, all or none")]
pub struct UnknownLevel(String);

/// Why a rule cannot be allowed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum AllowError {
    /// There is no such rule.
    #[error("there is no rule {name:?}; those that can be allowed are: {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The names of the rules that can be allowed.
        known: String,
    },
    /// The machine cannot go on after a violation.
    #[error(
        "the rule {name} ({setting}) cannot be allowed: the run cannot go on after a violation; those that can be are: {known}"
    )]
    Stops {
        /// What was asked for.
        name: &'static str,
        /// What it belongs to.
        setting: Setting,
        /// The names of the rules that can be allowed.
        known: String,
    },
}

impl Settings {
    /// What `verifier /standard` switches on, and the machine's own rules.
    pub const STANDARD: Self = Self::of(Level::Standard);
    /// Everything.
    pub const ALL: Self = Self::of(Level::All);
    /// What Windows stops for by itself.
    pub const NONE: Self = Self::of(Level::None);

    /// All that `level` says, without exceptions.
    #[must_use]
    pub const fn of(level: Level) -> Self {
        Self {
            level,
            allowed: RuleSet([0; 8]),
        }
    }

    /// The same, but violations of the rule called `name` are let pass.
    ///
    /// # Errors
    /// When there is no such rule, or the machine cannot go on after a violation.
    pub fn allow(mut self, name: &str) -> Result<Self, AllowError> {
        let known = || {
            let names = rules::all().filter(|rule| rule.after == After::GoesOn);
            names.map(|rule| rule.name).collect::<Vec<_>>().join(", ")
        };
        let (Some(index), Some(rule)) = (rules::index(name), rules::find(name)) else {
            return Err(AllowError::Unknown {
                name: name.to_owned(),
                known: known(),
            });
        };
        if rule.after == After::Stops {
            return Err(AllowError::Stops {
                name: rule.name,
                setting: rule.setting,
                known: known(),
            });
        }
        self.allowed.add(index);
        Ok(self)
    }

    /// Whether a violation of the rule called `name` ends the run. One that is not in the table does.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        let (Some(index), Some(rule)) = (rules::index(name), rules::find(name)) else {
            return true;
        };
        rule.after == After::Stops || (!self.allowed.contains(index) && self.includes(rule))
    }

    fn includes(&self, rule: &Rule) -> bool {
        match self.level {
            Level::All => true,
            Level::None => rule.setting == Setting::Kernel,
            Level::Standard => {
                let standard = rule.setting != Setting::CodeIntegrity && !NOT_STANDARD.contains(&rule.name);
                standard || STANDARD_AS_WELL.contains(&rule.name)
            }
        }
    }

    /// The level, without the exceptions.
    #[must_use]
    pub const fn level(&self) -> Level {
        self.level
    }

    /// The names of the rules that are let pass by name.
    pub fn allowed(&self) -> impl Iterator<Item = &'static str> {
        let allowed = self.allowed;
        let rules = rules::all().enumerate();
        rules
            .filter(move |&(index, _)| allowed.contains(index))
            .map(|(_, rule)| rule.name)
    }
}

impl FromStr for Level {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "standard" => Ok(Self::Standard),
            "all" => Ok(Self::All),
            "none" => Ok(Self::None),
            other => Err(UnknownLevel(other.to_owned())),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Standard => "standard",
            Self::All => "all",
            Self::None => "none",
        })
    }
}

impl FromStr for Settings {
    type Err = UnknownLevel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_settings_leave_executable_mappings_out_and_executable_pool_in() {
        let standard = Settings::default();
        assert!(standard.is_on("executable-pool"));
        assert!(!standard.is_on("executable-mapping"));
        assert!(Settings::ALL.is_on("executable-mapping"));
        assert!(standard.is_on("pool-leak") && standard.is_on("lock-order"));
    }

    #[test]
    fn with_none_only_what_windows_stops_for_is_on() {
        let none: Settings = "none".parse().unwrap();
        assert!(none.is_on("irp-completed-twice"));
        assert!(!none.is_on("pool-leak") && !none.is_on("irql-contract"));
        assert!(none.is_on("pool-use-after-free"), "nothing sensible could follow");
    }

    #[test]
    fn a_rule_is_let_pass_by_name() {
        let settings = Settings::ALL.allow("pool-leak").unwrap();
        assert!(!settings.is_on("pool-leak"));
        assert!(settings.is_on("executable-pool"));
        assert_eq!(settings.allowed().collect::<Vec<_>>(), ["pool-leak"]);
    }

    #[test]
    fn a_rule_that_cannot_be_let_pass_is_refused_with_those_that_can() {
        let unknown = Settings::STANDARD.allow("pool-laek").unwrap_err().to_string();
        assert!(
            unknown.contains("\"pool-laek\"") && unknown.contains("pool-leak"),
            "{unknown}"
        );
        let stops = Settings::STANDARD.allow("irp-completed-twice").unwrap_err().to_string();
        assert!(
            stops.contains("Windows itself") && stops.contains("cannot be allowed"),
            "{stops}"
        );
        let level = "some".parse::<Settings>().unwrap_err().to_string();
        assert!(level.contains("standard, all or none"), "{level}");
    }
}
