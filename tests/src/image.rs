//! The driver images that `cargo xtask build` makes.

use std::{
    env,
    path::{Path, PathBuf},
    rc::Rc,
};

use ntsim::machine::DriverImage;

/// Where another image of the driver can be named.
const CUSTOMDPC_SYS: &str = "CUSTOMDPC_SYS";

thread_local! {
    static CUSTOMDPC: Rc<DriverImage> = open(&customdpc_path());
}

/// The shipped driver: the release build, or what `CUSTOMDPC_SYS` names. Parsed once for each thread.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn customdpc() -> Rc<DriverImage> {
    CUSTOMDPC.with(Rc::clone)
}

/// The shipped driver's file.
#[must_use]
pub fn customdpc_path() -> PathBuf {
    env::var_os(CUSTOMDPC_SYS).map_or_else(|| built("customdpc.sys"), PathBuf::from)
}

/// One of the drivers in `tests/drivers`.
///
/// # Panics
/// When it is missing.
#[must_use]
pub fn test_driver(name: &str) -> Rc<DriverImage> {
    open(&built(&format!("{name}.sys")))
}

/// The root of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn built(file: &str) -> PathBuf {
    repository().join("target/driver/release").join(file)
}

fn open(path: &Path) -> Rc<DriverImage> {
    DriverImage::open(path).unwrap_or_else(|error| panic!("{error}\n`cargo xtask build` makes the driver images"))
}
