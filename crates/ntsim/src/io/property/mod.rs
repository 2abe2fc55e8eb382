//! What is known of devices and their interfaces: `IoGetDeviceProperty`, and the properties of the unified device property model.

mod data;
mod device;
mod interface_list;
mod requirements;
#[cfg(test)]
mod tests;

use crate::ddi::Registry;

/// Adds this component's exports.
pub(super) fn register(ddi: &mut Registry) {
    data::register(ddi);
    device::register(ddi);
    interface_list::register(ddi);
}

/// A string, terminated, as it lies in memory.
fn string(text: &str) -> Vec<u8> {
    text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
}

/// A `REG_MULTI_SZ`: terminated strings, and an empty one.
fn strings<S: AsRef<str>>(texts: &[S]) -> Vec<u8> {
    let mut bytes: Vec<u8> = texts.iter().flat_map(|text| string(text.as_ref())).collect();
    bytes.extend([0; 2]);
    bytes
}
