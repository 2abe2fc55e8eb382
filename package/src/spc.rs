//! Authenticode's own structures: what says which file a digest belongs to, and how it was taken.
//!
//! Described in Microsoft's "Windows Authenticode Portable Executable Signature Format".

use anyhow::Result;
use der::{
    Any, Encode, Sequence,
    asn1::{BitString, ObjectIdentifier, OctetString},
};
use x509_cert::spki::AlgorithmIdentifierOwned;

use crate::{asn1, oid};

/// `SpcIndirectDataContent`: the digest of a file.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct IndirectData {
    /// What kind of file.
    pub data: TypeAndValue,
    /// Its digest.
    pub digest: DigestInfo,
}

/// `SpcAttributeTypeAndOptionalValue`.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct TypeAndValue {
    /// [`oid::SPC_PE_IMAGE_DATA`] or [`oid::SPC_CAB_DATA`].
    pub kind: ObjectIdentifier,
    /// Says nothing more in signatures without page hashes.
    pub value: Any,
}

/// `DigestInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct DigestInfo {
    /// The digest's algorithm.
    pub algorithm: AlgorithmIdentifierOwned,
    /// The digest.
    pub digest: OctetString,
}

/// Whether a PE image's digest is in the image or in a catalog; the flags differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// As signtool embeds it: no flags.
    Image,
    /// As `Inf2Cat` lists it: resources and the import address table are said to be included.
    Catalog,
}

impl IndirectData {
    /// The SHA-256 digest of a PE image.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn of_image(digest: &[u8], place: Place) -> Result<Self> {
        #[derive(Sequence)]
        struct PeImageData {
            flags: BitString,
            #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
            file: Any,
        }
        let flags = match place {
            Place::Image => BitString::new(0, Vec::new())?,
            Place::Catalog => BitString::new(5, vec![0b1010_0000])?,
        };
        let value = PeImageData {
            flags,
            file: no_file_name()?,
        };
        Self::new(oid::SPC_PE_IMAGE_DATA, asn1::any(&value)?, digest)
    }

    /// The SHA-256 digest of a file as it is.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn of_flat_file(digest: &[u8]) -> Result<Self> {
        Self::new(oid::SPC_CAB_DATA, no_file_name()?, digest)
    }

    fn new(kind: ObjectIdentifier, value: Any, digest: &[u8]) -> Result<Self> {
        Ok(Self {
            data: TypeAndValue { kind, value },
            digest: DigestInfo {
                algorithm: asn1::algorithm(oid::SHA_256),
                digest: OctetString::new(digest)?,
            },
        })
    }
}

/// `SpcLink`, its third choice (a file), which is an `SpcString`, its first choice (Unicode): the empty name.
fn no_file_name() -> Result<Any> {
    let name = asn1::context(0, false, Vec::new())?;
    asn1::context(2, true, name.to_der()?)
}
