//! A package for tests: of the images that `cargo xtask build` makes, and of the tree's own template.

#![allow(dead_code, reason = "each test program uses a part of it")]

pub mod describe;
pub mod openssl;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use driver_package::{
    certificate,
    make::{Sources, make},
    signer::Signer,
    time::Timestamp,
};
use tempfile::TempDir;

/// The package's name.
pub const NAME: &str = "customdpc";

/// The program in the package.
pub const PROGRAM: &str = "eductl.exe";

/// The root of the repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The directory of the images.
///
/// # Panics
/// When they were not built.
pub fn images() -> PathBuf {
    let images = repository().join("target/driver/release");
    assert!(
        images.join("customdpc.sys").is_file(),
        "there are no images: `cargo xtask build` makes them"
    );
    images
}

/// The template of the INF.
pub fn template() -> PathBuf {
    repository().join("inf/customdpc.inx")
}

/// A time that is past.
pub fn time() -> Timestamp {
    Timestamp::new(1_767_225_600).unwrap()
}

/// One test certificate for a test program: a key takes a while.
pub fn signer() -> &'static Signer {
    static SIGNER: OnceLock<Signer> = OnceLock::new();
    SIGNER.get_or_init(|| certificate::make(time()).unwrap())
}

/// A package, in a directory of its own.
pub fn package() -> TempDir {
    package_by(signer())
}

/// A package signed by `signer`.
pub fn package_by(signer: &Signer) -> TempDir {
    let directory = TempDir::new().unwrap();
    make_in(directory.path(), &images(), signer).unwrap();
    directory
}

/// Makes a package in `directory`, with the version that the images have.
pub fn make_in(directory: &Path, images: &Path, signer: &Signer) -> anyhow::Result<Vec<String>> {
    make_version_in(directory, images, signer, env!("CARGO_PKG_VERSION"))
}

/// Makes a package with another version in its INF.
pub fn make_version_in(directory: &Path, images: &Path, signer: &Signer, version: &str) -> anyhow::Result<Vec<String>> {
    let sources = Sources {
        images,
        template: &template(),
        programs: &[PROGRAM],
        version,
        time: time(),
        signer,
    };
    make(&sources, directory)
}

/// Changes one bit of a file.
pub fn flip(file: &Path, at: usize) {
    let mut contents = fs::read(file).unwrap();
    contents[at] ^= 1;
    fs::write(file, contents).unwrap();
}
