//! Passes a driver's link settings to cargo: Microsoft's wdk-build on Windows, the stand-in in `cross/` elsewhere. Puts the
//! version resource in.

use std::error::Error;

use version_resource::{Description, Kind};

fn main() -> Result<(), Box<dyn Error>> {
    wdk_build::configure_wdk_binary_build()?;
    version_resource::embed(&Description {
        file: "customdpc.sys",
        text: "Driver for QEMU's edu device",
        kind: Kind::Driver,
    })?;
    Ok(())
}
