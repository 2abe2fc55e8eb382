//! What a check has found.

use thiserror::Error;

use crate::commands::failure::Failure;
use crate::request::RequestError;
use crate::status::Condition;

/// What is wrong with device or driver.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// A request that should have succeeded did not.
    #[error("{what}: {error}")]
    Failed {
        /// The request.
        what: String,
        /// How it failed.
        error: RequestError,
    },

    /// Something else than expected happened.
    #[error("{0}")]
    Unexpected(String),
}

impl Fault {
    /// For `map_err`: the request that is `what` failed.
    pub(super) fn of(what: impl Into<String>) -> impl FnOnce(RequestError) -> Self {
        |error| Self::Failed {
            what: what.into(),
            error,
        }
    }

    /// Whether a request was cancelled that should not have been.
    pub(super) fn is_cancellation(&self) -> bool {
        match self {
            Self::Failed {
                error: RequestError::Device(error),
                ..
            } => error.condition() == Some(Condition::Cancelled),
            Self::Failed { .. } | Self::Unexpected(_) => false,
        }
    }
}

impl From<&Fault> for Failure {
    fn from(fault: &Fault) -> Self {
        match fault {
            Fault::Failed { error, .. } => Self::from(error).with_message(fault.to_string()),
            Fault::Unexpected(message) => Self::unexpected(message.clone()),
        }
    }
}
