//! Who signs: a key, its certificate, and the certificates that vouch for that one.

use anyhow::{Context, Result, ensure};
use der::Encode;
use rsa::{
    PrivateKey, PublicKey,
    pkcs1v15::SigningKey,
    pkcs8::DecodePublicKey,
    sha2::Sha256,
    signature::{Keypair, SignatureEncoding, Signer as _},
};
use x509_cert::{
    Certificate,
    ext::pkix::{BasicConstraints, ExtendedKeyUsage},
};

use crate::oid;

/// A key with its certificates.
pub struct Signer {
    key: SigningKey<Sha256>,
    certificates: Vec<Certificate>,
}

impl Signer {
    /// `certificates` begins with that of `key`.
    ///
    /// # Errors
    /// When the first certificate is not that of the key, or not one for signing code.
    pub fn new(key: PrivateKey, certificates: Vec<Certificate>) -> Result<Self> {
        let key = SigningKey::new(key);
        let own = certificates.first().context("the key has no certificate")?;
        let public = public_key(own)?;
        let of_key: &PublicKey = &key.verifying_key().into();
        ensure!(&public == of_key, "the certificate belongs to another key");
        check_purpose(own)?;
        Ok(Self { key, certificates })
    }

    /// The key's own certificate.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificates[0]
    }

    /// All certificates, the key's own first.
    #[must_use]
    pub fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    /// The signature over `message`: RSA (PKCS #1 version 1.5) of its SHA-256 digest.
    ///
    /// # Errors
    /// When the key is too short.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>> {
        Ok(self.key.try_sign(message)?.to_vec())
    }
}

/// A certificate's RSA key.
///
/// # Errors
/// When its key is of another kind.
pub fn public_key(certificate: &Certificate) -> Result<PublicKey> {
    let info = certificate.tbs_certificate().subject_public_key_info().to_der()?;
    PublicKey::from_public_key_der(&info).context("the certificate's key is no RSA key")
}

/// Checks that a certificate is one for signing code: Windows refuses drivers that are signed with another one.
///
/// # Errors
/// When it is not.
pub fn check_purpose(certificate: &Certificate) -> Result<()> {
    let usage = certificate.tbs_certificate().get_extension::<ExtendedKeyUsage>()?;
    let (_, usage) = usage.context("the certificate has no extended key usage: it must be one for code signing")?;
    ensure!(
        usage.0.contains(&oid::CODE_SIGNING),
        "the certificate is not for code signing (its extended key usage lacks {})",
        oid::CODE_SIGNING
    );
    let constraints = certificate.tbs_certificate().get_extension::<BasicConstraints>()?;
    ensure!(
        constraints.is_none_or(|(_, constraints)| !constraints.ca),
        "the certificate is that of a certification authority, which cannot sign code itself"
    );
    Ok(())
}
