//! A name and a text, as catalogs have them in many places.

use anyhow::{Context, Result, ensure};
use der::{
    Any, Encode, Sequence,
    asn1::{BmpString, OctetString},
};
use x509_cert::ext::Extension;

use crate::{asn1, oid};

/// `CAT_NAMEVALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct NameValue {
    name: BmpString,
    flags: u32,
    /// UTF-16, little-endian, with a terminating zero.
    value: OctetString,
}

/// The value is text (`CRYPTCAT_ATTR_NAMEASCII`, `CRYPTCAT_ATTR_DATAASCII`) and authenticated (`CRYPTCAT_ATTR_AUTHENTICATED`).
const FLAGS: u32 = 0x1001_0001;

impl NameValue {
    /// A name and its value.
    ///
    /// # Errors
    /// When the name has a character beyond 16 bits.
    pub fn new(name: &str, value: &str) -> Result<Self> {
        let units = value.encode_utf16().chain([0]);
        let bytes: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
        Ok(Self {
            name: BmpString::from_utf8(name)?,
            flags: FLAGS,
            value: OctetString::new(bytes)?,
        })
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> String {
        self.name.chars().collect()
    }

    /// The value.
    ///
    /// # Errors
    /// When it is not text with a terminating zero.
    pub fn value(&self) -> Result<String> {
        let (units, rest) = self.value.as_bytes().as_chunks::<2>();
        ensure!(rest.is_empty(), "the value of {} has an odd length", self.name());
        let units: Vec<u16> = units.iter().map(|unit| u16::from_le_bytes(*unit)).collect();
        let text = units.strip_suffix(&[0]).context("a catalog's text has no end")?;
        Ok(String::from_utf16(text)?)
    }

    /// As an attribute's value.
    pub(super) fn any(&self) -> Result<Any> {
        asn1::any(self)
    }

    /// As one of a catalog's extensions.
    pub(super) fn extension(&self) -> Result<Extension> {
        Ok(Extension {
            extn_id: oid::CATALOG_NAME_VALUE,
            critical: false,
            extn_value: OctetString::new(self.to_der()?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use der::Decode;

    use super::*;

    /// The bytes of `File` = `x.sys`: a name in UTF-16BE, the flags, a value in UTF-16LE with its end.
    #[test]
    fn it_is_encoded_as_in_genuine_catalogs() {
        let pair = NameValue::new("File", "x.sys").unwrap();
        let encoded = pair.to_der().unwrap();
        let expected = b"\x30\x1e\x1e\x08\0F\0i\0l\0e\x02\x04\x10\x01\0\x01\x04\x0cx\0.\0s\0y\0s\0\0\0";
        assert_eq!(encoded, expected);
        let read = NameValue::from_der(&encoded).unwrap();
        assert_eq!(
            (read.name().as_str(), read.value().unwrap().as_str()),
            ("File", "x.sys")
        );
    }
}
