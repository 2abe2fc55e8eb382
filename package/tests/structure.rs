//! The structure of what is signed, field by field: that of genuine catalogs and of images signed by signtool. What is expected lies
//! in `structure/`, as text; digests, times and the list's identifier are left out.

mod common;

use std::fs;

use cms::{content_info::ContentInfo, signed_data::SignedData};
use common::{NAME, describe::describe};
use der::{AnyRef, Decode, Encode, Sequence};
use driver_package::image::Image;

/// The signed data in a file.
fn signed_data(file: &[u8]) -> SignedData {
    let mut reader = der::SliceReader::new(file).unwrap();
    let info = ContentInfo::decode(&mut reader).unwrap();
    assert_eq!(info.content_type.to_string(), "1.2.840.113549.1.7.2");
    info.content.decode_as().unwrap()
}

/// A certificate trust list, its parts as they are.
#[derive(Sequence)]
struct List<'l> {
    usage: AnyRef<'l>,
    identifier: AnyRef<'l>,
    time: AnyRef<'l>,
    algorithm: AnyRef<'l>,
    members: Vec<AnyRef<'l>>,
    extensions: AnyRef<'l>,
}

fn assert_structure(description: &str, expected: &str) {
    assert_eq!(description, expected, "\n{description}");
}

#[test]
fn the_catalog_is_as_genuine_ones_are() {
    let package = common::package();
    let file = fs::read(package.path().join(format!("{NAME}.cat"))).unwrap();
    let signed = signed_data(&file);
    assert_eq!(
        signed.encap_content_info.econtent_type.to_string(),
        "1.3.6.1.4.1.311.10.1"
    );
    let content = signed.encap_content_info.econtent.as_ref().unwrap().to_der().unwrap();
    let list = List::from_der(&content).unwrap();

    let before_members = [list.usage, list.identifier, list.time, list.algorithm];
    let description: String = before_members
        .iter()
        .map(|part| describe(&part.to_der().unwrap()))
        .collect();
    assert_structure(&description, include_str!("structure/list.txt"));
    let extensions = describe(&list.extensions.to_der().unwrap());
    assert_structure(&extensions, include_str!("structure/extensions.txt"));

    let mut members: Vec<String> = list.members.iter().map(|it| describe(&it.to_der().unwrap())).collect();
    members.sort();
    assert_structure(&members.concat(), include_str!("structure/members.txt"));
}

#[test]
fn members_are_in_the_order_of_their_tags() {
    let package = common::package();
    let file = fs::read(package.path().join(format!("{NAME}.cat"))).unwrap();
    let catalog = driver_package::catalog::Catalog::read(&file).unwrap();
    assert!(catalog.members().is_sorted_by_key(driver_package::catalog::Member::tag));
}

#[test]
fn signatures_are_as_signtool_makes_them() {
    let package = common::package();
    let catalog = fs::read(package.path().join(format!("{NAME}.cat"))).unwrap();
    let image = fs::read(package.path().join(format!("{NAME}.sys"))).unwrap();
    let in_image = Image::parse(&image).unwrap().signature().unwrap();

    for (file, attributes) in [
        (&*catalog, include_str!("structure/catalog-attributes.txt")),
        (in_image, include_str!("structure/image-attributes.txt")),
    ] {
        let message = signed_data(file);
        let version = describe(&message.version.to_der().unwrap());
        let digests = describe(&message.digest_algorithms.to_der().unwrap());
        assert_structure(&(version + &digests), include_str!("structure/signed-data.txt"));
        let [signer] = message.signer_infos.0.as_slice() else {
            panic!("there is one signer")
        };
        let version = describe(&signer.version.to_der().unwrap());
        let digest = describe(&signer.digest_alg.to_der().unwrap());
        let algorithm = describe(&signer.signature_algorithm.to_der().unwrap());
        assert_structure(&(version + &digest + &algorithm), include_str!("structure/signer.txt"));
        let signed_attributes = describe(&signer.signed_attrs.as_ref().unwrap().to_der().unwrap());
        assert_structure(&signed_attributes, attributes);
    }
    let content = signed_data(in_image).encap_content_info;
    assert_eq!(content.econtent_type.to_string(), "1.3.6.1.4.1.311.2.1.4");
    let content = describe(&content.econtent.unwrap().to_der().unwrap());
    assert_structure(&content, include_str!("structure/image-content.txt"));
}
