//! The device interface by which programs find the device.
//!
//! The driver registers it in `AddDevice` (`IoRegisterDeviceInterface`) and enables it when the device starts; eductl lists its
//! instances with `CM_Get_Device_Interface_List`.

use core::fmt;

/// A GUID, field by field, so that each kernel's or API's own `GUID` type can be filled from it in a constant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guid {
    /// The first 32 bits.
    pub data1: u32,
    /// The next 16 bits.
    pub data2: u16,
    /// The next 16 bits.
    pub data3: u16,
    /// The last eight bytes, in the order in which they are written.
    pub data4: [u8; 8],
}

/// The interface class of an edu device: `{d20d5fbe-f51d-4ca4-b308-58e1863b19e1}`.
pub const GUID_DEVINTERFACE_EDU: Guid = Guid {
    data1: 0xD20D_5FBE,
    data2: 0xF51D,
    data3: 0x4CA4,
    data4: [0xB3, 0x08, 0x58, 0xE1, 0x86, 0x3B, 0x19, 0xE1],
};

/// [`GUID_DEVINTERFACE_EDU`] as text, in the form in which it stands in a symbolic link's name.
pub const GUID_DEVINTERFACE_EDU_TEXT: &str = "{d20d5fbe-f51d-4ca4-b308-58e1863b19e1}";

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{:08x}-{:04x}-{:04x}-", self.data1, self.data2, self.data3)?;
        let (clock, node) = self.data4.split_at(2);
        for byte in clock {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("-")?;
        for byte in node {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::{GUID_DEVINTERFACE_EDU, GUID_DEVINTERFACE_EDU_TEXT};

    #[test]
    fn fields_and_text_are_the_same_guid() {
        assert_eq!(GUID_DEVINTERFACE_EDU.to_string(), GUID_DEVINTERFACE_EDU_TEXT);
    }
}
