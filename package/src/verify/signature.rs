//! Whether a PKCS #7 signature is one over its content, by a certificate that may sign code.

use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use cms::{
    cert::CertificateChoices,
    content_info::ContentInfo,
    signed_data::{SignedAttributes, SignedData, SignerIdentifier, SignerInfo},
};
use der::{
    Any, Decode, Encode, SliceReader,
    asn1::{ObjectIdentifier, OctetString},
};
use rsa::{
    pkcs1v15::{Signature, VerifyingKey},
    sha2::{Digest, Sha256},
    signature::Verifier,
};
use x509_cert::Certificate;

use crate::{
    asn1, oid, signed_data,
    signer::{check_purpose, public_key},
};

/// What a signature that holds says.
#[derive(Debug)]
pub struct Signed {
    /// The type of what is signed.
    pub content_type: ObjectIdentifier,
    /// What is signed.
    pub content: Any,
    /// Who signed.
    pub signer: Certificate,
}

/// Checks a signature. `file` may have zeros behind it, as in images.
///
/// # Errors
/// When it does not hold.
pub fn signature(file: &[u8]) -> Result<Signed> {
    let mut reader = SliceReader::new(file)?;
    let info = ContentInfo::decode(&mut reader).context("the signature is malformed")?;
    ensure!(
        info.content_type == oid::SIGNED_DATA,
        "the signature is no PKCS #7 signed data"
    );
    let message: SignedData = info.content.decode_as().context("the signature is malformed")?;
    let [signer] = message.signer_infos.0.as_slice() else {
        bail!("the signature has {} signers, not one", message.signer_infos.0.len());
    };
    let certificates = certificates(&message);
    let certificate = certificates
        .iter()
        .copied()
        .find(|certificate| is_signer(signer, certificate))
        .context("the signer's certificate is missing")?;

    let content_type = message.encap_content_info.econtent_type;
    let content = message
        .encap_content_info
        .econtent
        .as_ref()
        .context("nothing is signed")?;
    let attributes = signer
        .signed_attrs
        .as_ref()
        .context("the signature has no signed attributes")?;
    let digests = message.digest_algorithms.iter().chain([&signer.digest_alg]);
    ensure!(
        digests.map(|algorithm| algorithm.oid).eq([oid::SHA_256; 2]),
        "the signature's digest is not SHA-256"
    );
    ensure!(
        signer.signature_algorithm.oid == oid::RSA_ENCRYPTION,
        "the signature is not by RSA"
    );
    check_attributes(attributes, content_type, content)?;
    check_signature(certificate, &attributes.to_der()?, signer.signature.as_bytes())
        .context("the signature is not one of the certificate's key")?;
    check_purpose(certificate)?;
    check_validity(certificate)?;
    check_issuer(certificate, &certificates)?;
    Ok(Signed {
        content_type,
        content: content.clone(),
        signer: certificate.clone(),
    })
}

fn certificates(message: &SignedData) -> Vec<&Certificate> {
    let choices = message.certificates.iter().flat_map(|set| set.0.iter());
    choices
        .filter_map(|choice| match choice {
            CertificateChoices::Certificate(certificate) => Some(certificate),
            CertificateChoices::Other(_) => None,
        })
        .collect()
}

fn is_signer(signer: &SignerInfo, certificate: &Certificate) -> bool {
    match &signer.sid {
        SignerIdentifier::IssuerAndSerialNumber(identity) => *identity == signed_data::identity(certificate),
        SignerIdentifier::SubjectKeyIdentifier(_) => false,
    }
}

fn check_attributes(attributes: &SignedAttributes, content_type: ObjectIdentifier, content: &Any) -> Result<()> {
    let of_type = asn1::attribute_value(attributes, oid::CONTENT_TYPE).context("the content's type is not signed")?;
    ensure!(
        of_type.decode_as::<ObjectIdentifier>()? == content_type,
        "another type of content is signed"
    );
    let digest = asn1::attribute_value(attributes, oid::MESSAGE_DIGEST).context("no digest is signed")?;
    let digest: OctetString = digest.decode_as()?;
    ensure!(
        digest.as_bytes() == Sha256::digest(content.value()).as_slice(),
        "the content is not the one that was signed"
    );
    Ok(())
}

fn check_signature(certificate: &Certificate, message: &[u8], signature: &[u8]) -> Result<()> {
    let key = VerifyingKey::<Sha256>::new(public_key(certificate)?);
    Ok(key.verify(message, &Signature::try_from(signature)?)?)
}

/// Signatures without a time stamp hold as long as the certificate is valid.
fn check_validity(certificate: &Certificate) -> Result<()> {
    let validity = certificate.tbs_certificate().validity();
    let now = SystemTime::now();
    ensure!(
        validity.not_before.to_system_time() <= now,
        "the certificate is valid only from {} on",
        validity.not_before
    );
    ensure!(
        now <= validity.not_after.to_system_time(),
        "the certificate has expired on {}",
        validity.not_after
    );
    Ok(())
}

/// Checks that the certificate is signed by its issuer, if that one is there: a certificate that is trusted may be left out.
fn check_issuer(certificate: &Certificate, certificates: &[&Certificate]) -> Result<()> {
    const SHA_256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
    let issuer = certificate.tbs_certificate().issuer();
    let issuer = certificates.iter().find(|it| it.tbs_certificate().subject() == issuer);
    let Some(issuer) = issuer else { return Ok(()) };
    // Those by other algorithms are for who trusts them to check.
    if certificate.signature_algorithm().oid != SHA_256_WITH_RSA {
        return Ok(());
    }
    let signature = certificate
        .signature()
        .as_bytes()
        .context("the certificate is malformed")?;
    check_signature(issuer, &certificate.tbs_certificate().to_der()?, signature)
        .context("the certificate is not signed by its issuer")
}
