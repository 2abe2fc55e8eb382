//! Object identifiers of Microsoft's formats and of PKCS #7 and #9.

use der::oid::ObjectIdentifier as Oid;

const fn oid(text: &str) -> Oid {
    Oid::new_unwrap(text)
}

/// PKCS #7 signed data.
pub const SIGNED_DATA: Oid = oid("1.2.840.113549.1.7.2");
/// PKCS #9 attribute: the type of what is signed.
pub const CONTENT_TYPE: Oid = oid("1.2.840.113549.1.9.3");
/// PKCS #9 attribute: the digest of what is signed.
pub const MESSAGE_DIGEST: Oid = oid("1.2.840.113549.1.9.4");
/// RSA, PKCS #1 version 1.5.
pub const RSA_ENCRYPTION: Oid = oid("1.2.840.113549.1.1.1");
/// SHA-256.
pub const SHA_256: Oid = oid("2.16.840.1.101.3.4.2.1");
/// Extended key usage: signs code.
pub const CODE_SIGNING: Oid = oid("1.3.6.1.5.5.7.3.3");

/// Authenticode: the digest of something that is not in the signature itself.
pub const SPC_INDIRECT_DATA: Oid = oid("1.3.6.1.4.1.311.2.1.4");
/// Authenticode attribute: what the signer says about itself (`SPC_STATEMENT_TYPE`).
pub const SPC_STATEMENT_TYPE: Oid = oid("1.3.6.1.4.1.311.2.1.11");
/// Authenticode attribute: name and address of the program (`SPC_SP_OPUS_INFO`).
pub const SPC_OPUS_INFO: Oid = oid("1.3.6.1.4.1.311.2.1.12");
/// The digest is that of a PE image.
pub const SPC_PE_IMAGE_DATA: Oid = oid("1.3.6.1.4.1.311.2.1.15");
/// A signer that is no company; what signtool always says.
pub const SPC_INDIVIDUAL_CODE_SIGNING: Oid = oid("1.3.6.1.4.1.311.2.1.21");
/// The digest is that of a file as it is.
pub const SPC_CAB_DATA: Oid = oid("1.3.6.1.4.1.311.2.1.25");

/// A certificate trust list, which a catalog is.
pub const CTL: Oid = oid("1.3.6.1.4.1.311.10.1");
/// What the list is for: a catalog.
pub const CATALOG_LIST: Oid = oid("1.3.6.1.4.1.311.12.1.1");
/// What the list's tags are: digests (version 2 of catalogs; version 1 has their hexadecimal digits).
pub const CATALOG_LIST_MEMBER_V2: Oid = oid("1.3.6.1.4.1.311.12.1.3");
/// Attribute of a catalog or a member: a name and its value.
pub const CATALOG_NAME_VALUE: Oid = oid("1.3.6.1.4.1.311.12.2.1");
/// Attribute of a member: what kind of file it is.
pub const CATALOG_MEMBER_INFO_V2: Oid = oid("1.3.6.1.4.1.311.12.2.3");
