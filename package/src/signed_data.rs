//! Signatures as Authenticode has them: PKCS #7 signed data, version 1, with one signer.
//!
//! The content is no octet string, as in CMS, but any structure; the digest covers it without its outer tag and length.

use anyhow::Result;
use cms::{
    cert::{CertificateChoices, IssuerAndSerialNumber},
    content_info::{CmsVersion, ContentInfo},
    signed_data::{
        CertificateSet, EncapsulatedContentInfo, SignedAttributes, SignedData, SignerIdentifier, SignerInfo,
        SignerInfos,
    },
};
use der::{
    Any, Encode, Sequence, Tag,
    asn1::{ObjectIdentifier, OctetString, SetOfVec},
};
use sha2::{Digest, Sha256};
use x509_cert::Certificate;

use crate::{asn1, oid, signer::Signer};

/// Signs `content`, which is of the type `content_type`.
///
/// # Errors
/// When it cannot be encoded.
pub fn sign(content_type: ObjectIdentifier, content: Any, signer: &Signer) -> Result<Vec<u8>> {
    let attributes = attributes(content_type, &Sha256::digest(content.value()))?;
    let signature = signer.sign(&attributes.to_der()?)?;
    let info = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(identity(signer.certificate())),
        digest_alg: asn1::algorithm(oid::SHA_256),
        signed_attrs: Some(attributes),
        signature_algorithm: asn1::algorithm(oid::RSA_ENCRYPTION),
        signature: OctetString::new(signature)?,
        unsigned_attrs: None,
    };
    let certificates = signer.certificates().iter().cloned();
    let certificates: Vec<_> = certificates.map(CertificateChoices::Certificate).collect();
    let message = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![asn1::algorithm(oid::SHA_256)])?,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: content_type,
            econtent: Some(content),
        },
        certificates: Some(CertificateSet(SetOfVec::try_from(certificates)?)),
        crls: None,
        signer_infos: SignerInfos(SetOfVec::try_from(vec![info])?),
    };
    let info = ContentInfo {
        content_type: oid::SIGNED_DATA,
        content: asn1::any(&message)?,
    };
    Ok(info.to_der()?)
}

/// What names a certificate in a signature.
#[must_use]
pub fn identity(certificate: &Certificate) -> IssuerAndSerialNumber {
    let certificate = certificate.tbs_certificate();
    IssuerAndSerialNumber {
        issuer: certificate.issuer().clone(),
        serial_number: certificate.serial_number().clone(),
    }
}

/// The signed attributes, as signtool writes them.
fn attributes(content_type: ObjectIdentifier, digest: &[u8]) -> Result<SignedAttributes> {
    #[derive(Sequence)]
    struct StatementType {
        purpose: ObjectIdentifier,
    }
    let statement = StatementType {
        purpose: oid::SPC_INDIVIDUAL_CODE_SIGNING,
    };
    let no_description = Any::new(Tag::Sequence, Vec::new())?;
    Ok(SetOfVec::try_from(vec![
        asn1::attribute(oid::SPC_OPUS_INFO, no_description)?,
        asn1::attribute(oid::CONTENT_TYPE, Any::from(content_type))?,
        asn1::attribute(oid::SPC_STATEMENT_TYPE, asn1::any(&statement)?)?,
        asn1::attribute(oid::MESSAGE_DIGEST, asn1::any(&OctetString::new(digest)?)?)?,
    ])?)
}
