//! Why there is no device to send requests to.

use std::io;

use thiserror::Error;

use crate::discovery::{ChoiceError, InterfacePath};
use crate::status::DeviceError;

/// Why the transport could not be set up.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// None of the devices present was chosen.
    #[error(transparent)]
    Choice(#[from] ChoiceError),

    /// The list of device interfaces could not be had. The number is a `CONFIGRET` (`cfgmgr32.h`).
    #[error("the configuration manager could not list the device interfaces (CONFIGRET {0:#x})")]
    List(u32),

    /// The device could not be opened.
    #[error("cannot open {path}: {error}")]
    Open {
        /// The interface that was chosen.
        path: InterfacePath,
        /// What the system answered.
        error: DeviceError,
    },

    /// Ctrl-C could not be taken over.
    #[error("cannot handle Ctrl-C: {0}")]
    StopSignal(#[source] io::Error),
}
