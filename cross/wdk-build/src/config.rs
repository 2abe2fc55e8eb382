//! The configuration of a build, and what of it `wdk-sys` asks for.

use std::{
    env,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use crate::{
    error::{ConfigError, IoError},
    kit::{self, Kit},
};

/// The environment variable in which `cargo xtask` passes the path of the driver's manifest.
const MANIFEST_VARIABLE: &str = "WDK_CROSS_MANIFEST";

/// The configuration of a build that uses the WDK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    pub(crate) kit: Kit,
    /// The driver model the build is for.
    pub driver_config: DriverConfig,
}

/// A driver model with its parameters. [`Config::from_env_auto`] yields [`DriverConfig::Wdm`] or an error; the other
/// variants exist because the build script of `wdk-sys` matches on them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DriverConfig {
    /// Windows Driver Model.
    Wdm,
    /// Kernel-Mode Driver Framework.
    Kmdf(KmdfConfig),
    /// User-Mode Driver Framework.
    Umdf(UmdfConfig),
}

/// Versions of a KMDF driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KmdfConfig {
    /// Major version.
    pub kmdf_version_major: u8,
    /// Minor version built against.
    pub target_kmdf_version_minor: u8,
    /// Least minor version the driver runs on.
    pub minimum_kmdf_version_minor: Option<u8>,
}

/// Versions of a UMDF driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UmdfConfig {
    /// Major version.
    pub umdf_version_major: u8,
    /// Minor version built against.
    pub target_umdf_version_minor: u8,
    /// Least minor version the driver runs on.
    pub minimum_umdf_version_minor: Option<u8>,
}

/// The processor architecture a build is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CpuArchitecture {
    /// x86-64.
    Amd64,
    /// 64-bit Arm; the cross build refuses it.
    Arm64,
}

/// A part of the WDK's API, as the features of `wdk-sys` divide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ApiSubset {
    /// What every driver uses.
    Base,
    /// The driver frameworks.
    Wdf,
    /// General-purpose I/O.
    Gpio,
    /// Human interface devices.
    Hid,
    /// Parallel ports.
    ParallelPorts,
    /// Simple peripheral buses.
    Spb,
    /// Storage.
    Storage,
    /// Universal serial bus.
    Usb,
}

impl Config {
    /// Reads the configuration from the environment that `cargo xtask` sets and from the driver's manifest.
    ///
    /// # Errors
    ///
    /// When the environment is not set up, no headers are found, or the manifest asks for a driver model other than WDM.
    pub fn from_env_auto() -> Result<Self, ConfigError> {
        println!("cargo::rerun-if-env-changed={MANIFEST_VARIABLE}");
        let manifest = env::var_os(MANIFEST_VARIABLE)
            .map(PathBuf::from)
            .ok_or(ConfigError::NotStartedByXtask {
                variable: MANIFEST_VARIABLE,
            })?;
        println!("cargo::rerun-if-changed={}", manifest.display());
        let text = fs::read_to_string(&manifest).map_err(|source| IoError::with_path(&manifest, source))?;

        let arch = env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
        if arch != "x86_64" {
            return Err(ConfigError::UnsupportedArchitecture { arch });
        }

        Ok(Self {
            kit: kit::from_environment()?,
            driver_config: driver_config(&manifest, &text)?,
        })
    }

    /// The directories that hold the kit's headers, in search order.
    ///
    /// # Errors
    ///
    /// When one of them does not exist.
    pub fn include_paths(&self) -> Result<impl Iterator<Item = PathBuf>, ConfigError> {
        let directories = self.kit.include_directories();
        for directory in &directories {
            if !directory.is_dir() {
                return Err(ConfigError::DirectoryNotFound {
                    directory: directory.display().to_string(),
                });
            }
        }
        Ok(directories.into_iter())
    }

    /// The preprocessor definitions of a WDM build for x86-64: those of the kit's WindowsDriver.x64.props, and the one that
    /// the compiler's `/kernel` switch makes.
    pub fn preprocessor_definitions(&self) -> impl Iterator<Item = (String, Option<String>)> + use<> {
        ["_WIN64", "_AMD64_", "AMD64", "_KERNEL_MODE"]
            .into_iter()
            .map(|name| (name.to_owned(), None))
    }

    /// The headers of a part of the API.
    ///
    /// # Errors
    ///
    /// None here; Microsoft's crate has some.
    pub fn headers(&self, subset: ApiSubset) -> Result<impl Iterator<Item = String> + use<>, ConfigError> {
        let headers: &[&str] = match subset {
            ApiSubset::Base => &["ntifs.h", "ntddk.h", "ntstrsafe.h"],
            ApiSubset::Wdf => &[],
            ApiSubset::Gpio => &["gpio.h"],
            ApiSubset::Hid => &[
                "hidclass.h",
                "hidsdi.h",
                "hidpi.h",
                "vhf.h",
                "hidpddi.h",
                "hidport.h",
                "kbdmou.h",
                "ntdd8042.h",
            ],
            ApiSubset::ParallelPorts => &["ntddpar.h", "ntddser.h", "parallel.h"],
            ApiSubset::Spb => &["spb.h", "reshub.h", "pwmutil.h"],
            ApiSubset::Storage => &[
                "ehstorioctl.h",
                "ntddcdrm.h",
                "ntddcdvd.h",
                "ntdddisk.h",
                "ntddmmc.h",
                "ntddscsi.h",
                "ntddstor.h",
                "ntddtape.h",
                "ntddvol.h",
                "ufs.h",
                "mountdev.h",
                "mountmgr.h",
                "ntddchgr.h",
                "ntdddump.h",
                "storduid.h",
                "storport.h",
            ],
            ApiSubset::Usb => &[
                "usb.h",
                "usbfnbase.h",
                "usbioctl.h",
                "usbspec.h",
                "Usbpmapi.h",
                "usbbusif.h",
                "usbdlib.h",
                "usbfnattach.h",
                "usbfnioctl.h",
            ],
        };
        Ok(headers.iter().map(ToString::to_string))
    }

    /// A C header that includes the headers of `subsets`, for bindgen to read.
    ///
    /// # Errors
    ///
    /// As [`Config::headers`].
    pub fn bindgen_header_contents(&self, subsets: impl IntoIterator<Item = ApiSubset>) -> Result<String, ConfigError> {
        let mut contents = String::new();
        for subset in subsets {
            for header in self.headers(subset)? {
                let _ = writeln!(contents, "#include \"{header}\"");
            }
        }
        if let Some(supplement) = self.kit.supplement() {
            let _ = writeln!(contents, "#include \"{supplement}\"");
        }
        Ok(contents)
    }

    /// The name of the symbol behind WDF's function table; a WDM driver has none.
    #[must_use]
    pub fn compute_wdffunctions_symbol_name(&self) -> Option<String> {
        None
    }

    /// Emits the `cfg`s of a library build.
    pub fn configure_library_build(&self) {
        println!(r#"cargo::rustc-check-cfg=cfg(driver_model__driver_type, values("WDM","KMDF","UMDF"))"#);
        println!(r#"cargo::rustc-cfg=driver_model__driver_type="WDM""#);
    }
}

/// Reads `[package.metadata.wdk]` (or the workspace's) of a manifest.
fn driver_config(manifest: &Path, text: &str) -> Result<DriverConfig, ConfigError> {
    let fail = |reason: String| ConfigError::Manifest {
        manifest: manifest.to_owned(),
        reason,
    };
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| fail(error.to_string()))?;
    let driver_type = ["package", "workspace"].into_iter().find_map(|section| {
        let metadata = table.get(section)?.get("metadata")?;
        metadata.get("wdk")?.get("driver-model")?.get("driver-type")?.as_str()
    });
    match driver_type {
        Some("WDM") => Ok(DriverConfig::Wdm),
        Some(other) => Err(fail(format!(
            "driver-type {other:?} is not supported by the cross build, only \"WDM\" is"
        ))),
        None => Err(fail("no metadata.wdk.driver-model.driver-type found".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DriverConfig, ConfigError> {
        driver_config(Path::new("Cargo.toml"), text)
    }

    #[test]
    fn wdm_is_taken_from_package_or_workspace() {
        for section in ["package", "workspace"] {
            let text = format!("[{section}.metadata.wdk.driver-model]\ndriver-type = \"WDM\"\n");
            assert_eq!(parse(&text).unwrap(), DriverConfig::Wdm);
        }
    }

    #[test]
    fn other_driver_models_are_refused() {
        let text = "[package.metadata.wdk.driver-model]\ndriver-type = \"KMDF\"\n";
        assert!(parse(text).unwrap_err().to_string().contains("KMDF"));
    }

    #[test]
    fn a_manifest_without_metadata_is_refused() {
        assert!(parse("[package]\nname = \"x\"\n").is_err());
    }
}
