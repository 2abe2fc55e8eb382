//! A member of a catalog: one file's digest, and what the digest is of.

use anyhow::{Context, Result};
use cms::signed_data::SignedAttributes;
use der::{
    Any, Decode, Encode, Sequence,
    asn1::{OctetString, SetOfVec},
};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use x509_cert::attr::Attribute;

use super::NameValue;
use crate::{
    asn1,
    image::Image,
    oid,
    spc::{IndirectData, Place},
};

/// Platform 2 is Windows NT; the members of a package that is for Windows 10 and later say so.
const OS_ATTRIBUTE: &str = "2:10.0";

/// `TrustedSubject`.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct Member {
    tag: OctetString,
    attributes: SignedAttributes,
}

/// A file that a catalog shall list.
pub struct MemberFile<'c> {
    /// Its name, without a directory.
    pub name: &'c str,
    /// What is in it.
    pub contents: &'c [u8],
}

/// How a file's digest is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Authenticode's hash of a PE image.
    Image,
    /// The hash of all bytes.
    Flat,
}

impl Member {
    /// The digest.
    #[must_use]
    pub fn tag(&self) -> &[u8] {
        self.tag.as_bytes()
    }

    /// The file's name, in lower case.
    ///
    /// # Errors
    /// When the member has none, or an attribute is malformed.
    pub fn file(&self) -> Result<String> {
        let pairs = self.attributes.iter().filter(|it| it.oid == oid::CATALOG_NAME_VALUE);
        for attribute in pairs {
            for value in attribute.values.iter() {
                let pair = NameValue::from_der(&value.to_der()?)?;
                if pair.name() == "File" {
                    return pair.value();
                }
            }
        }
        None.context("a member of the catalog has no file name")
    }
}

impl MemberFile<'_> {
    /// The file's members: with its SHA-1 and with its SHA-256 digest.
    pub(super) fn members(&self) -> Result<[Member; 2]> {
        let [sha1, sha256] = self.digests()?;
        let indirect = match self.kind() {
            Kind::Image => IndirectData::of_image(&sha256, Place::Catalog)?,
            Kind::Flat => IndirectData::of_flat_file(&sha256)?,
        };
        let indirect = asn1::attribute(oid::SPC_INDIRECT_DATA, asn1::any(&indirect)?)?;
        Ok([self.member(sha1, None)?, self.member(sha256, Some(indirect))?])
    }

    /// The file's SHA-1 and SHA-256 digests, as a catalog has them.
    ///
    /// # Errors
    /// When it is named as PE images are and is none.
    pub fn digests(&self) -> Result<[Vec<u8>; 2]> {
        Ok(match self.kind() {
            Kind::Image => {
                let image = Image::parse(self.contents).with_context(|| self.name.to_owned())?;
                [image.digest::<Sha1>(), image.digest::<Sha256>()]
            }
            Kind::Flat => [
                Sha1::digest(self.contents).to_vec(),
                Sha256::digest(self.contents).to_vec(),
            ],
        })
    }

    /// Whether a file of that name is a PE image.
    #[must_use]
    pub fn is_image(name: &str) -> bool {
        let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_lowercase());
        matches!(extension.as_deref(), Some("sys" | "dll" | "exe"))
    }

    fn kind(&self) -> Kind {
        if Self::is_image(self.name) {
            Kind::Image
        } else {
            Kind::Flat
        }
    }

    fn member(&self, digest: Vec<u8>, indirect: Option<Attribute>) -> Result<Member> {
        let mut attributes = vec![
            asn1::attribute(oid::CATALOG_MEMBER_INFO_V2, self.kind().member_info()?)?,
            asn1::attribute(oid::CATALOG_NAME_VALUE, NameValue::new("OSAttr", OS_ATTRIBUTE)?.any()?)?,
            asn1::attribute(
                oid::CATALOG_NAME_VALUE,
                NameValue::new("File", &self.name.to_lowercase())?.any()?,
            )?,
        ];
        attributes.extend(indirect);
        Ok(Member {
            tag: OctetString::new(digest)?,
            attributes: SetOfVec::try_from(attributes)?,
        })
    }
}

impl Kind {
    /// Says by its tag how Windows shall take the digest; there is nothing in it.
    fn member_info(self) -> Result<Any> {
        let number = match self {
            Self::Image => 0,
            Self::Flat => 2,
        };
        asn1::context(number, false, Vec::new())
    }
}
