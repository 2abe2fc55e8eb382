//! Stand-in for Microsoft's `wdk-build` on hosts other than Windows.
//!
//! Microsoft's crate reads the Windows registry and does not compile elsewhere. This one has the API that the build
//! scripts of `wdk-sys`, `wdk`, `wdk-alloc`, `wdk-panic` and of a WDM driver call, and configures their builds the same
//! way: the same `cfg`s, the same shape of generated bindings, the same linker arguments. What differs is where the
//! headers and import libraries come from: `cargo xtask` says so through the environment ([`kit`]).
//!
//! WDM drivers for x86-64 only; any other configuration is refused.

mod bindings;
mod config;
mod error;
mod kit;
mod link;

pub use bindings::BuilderExt;
pub use config::{ApiSubset, Config, CpuArchitecture, DriverConfig, KmdfConfig, UmdfConfig};
pub use error::{ConfigError, IoError};

/// Configures the build of a library that uses the WDK: emits the `cfg`s that tell the driver model.
///
/// # Errors
///
/// When the build was not started by `cargo xtask`, or the driver's manifest asks for something other than a WDM driver.
pub fn configure_wdk_library_build() -> Result<(), ConfigError> {
    configure_wdk_library_build_and_then(|_| Ok(()))
}

/// Configures the build of a library that uses the WDK, then calls `then` with the configuration.
///
/// # Errors
///
/// As [`configure_wdk_library_build`], and what `then` returns.
pub fn configure_wdk_library_build_and_then<F, E>(mut then: F) -> Result<(), E>
where
    F: FnMut(Config) -> Result<(), E>,
    E: From<ConfigError>,
{
    let config = Config::from_env_auto()?;
    config.configure_library_build();
    then(config)
}

/// Configures the build of a driver: linker arguments, library search path, and the `cfg`s of
/// [`configure_wdk_library_build`].
///
/// # Errors
///
/// As [`configure_wdk_library_build`], and when the C runtime is not linked statically.
pub fn configure_wdk_binary_build() -> Result<(), ConfigError> {
    Config::from_env_auto()?.configure_binary_build()
}
