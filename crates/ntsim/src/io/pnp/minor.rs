//! `IRP_MN_xxx` of `IRP_MJ_PNP`.

use crate::named::named_constants;

/// A minor function of `IRP_MJ_PNP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Minor(pub u8);

named_constants! {
    Minor;
    START_DEVICE = 0x00 "IRP_MN_START_DEVICE";
    QUERY_REMOVE_DEVICE = 0x01 "IRP_MN_QUERY_REMOVE_DEVICE";
    REMOVE_DEVICE = 0x02 "IRP_MN_REMOVE_DEVICE";
    CANCEL_REMOVE_DEVICE = 0x03 "IRP_MN_CANCEL_REMOVE_DEVICE";
    STOP_DEVICE = 0x04 "IRP_MN_STOP_DEVICE";
    QUERY_STOP_DEVICE = 0x05 "IRP_MN_QUERY_STOP_DEVICE";
    CANCEL_STOP_DEVICE = 0x06 "IRP_MN_CANCEL_STOP_DEVICE";
    QUERY_DEVICE_RELATIONS = 0x07 "IRP_MN_QUERY_DEVICE_RELATIONS";
    QUERY_INTERFACE = 0x08 "IRP_MN_QUERY_INTERFACE";
    QUERY_CAPABILITIES = 0x09 "IRP_MN_QUERY_CAPABILITIES";
    QUERY_RESOURCES = 0x0A "IRP_MN_QUERY_RESOURCES";
    QUERY_RESOURCE_REQUIREMENTS = 0x0B "IRP_MN_QUERY_RESOURCE_REQUIREMENTS";
    QUERY_DEVICE_TEXT = 0x0C "IRP_MN_QUERY_DEVICE_TEXT";
    FILTER_RESOURCE_REQUIREMENTS = 0x0D "IRP_MN_FILTER_RESOURCE_REQUIREMENTS";
    READ_CONFIG = 0x0F "IRP_MN_READ_CONFIG";
    WRITE_CONFIG = 0x10 "IRP_MN_WRITE_CONFIG";
    EJECT = 0x11 "IRP_MN_EJECT";
    SET_LOCK = 0x12 "IRP_MN_SET_LOCK";
    QUERY_ID = 0x13 "IRP_MN_QUERY_ID";
    QUERY_PNP_DEVICE_STATE = 0x14 "IRP_MN_QUERY_PNP_DEVICE_STATE";
    QUERY_BUS_INFORMATION = 0x15 "IRP_MN_QUERY_BUS_INFORMATION";
    DEVICE_USAGE_NOTIFICATION = 0x16 "IRP_MN_DEVICE_USAGE_NOTIFICATION";
    SURPRISE_REMOVAL = 0x17 "IRP_MN_SURPRISE_REMOVAL";
    QUERY_LEGACY_BUS_INFORMATION = 0x18 "IRP_MN_QUERY_LEGACY_BUS_INFORMATION";
    DEVICE_ENUMERATED = 0x19 "IRP_MN_DEVICE_ENUMERATED";
}

impl Minor {
    /// The header's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.known_name() {
            Some(name) => name,
            None => "IRP_MN_?",
        }
    }

    /// Whether it is one of the system's; Driver Verifier sends others.
    #[must_use]
    pub const fn exists(self) -> bool {
        /// `IRP_MN_DEVICE_ENUMERATED`.
        const LAST: u8 = 0x19;
        // 0x0E has never been in use.
        self.0 <= LAST && self.0 != 0x0E
    }

    /// Whether no driver may fail it.
    #[must_use]
    pub const fn must_succeed(self) -> bool {
        matches!(
            self,
            Self::REMOVE_DEVICE
                | Self::CANCEL_REMOVE_DEVICE
                | Self::STOP_DEVICE
                | Self::CANCEL_STOP_DEVICE
                | Self::SURPRISE_REMOVAL
        )
    }
}
