//! Catalogs: the list of hashes that vouches for a driver package.
//!
//! A catalog is a signed certificate trust list. It has two members for each file, one with the file's SHA-1 and one with its SHA-256
//! digest; a PE image's digest is its Authenticode hash. Microsoft documents what a catalog is for, not its format; what is here
//! was seen in genuine ones.

mod member;
mod name_value;
mod windows;

pub use member::{Member, MemberFile};
pub use name_value::NameValue;
pub use windows::{Release, releases_from};

use anyhow::{Context, Result, ensure};
use cms::{content_info::ContentInfo, signed_data::SignedData};
use der::{
    Decode, Encode, Sequence,
    asn1::{ObjectIdentifier, OctetString, UtcTime},
};
use sha2::{Digest, Sha256};
use x509_cert::{ext::Extension, spki::AlgorithmIdentifierOwned};

use crate::{asn1, oid, signed_data, signer::Signer, time::Timestamp};

/// The length of a list's identifier in bytes.
const IDENTIFIER_LENGTH: usize = 16;

/// The certificate trust list that a catalog is.
#[derive(Debug, Clone, PartialEq, Eq, Sequence)]
pub struct Catalog {
    /// What the list is for.
    subject_usage: Vec<ObjectIdentifier>,
    /// Tells lists apart.
    list_identifier: OctetString,
    /// When it was made.
    this_update: UtcTime,
    /// What the members' tags are.
    subject_algorithm: AlgorithmIdentifierOwned,
    /// In the order of their tags.
    members: Vec<Member>,
    /// What the whole package is for.
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

/// What a catalog is made from.
pub struct Contents<'c> {
    /// The files.
    pub files: Vec<MemberFile<'c>>,
    /// The hardware identifiers that the package has a driver for.
    pub hardware_ids: Vec<String>,
    /// The releases of Windows that it is for.
    pub releases: &'c [Release],
    /// The time of the source.
    pub time: Timestamp,
}

impl Catalog {
    /// Makes a catalog. Its identifier depends on nothing but its contents.
    ///
    /// # Errors
    /// When a file that ends as PE images do is none, or nothing would be listed.
    pub fn new(contents: &Contents<'_>) -> Result<Self> {
        ensure!(!contents.files.is_empty(), "a catalog lists at least one file");
        ensure!(
            !contents.releases.is_empty(),
            "the package is for no release of Windows"
        );
        let mut members = Vec::new();
        for file in &contents.files {
            members.extend(file.members()?);
        }
        members.sort_by(|one, other| one.tag().cmp(other.tag()));

        let releases: Vec<&str> = contents.releases.iter().map(|release| release.attribute).collect();
        let mut extensions = vec![NameValue::new("OS", &releases.join(","))?.extension()?];
        for (index, id) in contents.hardware_ids.iter().enumerate() {
            let name = format!("HWID{}", index + 1);
            extensions.push(NameValue::new(&name, &id.to_lowercase())?.extension()?);
        }

        let mut catalog = Self {
            subject_usage: vec![oid::CATALOG_LIST],
            list_identifier: OctetString::new([0; IDENTIFIER_LENGTH])?,
            this_update: contents.time.utc()?,
            subject_algorithm: asn1::algorithm(oid::CATALOG_LIST_MEMBER_V2),
            members,
            extensions,
        };
        let digest = Sha256::digest(catalog.to_der()?);
        catalog.list_identifier = OctetString::new(&digest[..IDENTIFIER_LENGTH])?;
        Ok(catalog)
    }

    /// The catalog file.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn sign(&self, signer: &Signer) -> Result<Vec<u8>> {
        signed_data::sign(oid::CTL, asn1::any(self)?, signer)
    }

    /// Reads a catalog file, without a look at its signature.
    ///
    /// # Errors
    /// When it is no catalog of version 2.
    pub fn read(file: &[u8]) -> Result<Self> {
        let info = ContentInfo::from_der(file).context("this is no catalog")?;
        ensure!(info.content_type == oid::SIGNED_DATA, "this is no signed catalog");
        let signed: SignedData = info.content.decode_as().context("this is no signed catalog")?;
        let content = signed.encap_content_info;
        ensure!(content.econtent_type == oid::CTL, "what is signed is no catalog");
        let list = content.econtent.context("the catalog is empty")?;
        let catalog: Self = list.decode_as().context("the catalog's list is malformed")?;
        ensure!(
            catalog.subject_algorithm.oid == oid::CATALOG_LIST_MEMBER_V2,
            "the catalog is not of version 2"
        );
        Ok(catalog)
    }

    /// The members.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The value of a name among the extensions.
    ///
    /// # Errors
    /// When an extension is malformed.
    pub fn value(&self, name: &str) -> Result<Option<String>> {
        for extension in &self.extensions {
            let pair = NameValue::from_der(extension.extn_value.as_bytes())?;
            if pair.name() == name {
                return pair.value().map(Some);
            }
        }
        Ok(None)
    }
}
