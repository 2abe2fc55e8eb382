//! The bindgen configuration.
//!
//! Names and shapes of what bindgen generates depend on it, so it follows Microsoft's crate item by item: source that
//! compiles against these bindings compiles against those that are generated on Windows.

use std::borrow::Borrow;

use bindgen::{Builder, EnumVariation, Formatter, RustEdition, RustTarget};

use crate::{config::Config, error::ConfigError};

/// Makes a [`bindgen::Builder`] for the WDK's headers.
pub trait BuilderExt {
    /// A builder configured as every binding to the WDK is generated.
    ///
    /// # Errors
    ///
    /// When the kit's headers are not where they should be.
    fn wdk_default(config: impl Borrow<Config>) -> Result<Builder, ConfigError>;
}

/// Rust version whose features the generated code may use: the one that Microsoft's wdk-build 0.6.0 declares.
const RUST_TARGET: (u64, u64) = (91, 0);

/// How the headers are to be read: as Microsoft's compiler does, without warnings about what only they do.
const COMPILER_FLAGS: [&str; 12] = [
    "-fms-extensions",
    "-fdelayed-template-parsing",
    "--warn-=no-nonportable-include-path",
    "--warn-=no-pragma-pack",
    "--warn-=no-ignored-attributes",
    "--warn-=no-ignored-pragma-intrinsic",
    "--warn-=no-visibility",
    "--warn-=no-switch",
    "--warn-=no-comment",
    "--warn-=no-deprecated-declarations",
    "--warn-=no-invalid-token-paste",
    "--warn-=no-microsoft",
];

/// Items that get no binding: deprecated or internal API, and types that bindgen cannot express.
const BLOCKLIST: [&str; 28] = [
    "ExAllocatePool",
    "ExAllocatePoolWithTag",
    "ExAllocatePoolWithQuotaTag",
    "ExAllocatePoolWithTagPriority",
    "USBD_CalculateUsbBandwidth",
    "USBD_CreateConfigurationRequest",
    "USBD_Debug_LogEntry",
    "USBD_GetUSBDIVersion",
    "USBD_ParseConfigurationDescriptor",
    "USBD_QueryBusTime",
    "USBD_RegisterHcFilter",
    "IOCTL_USB_DIAG_IGNORE_HUBS_OFF",
    "IOCTL_USB_DIAG_IGNORE_HUBS_ON",
    "IOCTL_USB_DIAGNOSTIC_MODE_OFF",
    "IOCTL_USB_DIAGNOSTIC_MODE_ON",
    "IOCTL_USB_GET_HUB_CAPABILITIES",
    "IOCTL_USB_HCD_DISABLE_PORT",
    "IOCTL_USB_HCD_ENABLE_PORT",
    "IOCTL_USB_HCD_GET_STATS_1",
    "IOCTL_USB_HCD_GET_STATS_2",
    "IOCTL_USB_RESET_HUB",
    ".*MCG_CAP(?:__bindgen.*)?",
    ".*WHEA_XPF_MCA_SECTION",
    ".*WHEA_ARM_BUS_ERROR(?:__bindgen.*)?",
    ".*WHEA_ARM_PROCESSOR_ERROR",
    ".*WHEA_ARM_CACHE_ERROR",
    ".*ADDRESS0_OWNERSHIP_ACQUIRE",
    ".*USBDEVICE_(?:ABORTIO|STARTIO|TREE_PURGEIO)",
];

impl BuilderExt for Builder {
    fn wdk_default(config: impl Borrow<Config>) -> Result<Self, ConfigError> {
        let config = config.borrow();
        let mut builder = Self::default()
            .use_core()
            .derive_default(true)
            .generate_cstr(true)
            .detect_include_paths(false)
            // Clang's own declarations of memcpy and the like have `unsigned long long` where the headers say size_t.
            .clang_arg("-fno-builtin")
            .clang_args(
                config
                    .include_paths()?
                    .map(|path| format!("--include-directory={}", path.display())),
            )
            .clang_args(config.preprocessor_definitions().map(|(name, value)| match value {
                Some(value) => format!("--define-macro={name}={value}"),
                None => format!("--define-macro={name}"),
            }))
            .clang_args(COMPILER_FLAGS)
            .clang_args(config.kit.clang_arguments())
            // The kit declares these two and defines them nowhere.
            .opaque_type("_KGDTENTRY64")
            .opaque_type("_KIDTENTRY64")
            .no_default(".*tagMONITORINFOEXA")
            .must_use_type("NTSTATUS")
            .must_use_type("HRESULT")
            .default_enum_style(EnumVariation::ModuleConsts)
            .parse_callbacks(Box::new(bindgen::CargoCallbacks::new()))
            .formatter(Formatter::Prettyplease)
            .rust_target(
                RustTarget::stable(RUST_TARGET.0, RUST_TARGET.1)
                    .expect("bindgen knows the Rust version that Microsoft's wdk-build passes to it"),
            )
            .rust_edition(RustEdition::Edition2024);
        for item in BLOCKLIST.iter().chain(config.kit.blocklist()) {
            builder = builder.blocklist_item(item);
        }
        Ok(builder)
    }
}
