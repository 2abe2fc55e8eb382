//! The power manager's vocabulary, with the values of wdm.h.

use std::fmt;

/// `SYSTEM_POWER_STATE`: how deep the system sleeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum SystemState {
    /// `PowerSystemWorking`: S0.
    #[default]
    Working,
    /// `PowerSystemSleeping1`
    S1,
    /// `PowerSystemSleeping2`
    S2,
    /// `PowerSystemSleeping3`: nothing but memory has power.
    S3,
    /// `PowerSystemHibernate`: S4; memory is on disk and nothing has power.
    Hibernate,
    /// `PowerSystemShutdown`: S5; what comes next is a boot.
    Shutdown,
}

impl SystemState {
    /// The header's value.
    #[must_use]
    pub const fn value(self) -> u32 {
        match self {
            Self::Working => 1,
            Self::S1 => 2,
            Self::S2 => 3,
            Self::S3 => 4,
            Self::Hibernate => 5,
            Self::Shutdown => 6,
        }
    }

    /// What the system is doing when it goes there: `Parameters.Power.ShutdownType`.
    pub(super) const fn action(self) -> Action {
        match self {
            Self::Working | Self::S1 | Self::S2 | Self::S3 => Action::Sleep,
            Self::Hibernate => Action::Hibernate,
            Self::Shutdown => Action::ShutdownOff,
        }
    }
}

impl fmt::Display for SystemState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S{}", self.value() - 1)
    }
}

/// `POWER_ACTION`: what a power IRP is part of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Action {
    /// `PowerActionNone`
    #[default]
    None,
    /// `PowerActionSleep`
    Sleep,
    /// `PowerActionHibernate`
    Hibernate,
    /// `PowerActionShutdownOff`
    ShutdownOff,
}

impl Action {
    pub(super) const fn value(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Sleep => 2,
            Self::Hibernate => 3,
            Self::ShutdownOff => 6,
        }
    }
}

/// `SYSTEM_POWER_STATE_CONTEXT` of a transition, four bits for each of target, effective and current state.
pub(super) const fn transition_context(from: SystemState, to: SystemState) -> u32 {
    to.value() << 8 | to.value() << 12 | from.value() << 16
}

/// A minor function of `IRP_MJ_POWER`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Minor(pub u8);

impl Minor {
    /// `IRP_MN_WAIT_WAKE`
    pub(crate) const WAIT_WAKE: Self = Self(0x00);
    /// `IRP_MN_SET_POWER`
    pub(crate) const SET_POWER: Self = Self(0x02);
    /// `IRP_MN_QUERY_POWER`
    pub(crate) const QUERY_POWER: Self = Self(0x03);

    /// Whether it is one of the system's; Driver Verifier sends others.
    pub(crate) const fn exists(self) -> bool {
        /// `IRP_MN_QUERY_POWER`.
        const LAST: u8 = 0x03;
        self.0 <= LAST
    }

    /// The header's name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::WAIT_WAKE => "IRP_MN_WAIT_WAKE",
            Self::SET_POWER => "IRP_MN_SET_POWER",
            Self::QUERY_POWER => "IRP_MN_QUERY_POWER",
            _ => "IRP_MN_?",
        }
    }
}

/// `POWER_STATE_TYPE`
pub(crate) mod power_type {
    /// `SystemPowerState`
    pub const SYSTEM: u32 = 0;
    /// `DevicePowerState`
    pub const DEVICE: u32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_says_where_the_system_comes_from_and_goes() {
        assert_eq!(transition_context(SystemState::Working, SystemState::S3), 0x0001_4400);
        assert_eq!(transition_context(SystemState::S3, SystemState::Working), 0x0004_1100);
    }

    #[test]
    fn states_are_called_what_everybody_calls_them() {
        assert_eq!(SystemState::Working.to_string(), "S0");
        assert_eq!(SystemState::Shutdown.to_string(), "S5");
    }
}
