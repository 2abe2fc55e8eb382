//! Passes a driver's link settings to cargo: Microsoft's wdk-build on Windows, the stand-in in `cross/` elsewhere.

fn main() -> Result<(), wdk_build::ConfigError> {
    wdk_build::configure_wdk_binary_build()
}
