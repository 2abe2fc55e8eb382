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
    QUERY_CAPABILITIES = 0x09 "IRP_MN_QUERY_CAPABILITIES";
    FILTER_RESOURCE_REQUIREMENTS = 0x0D "IRP_MN_FILTER_RESOURCE_REQUIREMENTS";
    QUERY_INTERFACE = 0x08 "IRP_MN_QUERY_INTERFACE";
    READ_CONFIG = 0x0F "IRP_MN_READ_CONFIG";
    WRITE_CONFIG = 0x10 "IRP_MN_WRITE_CONFIG";
    QUERY_PNP_DEVICE_STATE = 0x14 "IRP_MN_QUERY_PNP_DEVICE_STATE";
    QUERY_BUS_INFORMATION = 0x15 "IRP_MN_QUERY_BUS_INFORMATION";
    DEVICE_USAGE_NOTIFICATION = 0x16 "IRP_MN_DEVICE_USAGE_NOTIFICATION";
    SURPRISE_REMOVAL = 0x17 "IRP_MN_SURPRISE_REMOVAL";
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
