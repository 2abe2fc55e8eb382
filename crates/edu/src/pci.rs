//! The PCI ids of the device. The INF's hardware id is `PCI\VEN_1234&DEV_11E8`.

/// Vendor id.
pub const VENDOR_ID: u16 = 0x1234;

/// Device id.
pub const DEVICE_ID: u16 = 0x11E8;

/// Revision id.
pub const REVISION_ID: u8 = 0x10;

/// Base class and subclass: "unassigned, other".
pub const CLASS: u16 = 0x00FF;

/// The hardware id by which Windows matches the INF.
pub const HARDWARE_ID: &str = r"PCI\VEN_1234&DEV_11E8";
