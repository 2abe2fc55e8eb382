//! A user's own certificate. The keys, certificates and PFX files are openssl's.

mod common;

use std::fs;

use common::openssl;
use driver_package::{pfx, verify};
use tempfile::TempDir;

const RSA: [&str; 2] = ["-newkey", "rsa:2048"];
const CODE_SIGNING: &str = "extendedKeyUsage=codeSigning";
const NO_AUTHORITY: &str = "basicConstraints=critical,CA:FALSE";

fn error(directory: &TempDir, password: &str) -> String {
    match pfx::read(&directory.path().join("cert.pfx"), password) {
        Ok(_) => panic!("it is accepted"),
        Err(error) => format!("{error:#}"),
    }
}

#[test]
fn a_package_is_signed_with_it() {
    let directory = TempDir::new().unwrap();
    openssl::self_signed(directory.path(), &RSA, &[CODE_SIGNING, NO_AUTHORITY]);
    // As Windows and openssl protect it now, and as Windows did before 10.
    for more in [&["-keypbe", "AES-256-CBC"][..], &["-legacy"]] {
        openssl::pfx(directory.path(), "sesame", more);
        let signer = pfx::read(&directory.path().join("cert.pfx"), "sesame").unwrap();
        let package = common::package_by(&signer);
        assert_eq!(verify::package(package.path()).unwrap().wrong, Vec::<String>::new());
    }
}

#[test]
fn the_certificates_that_vouch_for_it_are_in_the_signature() {
    let directory = TempDir::new().unwrap();
    let root = directory.path();
    openssl::self_signed(
        root,
        &RSA,
        &["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign"],
    );
    fs::rename(root.join("key.pem"), root.join("ca-key.pem")).unwrap();
    fs::rename(root.join("cert.pem"), root.join("ca.pem")).unwrap();
    fs::write(root.join("extensions"), format!("{CODE_SIGNING}\n{NO_AUTHORITY}\n")).unwrap();
    let request = [
        "req",
        "-nodes",
        "-newkey",
        "rsa:2048",
        "-subj",
        "/CN=me",
        "-keyout",
        "key.pem",
        "-out",
        "request.pem",
    ];
    openssl::succeed(root, &request);
    let certify = [
        "x509",
        "-req",
        "-in",
        "request.pem",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca-key.pem",
        "-CAcreateserial",
    ];
    openssl::succeed(
        root,
        &[
            &certify[..],
            &["-days", "30", "-extfile", "extensions", "-out", "cert.pem"],
        ]
        .concat(),
    );
    openssl::pfx(root, "", &["-certfile", "ca.pem"]);

    let signer = pfx::read(&root.join("cert.pfx"), "").unwrap();
    assert_eq!(signer.certificates().len(), 2);
    assert_eq!(signer.certificate().tbs_certificate().subject().to_string(), "CN=me");
    let package = common::package_by(&signer);
    assert_eq!(verify::package(package.path()).unwrap().wrong, Vec::<String>::new());
}

#[test]
fn a_wrong_or_missing_password_is_said() {
    let directory = TempDir::new().unwrap();
    openssl::self_signed(directory.path(), &RSA, &[CODE_SIGNING]);
    openssl::pfx(directory.path(), "sesame", &[]);
    assert!(error(&directory, "barley").ends_with("the password is wrong"));
    assert!(error(&directory, "").contains("give it with --password"));
}

#[test]
fn what_is_no_pfx_file_is_said() {
    let directory = TempDir::new().unwrap();
    assert!(error(&directory, "").starts_with("cannot read "));
    fs::write(directory.path().join("cert.pfx"), "-----BEGIN CERTIFICATE-----").unwrap();
    assert!(error(&directory, "").contains("it is no PFX file"));
    openssl::self_signed(directory.path(), &RSA, &[CODE_SIGNING]);
    openssl::pfx(directory.path(), "", &["-nokeys"]);
    assert!(error(&directory, "").contains("it has no private key"));
}

#[test]
fn a_certificate_for_another_purpose_is_refused() {
    let directory = TempDir::new().unwrap();
    openssl::self_signed(directory.path(), &RSA, &["extendedKeyUsage=serverAuth"]);
    openssl::pfx(directory.path(), "", &[]);
    assert!(error(&directory, "").contains("the certificate is not for code signing"));
    openssl::self_signed(directory.path(), &RSA, &[]);
    openssl::pfx(directory.path(), "", &[]);
    assert!(error(&directory, "").contains("no extended key usage"));
}

/// Windows refuses drivers that are signed by a certification authority itself.
#[test]
fn a_certification_authority_is_refused() {
    let directory = TempDir::new().unwrap();
    openssl::self_signed(
        directory.path(),
        &RSA,
        &[CODE_SIGNING, "basicConstraints=critical,CA:TRUE"],
    );
    openssl::pfx(directory.path(), "", &[]);
    assert!(error(&directory, "").contains("certification authority"));
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let directory = TempDir::new().unwrap();
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    openssl::self_signed(directory.path(), &key, &[CODE_SIGNING]);
    openssl::pfx(directory.path(), "", &[]);
    assert!(error(&directory, "").contains("no RSA key"));
}
