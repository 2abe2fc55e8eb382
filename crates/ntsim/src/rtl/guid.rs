//! `RtlGUIDFromString` and `RtlStringFromGUID`.

use super::{
    counted::{self, PASSIVE, units_at},
    unicode_string::{self, encode},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    status::NtStatus,
};

/// How many digits stand between the hyphens.
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlGUIDFromString", 2, PASSIVE, |k, a| {
        let text = String::from_utf16_lossy(&units_at::<u16>(k, a.va(0))?);
        match parse(&text) {
            Some(guid) => {
                k.write_bytes(a.va(1), &guid)?;
                Ok(NtStatus::SUCCESS)
            }
            None => Ok(NtStatus::INVALID_PARAMETER),
        }
    });
    ddi.function("RtlStringFromGUID", 2, PASSIVE, print);
}

/// The sixteen bytes of `{xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx}`; the first three groups are little-endian numbers.
fn parse(text: &str) -> Option<[u8; 16]> {
    let inner = text.strip_prefix('{')?.strip_suffix('}')?;
    let groups: Vec<&str> = inner.split('-').collect();
    let lengths = groups.iter().map(|group| group.len());
    let only_digits = groups
        .iter()
        .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
    if !only_digits || !lengths.eq(GROUPS) {
        return None;
    }
    let mut bytes = [0; 16];
    let number = |group: usize| u64::from_str_radix(groups[group], 16).ok();
    bytes[..4].copy_from_slice(&number(0)?.to_le_bytes()[..4]);
    bytes[4..6].copy_from_slice(&number(1)?.to_le_bytes()[..2]);
    bytes[6..8].copy_from_slice(&number(2)?.to_le_bytes()[..2]);
    bytes[8..10].copy_from_slice(&number(3)?.to_be_bytes()[6..]);
    bytes[10..].copy_from_slice(&number(4)?.to_be_bytes()[2..]);
    Some(bytes)
}

/// `RtlStringFromGUID(Guid, GuidString)`: a string that the driver has to free.
fn print(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let bytes: [u8; 16] = k.read_bytes(a.va(0), 16)?.try_into().expect("as many as asked for");
    let first = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let second = u16::from_le_bytes([bytes[4], bytes[5]]);
    let third = u16::from_le_bytes([bytes[6], bytes[7]]);
    let fourth = u16::from_be_bytes([bytes[8], bytes[9]]);
    let fifth = bytes[10..]
        .iter()
        .fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    let text = format!("{{{first:08x}-{second:04x}-{third:04x}-{fourth:04x}-{fifth:012x}}}\0");
    let text = encode(&text);
    let buffer = counted::allocate(k, text.len());
    k.write_bytes(buffer, &text)?;
    let maximum = u16::try_from(text.len()).expect("38 characters and a terminator");
    unicode_string::write(k, a.va(1), maximum - 2, maximum, buffer)?;
    Ok(NtStatus::SUCCESS)
}
