//! The IRQL contract of a kernel routine.

use std::fmt;

use crate::{
    bugcheck::{BugCheck, BugCheckCode, VerifierRule},
    ke::Irql,
};

/// At which IRQLs a routine may be called, and which Driver Verifier rule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    min: Irql,
    max: Irql,
    rule: VerifierRule,
}

impl Contract {
    /// At any IRQL.
    pub const ANY: Self = Self::range(Irql::PASSIVE, Irql::HIGH);

    /// At `max` or below.
    #[must_use]
    pub const fn at_most(max: Irql) -> Self {
        Self::range(Irql::PASSIVE, max)
    }

    /// At `min` or above.
    #[must_use]
    pub const fn at_least(min: Irql) -> Self {
        Self::range(min, Irql::HIGH)
    }

    /// At `irql` only.
    #[must_use]
    pub const fn exactly(irql: Irql) -> Self {
        Self::range(irql, irql)
    }

    /// From `min` to `max`.
    #[must_use]
    pub const fn range(min: Irql, max: Irql) -> Self {
        Self {
            min,
            max,
            rule: VerifierRule::INCORRECT_IRQL,
        }
    }

    /// The same contract, breaking which is a violation of a named Driver Verifier rule.
    #[must_use]
    pub const fn by_rule(self, rule: VerifierRule) -> Self {
        Self { rule, ..self }
    }

    /// Whether a call at `irql` keeps the contract.
    #[must_use]
    pub fn allows(self, irql: Irql) -> bool {
        (self.min..=self.max).contains(&irql)
    }

    /// What Driver Verifier stops with when the contract is broken.
    pub(crate) fn violation(self, routine: &str, irql: Irql) -> BugCheck {
        let parameter = if self.rule == VerifierRule::INCORRECT_IRQL {
            u64::from(irql.0)
        } else {
            0
        };
        BugCheck::new(
            BugCheckCode::DRIVER_VERIFIER_DETECTED_VIOLATION,
            [self.rule.subcode, parameter, 0, 0],
            "irql-contract",
            format!(
                "{routine} was called at {irql}, but may be called {self} only (rule {})",
                self.rule.name
            ),
        )
    }
}

impl fmt::Display for Contract {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.min, self.max) {
            (min, max) if min == max => write!(f, "at {min}"),
            (Irql::PASSIVE, Irql::HIGH) => f.write_str("at any IRQL"),
            (Irql::PASSIVE, max) => write!(f, "at {max} or below"),
            (min, Irql::HIGH) => write!(f, "at {min} or above"),
            (min, max) => write!(f, "from {min} to {max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive() {
        let contract = Contract::at_most(Irql::DISPATCH);
        assert!(contract.allows(Irql::PASSIVE) && contract.allows(Irql::DISPATCH));
        assert!(!contract.allows(Irql(3)));
        assert!(!Contract::exactly(Irql::DISPATCH).allows(Irql::APC));
    }

    #[test]
    fn a_violation_names_the_rule() {
        let contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_IO_PASSIVE_1);
        let bugcheck = contract.violation("IoX", Irql::DISPATCH);
        assert_eq!(bugcheck.parameters[0], 0x2_000A);
        assert!(bugcheck.message.contains("IoX was called at DISPATCH_LEVEL"));
    }
}
