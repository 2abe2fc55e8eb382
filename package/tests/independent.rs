//! Packages, checked by others than this crate: openssl, and signify.

mod common;

use std::{
    env, fs,
    path::Path,
    process::{Command, Output},
};

use cms::{content_info::ContentInfo, signed_data::SignedData};
use common::{NAME, flip, openssl};
use der::{Any, Decode, Encode, EncodePem, pem::LineEnding};
use driver_package::image::Image;
use x509_cert::Certificate;

/// The Python that has signify; `cargo xtask test` sets it.
const SIGNIFY_PYTHON: &str = "SIGNIFY_PYTHON";

fn signify(package: &Path) -> Output {
    let python = env::var_os(SIGNIFY_PYTHON).unwrap_or_else(|| panic!("{SIGNIFY_PYTHON} names a Python with signify"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/signify_verify.py");
    let mut command = Command::new(python);
    command.arg(script).arg(package).arg(NAME);
    command.output().unwrap()
}

/// What signify says of a package that it must refuse.
fn refusal(package: &Path) -> String {
    let output = signify(package);
    assert!(!output.status.success(), "signify takes it");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
#[ignore = "needs signify: `cargo xtask test package` installs it"]
fn signify_verifies_the_signatures_and_the_catalog() {
    let package = common::package();
    let output = signify(package.path());
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    let verified = String::from_utf8(output.stdout).unwrap();
    let expected = "customdpc.cat: signature\ncustomdpc.sys: embedded signature\neductl.exe: embedded signature\n\
                    customdpc.sys: in the catalog\ncustomdpc.inf: in the catalog\n";
    assert_eq!(verified, expected);
}

#[test]
#[ignore = "needs signify: `cargo xtask test package` installs it"]
fn signify_notices_flipped_bytes() {
    for (file, at, expected) in [
        ("customdpc.inf", 3, "AuthenticodeNotSignedError"),
        ("customdpc.sys", 0x1234, "AuthenticodeInvalidDigestError"),
        ("customdpc.cat", 140, "AuthenticodeInvalidDigestError"),
        ("eductl.exe", 0x1234, "AuthenticodeInvalidDigestError"),
    ] {
        let package = common::package();
        flip(&package.path().join(file), at);
        let error = refusal(package.path());
        assert!(error.starts_with(expected), "{file}: {error}");
    }
}

/// `openssl cms` takes content that is no octet string only from a file of its own.
fn detached(signature: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let mut reader = der::SliceReader::new(signature).unwrap();
    let info = ContentInfo::decode(&mut reader).unwrap();
    let mut signed: SignedData = info.content.decode_as().unwrap();
    let content = signed.encap_content_info.econtent.take().unwrap();
    let info = ContentInfo {
        content_type: info.content_type,
        content: Any::from_der(&signed.to_der().unwrap()).unwrap(),
    };
    (info.to_der().unwrap(), content.value().to_vec())
}

fn openssl_verifies(package: &Path, signature: &[u8], change: impl Fn(&mut Vec<u8>)) -> bool {
    let (signature, mut content) = detached(signature);
    change(&mut content);
    fs::write(package.join("signature"), signature).unwrap();
    fs::write(package.join("content"), content).unwrap();
    let certificate = Certificate::from_der(&fs::read(package.join("customdpc.cer")).unwrap()).unwrap();
    fs::write(package.join("certificate"), certificate.to_pem(LineEnding::LF).unwrap()).unwrap();
    let verify = [
        "cms",
        "-verify",
        "-binary",
        "-inform",
        "DER",
        "-in",
        "signature",
        "-content",
        "content",
    ];
    let trust = ["-CAfile", "certificate", "-purpose", "any", "-out", "verified"];
    let output = openssl::run(package, &[&verify[..], &trust].concat());
    let says = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.success(),
        says.contains("CMS Verification successful"),
        "{says}"
    );
    output.status.success()
}

#[test]
fn openssl_verifies_the_signatures() {
    let package = common::package();
    let catalog = fs::read(package.path().join("customdpc.cat")).unwrap();
    let image = fs::read(package.path().join("customdpc.sys")).unwrap();
    let in_image = Image::parse(&image).unwrap().signature().unwrap();
    for signature in [&*catalog, in_image] {
        assert!(openssl_verifies(package.path(), signature, |_| {}));
        assert!(!openssl_verifies(package.path(), signature, |content| content[30] ^= 1));
    }
}

#[test]
fn openssl_takes_the_test_certificate_for_code_signing_only() {
    let package = common::package();
    let show = [
        "x509",
        "-inform",
        "DER",
        "-in",
        "customdpc.cer",
        "-noout",
        "-purpose",
        "-text",
    ];
    let output = openssl::run(package.path(), &show);
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "Code signing : Yes",
        "SSL server : No",
        "Signature Algorithm: sha256WithRSAEncryption",
    ] {
        let found = text.contains(expected) || expected.starts_with("Code") && text.contains("Code Signing");
        assert!(found, "{expected:?} is not in {text}");
    }
    assert!(!text.contains("CA:TRUE"), "{text}");
}
