//! A user's own certificate and key, from a PFX (PKCS #12) file.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use der::Decode;
use p12_keystore::{KeyStore, Pkcs12ImportPolicy, error::Error};
use rsa::{PrivateKey, pkcs8::DecodePrivateKey};
use x509_cert::Certificate;

use crate::signer::Signer;

/// Reads the key and its certificates.
///
/// # Errors
/// When the file cannot be read, the password is wrong, or there is no RSA key with a certificate for signing code in it.
pub fn read(path: &Path, password: &str) -> Result<Signer> {
    let data = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    parse(&data, password).with_context(|| format!("cannot sign with {}", path.display()))
}

/// As [`read`], of a file's contents.
///
/// # Errors
/// As [`read`].
pub fn parse(data: &[u8], password: &str) -> Result<Signer> {
    let store = KeyStore::from_pkcs12(data, password, Pkcs12ImportPolicy::Relaxed).map_err(|error| match error {
        Error::MacError(_) if password.is_empty() => anyhow!("it is protected by a password: give it with --password"),
        Error::MacError(_) => anyhow!("the password is wrong"),
        error => anyhow!(error).context("it is no PFX file, or one that is protected in an unknown way"),
    })?;
    let (_, chain) = store.private_key_chain().context("it has no private key")?;
    let key = PrivateKey::from_pkcs8_der(chain.key().as_der()).context("its key is no RSA key")?;
    let certificates: Result<Vec<Certificate>, _> = chain
        .certs()
        .iter()
        .map(|certificate| Certificate::from_der(certificate.as_der()))
        .collect();
    Signer::new(key, certificates.context("one of its certificates is malformed")?)
}
