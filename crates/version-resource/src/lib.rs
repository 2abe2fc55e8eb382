//! The version resource of an image ([VERSIONINFO](https://learn.microsoft.com/windows/win32/menurc/versioninfo-resource)): what
//! Windows shows of a driver or a program in Device Manager and on the file's Details page, and what Driver Verifier and crash
//! dumps name it by.
//!
//! A build script puts it in with `embed` (of the feature with that name). [`VersionInfo::read`] finds it in the finished image.

#[cfg(feature = "embed")]
mod embed;
mod read;
mod script;

#[cfg(feature = "embed")]
pub use embed::{EmbedError, embed};
pub use read::{ReadError, VersionInfo};
pub use script::{Description, Kind, script};

/// A file version: major, minor, build, revision.
pub type Version = [u16; 4];

/// A version as Windows writes it, four numbers with dots between.
#[must_use]
pub fn dotted([major, minor, build, revision]: Version) -> String {
    format!("{major}.{minor}.{build}.{revision}")
}
