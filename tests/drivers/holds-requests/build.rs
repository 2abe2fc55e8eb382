//! Passes the driver's link settings to cargo, as the shipped driver's build script does.

fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_binary_build()
}
