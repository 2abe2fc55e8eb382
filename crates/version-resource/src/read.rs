//! Reads the version resource of a finished image.

use std::collections::BTreeMap;

use pelite::{PeFile, resources::FindError};
use thiserror::Error;

use crate::Version;

/// Why an image's version resource cannot be read.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file is no image that can be parsed.
    #[error("the file is no image: {0}")]
    Image(#[source] pelite::Error),

    /// The image has no version resource.
    #[error("the image has no version resource")]
    Missing,

    /// The image's resources cannot be parsed.
    #[error("the image's resources are malformed: {0}")]
    Resources(#[source] FindError),

    /// The resource has no `VS_FIXEDFILEINFO`, or no strings.
    #[error("the version resource has no {0}")]
    Incomplete(&'static str),
}

/// What an image's version resource says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionInfo {
    /// `dwFileVersion`.
    pub file_version: Version,
    /// `dwProductVersion`.
    pub product_version: Version,
    /// `dwFileType`: 1 is a program, 3 a driver.
    pub file_type: u32,
    /// `dwFileSubtype`; of a driver, which kind.
    pub file_subtype: u32,
    /// The strings by name, in the resource's first language.
    pub strings: BTreeMap<String, String>,
}

impl VersionInfo {
    /// Reads the resource of `image`, the contents of a PE file.
    ///
    /// # Errors
    /// When it is no such file, or has no version resource with numbers and strings.
    pub fn read(image: &[u8]) -> Result<Self, ReadError> {
        let resources = PeFile::from_bytes(image)
            .map_err(ReadError::Image)?
            .resources()
            .map_err(|error| match error {
                pelite::Error::Null => ReadError::Missing,
                other => ReadError::Resources(other.into()),
            })?;
        let found = resources.version_info().map_err(|error| match error {
            FindError::NotFound => ReadError::Missing,
            other => ReadError::Resources(other),
        })?;
        let fixed = found.fixed().ok_or(ReadError::Incomplete("VS_FIXEDFILEINFO"))?;
        let language = found
            .translation()
            .first()
            .ok_or(ReadError::Incomplete("translation"))?;
        let mut strings = BTreeMap::new();
        found.strings(*language, |name, value| {
            strings.insert(name.to_owned(), value.to_owned());
        });
        if strings.is_empty() {
            return Err(ReadError::Incomplete("strings in its language"));
        }
        Ok(Self {
            file_version: numbers(fixed.dwFileVersion),
            product_version: numbers(fixed.dwProductVersion),
            file_type: fixed.dwFileType,
            file_subtype: fixed.dwFileSubtype,
            strings,
        })
    }
}

/// The four numbers in the order in which they are written.
fn numbers(version: pelite::image::VS_VERSION) -> Version {
    [version.Major, version.Minor, version.Patch, version.Build]
}
