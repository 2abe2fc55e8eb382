//! What the linker is told.

use std::{env, fmt::Write as _};

use crate::{
    config::{ApiSubset, Config},
    error::ConfigError,
};

/// The libraries that every WDM driver links (WindowsDriver.KernelMode.props).
const BASE_LIBRARIES: [&str; 4] = ["BufferOverflowFastFailK", "ntoskrnl", "hal", "wmilib"];

/// The linker arguments of a WDM driver, as the kit's WindowsDriver.KernelMode.props, WindowsDriver.KernelMode.WDM.props
/// and Microsoft.Link.Common.props ask for, less what rust-lld does not know: `/KERNEL`, and the `/IGNORE`s of warnings
/// that it does not give. `/RELEASE` writes the image's checksum, and `/SECTION` sets what sections are in memory, both of which
/// Microsoft's linker does by itself for every `/DRIVER`: nothing is paged out, and resources are for those who read the file.
const WDM_LINK_ARGUMENTS: [&str; 17] = [
    "/DRIVER",
    "/RELEASE",
    "/NODEFAULTLIB",
    "/SUBSYSTEM:NATIVE",
    "/ENTRY:DriverEntry",
    "/NXCOMPAT",
    "/DYNAMICBASE",
    "/MAP",
    "/MAPINFO:EXPORTS",
    "/OPT:REF,ICF",
    "/INTEGRITYCHECK",
    "/MANIFEST:NO",
    "/SECTION:.text,ERP",
    "/SECTION:.rdata,RP",
    "/SECTION:.data,RWP",
    "/SECTION:.pdata,RP",
    "/SECTION:.rsrc,RD",
];

/// A module definition without exports. It takes the place of rustc's, which exports `DriverEntry` and every other function that has
/// a name of its own in the libraries: of several, rust-lld takes the last.
const NO_EXPORTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/no-exports.def");

impl Config {
    /// `#[link]` attributes of a part of the API, as Rust source for the generated bindings; `None` if it has no library.
    #[must_use]
    pub fn bindgen_library_link_raw_lines(&self, subset: ApiSubset) -> Option<String> {
        let libraries: &[&str] = match subset {
            ApiSubset::Base => &BASE_LIBRARIES,
            ApiSubset::Hid => &["VhfKm"],
            _ => return None,
        };
        let mut lines = String::new();
        for library in libraries {
            let _ = write!(
                lines,
                "#[cfg(not(any(test, feature = \"suppress-wdk-linking\")))]\n\
                 #[link(name = \"{library}\", kind = \"static\", modifiers = \"-bundle\")]\n\
                 unsafe extern \"C\" {{}}\n"
            );
        }
        Some(lines)
    }

    /// Emits what the build of a driver needs.
    ///
    /// # Errors
    ///
    /// When the C runtime is not linked statically, or the directory of the import libraries does not exist.
    pub fn configure_binary_build(&self) -> Result<(), ConfigError> {
        let features = env::var("CARGO_CFG_TARGET_FEATURE").unwrap_or_default();
        if !features.split(',').any(|feature| feature == "crt-static") {
            return Err(ConfigError::StaticCrtNotEnabled);
        }
        let lib = self.kit.lib_directory();
        if !lib.is_dir() {
            return Err(ConfigError::DirectoryNotFound {
                directory: lib.display().to_string(),
            });
        }
        println!("cargo::rustc-link-search={}", lib.display());
        for argument in WDM_LINK_ARGUMENTS {
            println!("cargo::rustc-cdylib-link-arg={argument}");
        }
        println!("cargo::rustc-cdylib-link-arg=/DEF:{NO_EXPORTS}");
        self.configure_library_build();
        Ok(())
    }
}
