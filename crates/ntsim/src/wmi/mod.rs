//! Windows Management Instrumentation, as far as drivers see it: they register the data and the events that they provide, and answer
//! requests for them. Nobody asks for data here, and nobody waits for events, unless a scenario does.
//!
//! - `registration`: `IoWMIRegistrationControl`, and the IRP that asks for what a driver provides.
//! - `provider`: the other routines of the I/O manager.
//! - `library`, `answer`: WMILIB.SYS, which reads WMI requests and calls the driver's routines.

mod answer;
mod library;
mod provider;
mod registration;
#[cfg(test)]
mod tests;

use crate::ddi::Registry;

pub(crate) use registration::{device_deleted, leftovers};

/// `STATUS_WMI_GUID_NOT_FOUND`, `STATUS_WMI_INSTANCE_NOT_FOUND`, `STATUS_WMI_READ_ONLY`.
mod status {
    use crate::status::NtStatus;

    pub const GUID_NOT_FOUND: NtStatus = NtStatus(0xC000_0295);
    pub const INSTANCE_NOT_FOUND: NtStatus = NtStatus(0xC000_0297);
    pub const READ_ONLY: NtStatus = NtStatus(0xC000_02C6);
}

/// `IRP_MN_xxx` of `IRP_MJ_SYSTEM_CONTROL`.
mod minor {
    pub const QUERY_ALL_DATA: u8 = 0x00;
    pub const QUERY_SINGLE_INSTANCE: u8 = 0x01;
    pub const CHANGE_SINGLE_INSTANCE: u8 = 0x02;
    pub const CHANGE_SINGLE_ITEM: u8 = 0x03;
    pub const ENABLE_EVENTS: u8 = 0x04;
    pub const DISABLE_EVENTS: u8 = 0x05;
    pub const ENABLE_COLLECTION: u8 = 0x06;
    pub const DISABLE_COLLECTION: u8 = 0x07;
    pub const REGINFO: u8 = 0x08;
    pub const EXECUTE_METHOD: u8 = 0x09;
    pub const REGINFO_EX: u8 = 0x0B;
}

/// Adds this component's exports.
pub fn register(ddi: &mut Registry) {
    answer::register(ddi);
    library::register(ddi);
    provider::register(ddi);
    registration::register(ddi);
}
