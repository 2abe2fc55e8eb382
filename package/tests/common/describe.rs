//! DER in words: one line for each element, indented, with what differs from file to file left out.

use std::fmt::Write as _;

use der::{
    AnyRef, Class, Decode, Reader as _, SliceReader, Tag,
    asn1::{BmpString, ObjectIdentifier},
};

/// Describes one element.
pub fn describe(der: &[u8]) -> String {
    let mut text = String::new();
    element(&mut text, 0, AnyRef::from_der(der).unwrap());
    text
}

fn element(text: &mut String, depth: usize, any: AnyRef<'_>) {
    let tag = der::Tagged::tag(&any);
    let name = match tag {
        Tag::Sequence => "SEQUENCE".to_owned(),
        Tag::Set => "SET".to_owned(),
        tag if tag.class() == Class::ContextSpecific => format!("[{}]", tag.number().value()),
        Tag::ObjectIdentifier => any.decode_as::<ObjectIdentifier>().unwrap().to_string(),
        Tag::Integer => format!("INTEGER {}", hex(any.value())),
        Tag::BitString => format!("BIT STRING {}", hex(any.value())),
        Tag::Null => "NULL".to_owned(),
        Tag::BmpString => format!("{:?}", any.decode_as::<BmpString>().unwrap().to_string()),
        Tag::UtcTime => "time".to_owned(),
        Tag::OctetString => octets(any.value()),
        other => other.to_string(),
    };
    writeln!(text, "{:indent$}{name}", "", indent = depth * 2).unwrap();
    let holds_der =
        tag == Tag::OctetString && any.value().starts_with(&[0x30]) && AnyRef::from_der(any.value()).is_ok();
    if tag.is_constructed() || holds_der {
        elements(text, depth + 1, any.value());
    }
}

fn elements(text: &mut String, depth: usize, der: &[u8]) {
    let mut reader = SliceReader::new(der).unwrap();
    while !reader.is_finished() {
        element(text, depth, AnyRef::decode(&mut reader).unwrap());
    }
}

/// Text if it is some, else the length: 16 bytes are an identifier, 20 and 32 are digests.
fn octets(bytes: &[u8]) -> String {
    let (units, rest) = bytes.as_chunks::<2>();
    let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
    match units.strip_suffix(&[0]) {
        Some(text) if rest.is_empty() && text.iter().all(|unit| (0x20..0x7f).contains(unit)) => {
            format!("OCTET STRING {:?}", String::from_utf16(text).unwrap())
        }
        _ if bytes.starts_with(&[0x30]) => "OCTET STRING".to_owned(),
        _ => format!("OCTET STRING of {}", bytes.len()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
