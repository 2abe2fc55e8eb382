//! A test certificate with a key of its own.
//!
//! It is what `makecert -r` of Microsoft's wdk-build makes: signed by itself, for signing code, valid to the end of 2039. It is no
//! certification authority: Windows refuses signatures by a certificate that is both.

use std::str::FromStr;

use anyhow::Result;
use der::{DateTime, Encode, asn1::UtcTime};
use getrandom::SysRng;
use rsa::{
    PrivateKey,
    pkcs1v15::SigningKey,
    sha2::{Digest, Sha256},
    signature::Keypair,
};
use x509_cert::{
    Certificate, TbsCertificate,
    builder::{self, Builder, CertificateBuilder, profile::BuilderProfile},
    ext::{
        Extension, ToExtension,
        pkix::{ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectKeyIdentifier},
    },
    name::Name,
    serial_number::SerialNumber,
    spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef},
    time::{Time, Validity},
};

use crate::{oid, signer::Signer, time::Timestamp};

/// The name of the certificate's subject and issuer.
pub const COMMON_NAME: &str = "customdpc test certificate";

/// The length of the key in bits.
const KEY_LENGTH: usize = 2048;

/// The length of a serial number in bytes.
const SERIAL_LENGTH: usize = 16;

/// Makes a key and its certificate, which is valid from `time` on. The key is in memory only.
///
/// # Errors
/// When the system has no random numbers.
pub fn make(time: Timestamp) -> Result<Signer> {
    let key = PrivateKey::new(&mut SysRng, KEY_LENGTH)?;
    let certificate = certify(&SigningKey::<Sha256>::new(key.clone()), time)?;
    Signer::new(key, vec![certificate])
}

fn certify(key: &SigningKey<Sha256>, time: Timestamp) -> Result<Certificate> {
    let public = SubjectPublicKeyInfoOwned::from_key(&key.verifying_key())?;
    let mut serial = Sha256::digest(public.to_der()?)[..SERIAL_LENGTH].to_vec();
    // Positive, and as long as it is.
    serial[0] = serial[0] & 0x3f | 0x40;

    let end = UtcTime::from_date_time(DateTime::new(2039, 12, 31, 23, 59, 59)?)?;
    let validity = Validity::new(Time::UtcTime(time.utc()?), Time::UtcTime(end));
    let profile = CodeSigner(Name::from_str(&format!("CN={COMMON_NAME}"))?);
    let builder = CertificateBuilder::new(profile, SerialNumber::new(&serial)?, validity, public)?;
    Ok(builder.build::<_, rsa::pkcs1v15::Signature>(key)?)
}

/// A certificate for signing code that is its own issuer.
struct CodeSigner(Name);

impl BuilderProfile for CodeSigner {
    fn get_issuer(&self, subject: &Name) -> Name {
        subject.clone()
    }

    fn get_subject(&self) -> Name {
        self.0.clone()
    }

    fn build_extensions(
        &self,
        key: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        certificate: &TbsCertificate,
    ) -> builder::Result<Vec<Extension>> {
        let subject = certificate.subject();
        Ok(vec![
            KeyUsage(KeyUsages::DigitalSignature.into()).to_extension(subject, &[])?,
            ExtendedKeyUsage(vec![oid::CODE_SIGNING]).to_extension(subject, &[])?,
            SubjectKeyIdentifier::try_from(key)?.to_extension(subject, &[])?,
        ])
    }
}
