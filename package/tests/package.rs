//! Packages as a whole: what is in them, that they are reproducible, that a change is noticed, and what is said when one cannot be
//! made.

mod common;

use std::{fs, path::Path};

use common::{NAME, PROGRAM, flip};
use driver_package::{
    certificate,
    image::Image,
    signer::Signer,
    verify::{self, Report},
};
use sha2::Sha256;
use tempfile::TempDir;

fn read(package: &TempDir, name: &str) -> Vec<u8> {
    fs::read(package.path().join(name)).unwrap()
}

fn wrong(package: &Path) -> Vec<String> {
    verify::package(package).unwrap().wrong
}

/// One of the complaints must have that text.
fn assert_wrong(package: &TempDir, complaint: &str) {
    let Report { wrong, .. } = verify::package(package.path()).unwrap();
    assert!(
        wrong.iter().any(|line| line.contains(complaint)),
        "{complaint:?} is not in {wrong:#?}"
    );
}

#[test]
fn a_package_has_all_its_files_and_is_right() {
    let directory = TempDir::new().unwrap();
    let names = common::make_in(directory.path(), &common::images(), common::signer()).unwrap();
    assert_eq!(
        names,
        [
            "customdpc.inf",
            "customdpc.sys",
            "customdpc.cat",
            "customdpc.cer",
            "customdpc.pdb",
            "eductl.exe"
        ]
    );
    assert_eq!(wrong(directory.path()), Vec::<String>::new());
}

/// Everything but the certificate, and the catalog and the images without their signatures.
#[test]
fn two_packages_differ_in_keys_and_signatures_only() {
    let other: Signer = certificate::make(common::time()).unwrap();
    let [one, other] = [common::package(), common::package_by(&other)];
    for name in ["customdpc.inf", "customdpc.pdb"] {
        assert!(read(&one, name) == read(&other, name), "{name}");
    }
    for name in [format!("{NAME}.sys"), PROGRAM.to_owned()] {
        let [mut one, mut other] = [read(&one, &name), read(&other, &name)];
        for image in [&mut one, &mut other] {
            let parsed = Image::parse(image).unwrap();
            let without = parsed.unsigned_length();
            let checksum = parsed.checksum_range();
            image.truncate(without);
            image[checksum].fill(0);
        }
        assert!(one == other, "{name}");
    }
    let catalogs = [&one, &other].map(|package| read(package, "customdpc.cat"));
    assert_ne!(catalogs[0], catalogs[1]);
    let [one, other] = catalogs.map(|file| verify::signature(&file).unwrap().content);
    assert_eq!(one, other, "the list with its identifier and time");
}

#[test]
fn the_same_key_gives_the_same_bytes() {
    let [one, other] = [common::package(), common::package()];
    for entry in fs::read_dir(one.path()).unwrap() {
        let name = entry.unwrap().file_name();
        let name = name.to_str().unwrap();
        assert!(read(&one, name) == read(&other, name), "{name}");
    }
}

#[test]
fn signing_leaves_the_image_hash_alone() {
    let package = common::package();
    let unsigned = fs::read(common::images().join("customdpc.sys")).unwrap();
    assert!(unsigned.len().is_multiple_of(8));
    let signed = read(&package, "customdpc.sys");
    let digest = |image| Image::parse(image).unwrap().digest::<Sha256>();
    assert_eq!(digest(&signed), digest(&unsigned));
}

#[test]
fn a_flipped_byte_in_the_driver_is_noticed() {
    let package = common::package();
    flip(&package.path().join("customdpc.sys"), 0x1234);
    assert_wrong(&package, "hash of customdpc.sys is not in customdpc.cat");
    assert_wrong(&package, "customdpc.sys: the checksum in its header is wrong");
}

/// As somebody would change it who knows of checksums.
#[test]
fn a_changed_driver_with_a_right_checksum_is_noticed() {
    let package = common::package();
    let path = package.path().join("customdpc.sys");
    let mut image = fs::read(&path).unwrap();
    image[0x1234] ^= 1;
    let checksum = Image::parse(&image).unwrap().checksum_range();
    let sum = pe_checksum::compute(&image, checksum.start);
    image[checksum].copy_from_slice(&sum.to_le_bytes());
    fs::write(path, image).unwrap();
    assert_wrong(&package, "customdpc.sys: it is not the image that was signed");
}

#[test]
fn a_flipped_byte_in_the_inf_is_noticed() {
    let package = common::package();
    flip(&package.path().join("customdpc.inf"), 3);
    assert_wrong(&package, "hash of customdpc.inf is not in customdpc.cat");
}

/// In the digest's algorithm, which is not signed, in a member's digest, in the signed attributes, in the signature.
#[test]
fn a_flipped_byte_in_the_catalog_is_noticed() {
    let length = read(&common::package(), "customdpc.cat").len();
    for at in [38, 140, length - 300, length - 1] {
        let package = common::package();
        flip(&package.path().join("customdpc.cat"), at);
        assert_ne!(wrong(package.path()), Vec::<String>::new(), "byte {at}");
    }
}

#[test]
fn a_file_of_another_package_is_noticed() {
    let package = common::package();
    let other = common::package_by(&certificate::make(common::time()).unwrap());
    let take = |name: &str| fs::copy(other.path().join(name), package.path().join(name)).unwrap();
    take("customdpc.sys");
    assert_wrong(
        &package,
        "customdpc.sys: it is signed by another certificate than the catalog",
    );
    take("customdpc.cer");
    assert_wrong(
        &package,
        "customdpc.cer is not the certificate that the catalog is signed with",
    );
    fs::write(package.path().join("customdpc.pdb"), "another").unwrap();
    assert_wrong(&package, "customdpc.pdb is not the PDB of this customdpc.sys");
}

#[test]
fn an_unsigned_driver_is_noticed() {
    let package = common::package();
    fs::copy(
        common::images().join("customdpc.sys"),
        package.path().join("customdpc.sys"),
    )
    .unwrap();
    assert_wrong(&package, "customdpc.sys: the image is not signed");
}

#[test]
fn images_of_another_version_than_the_inf_says_are_noticed() {
    let directory = TempDir::new().unwrap();
    common::make_version_in(directory.path(), &common::images(), common::signer(), "9.8.7").unwrap();
    for name in [format!("{NAME}.sys"), PROGRAM.to_owned()] {
        let complaint = format!(
            "{name} is version {}.0, and the INF's DriverVer is 9.8.7.0",
            env!("CARGO_PKG_VERSION")
        );
        assert_wrong(&directory, &complaint);
    }
}

#[test]
fn what_is_missing_is_named() {
    let package = common::package();
    fs::remove_file(package.path().join("customdpc.cat")).unwrap();
    fs::remove_file(package.path().join("customdpc.sys")).unwrap();
    assert_wrong(&package, "customdpc.cat");
    assert_wrong(&package, "customdpc.sys");
    fs::remove_file(package.path().join("customdpc.inf")).unwrap();
    let error = verify::package(package.path()).unwrap_err().to_string();
    assert!(error.contains("has no .inf file"), "{error}");
}

#[test]
fn no_package_is_made_without_images() {
    let empty = TempDir::new().unwrap();
    let output = empty.path().join("package");
    let error = common::make_in(&output, empty.path(), common::signer())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("customdpc.sys") && error.contains("cargo xtask build"),
        "{error}"
    );
    assert!(!output.exists(), "nothing is left behind");
}

#[test]
fn what_is_no_image_or_is_signed_already_is_refused() {
    let images = TempDir::new().unwrap();
    for name in ["customdpc.sys", "customdpc.pdb", PROGRAM] {
        fs::copy(common::images().join(name), images.path().join(name)).unwrap();
    }
    let make = || {
        format!(
            "{:#}",
            common::make_in(images.path(), images.path(), common::signer()).unwrap_err()
        )
    };
    fs::write(images.path().join(PROGRAM), "text").unwrap();
    assert!(make().contains("cannot sign eductl.exe: this is no PE image for x64"));
    let package = common::package();
    fs::copy(package.path().join(PROGRAM), images.path().join(PROGRAM)).unwrap();
    assert!(make().contains("cannot sign eductl.exe: the image is signed already"));
}
