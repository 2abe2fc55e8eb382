//! A file named on the command line. It is read before a device is opened, so that a wrong name is a wrong command line.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

/// What the file held. A copy shares it.
#[derive(Clone, PartialEq, Eq)]
pub struct FileContents(Arc<[u8]>);

/// Why there is nothing to send.
#[derive(Debug, Error)]
#[error("it cannot be read: {0}")]
pub struct ReadError(#[from] io::Error);

impl FileContents {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Reads the file with this name; `-` is standard input.
impl FromStr for FileContents {
    type Err = ReadError;

    fn from_str(name: &str) -> Result<Self, ReadError> {
        let mut bytes = Vec::new();
        if name == "-" {
            io::stdin().lock().read_to_end(&mut bytes)?;
        } else {
            File::open(name)?.read_to_end(&mut bytes)?;
        }
        Ok(Self(bytes.into()))
    }
}

/// Says how many bytes there are, not what they are.
impl fmt::Debug for FileContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileContents({} bytes)", self.0.len())
    }
}
