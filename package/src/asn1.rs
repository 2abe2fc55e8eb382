//! Small pieces of ASN.1 that several formats have.

use anyhow::Result;
use cms::signed_data::SignedAttributes;
use der::{
    Any, Encode, Tag, TagNumber,
    asn1::{Null, ObjectIdentifier, SetOfVec},
};
use x509_cert::{attr::Attribute, spki::AlgorithmIdentifierOwned};

/// An algorithm whose parameters are NULL, as all of PKCS #1 and the digests are written.
pub fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid,
        parameters: Some(Null.into()),
    }
}

/// `[number] contents`, the contents being encoded already.
pub fn context(number: u32, constructed: bool, contents: Vec<u8>) -> Result<Any> {
    let tag = Tag::ContextSpecific {
        constructed,
        number: TagNumber(number),
    };
    Ok(Any::new(tag, contents)?)
}

/// An attribute with one value.
pub fn attribute(oid: ObjectIdentifier, value: Any) -> Result<Attribute> {
    let values = SetOfVec::try_from(vec![value])?;
    Ok(Attribute { oid, values })
}

/// `value` as something of any type.
pub fn any(value: &impl Encode) -> Result<Any> {
    use der::Decode;
    Ok(Any::from_der(&value.to_der()?)?)
}

/// The one value of the attribute `oid`.
pub fn attribute_value(attributes: &SignedAttributes, oid: ObjectIdentifier) -> Option<&Any> {
    let attribute = attributes.iter().find(|attribute| attribute.oid == oid)?;
    match attribute.values.as_slice() {
        [value] => Some(value),
        _ => None,
    }
}
