//! A PE image's embedded signature.

use anyhow::Result;
use sha2::Sha256;

use crate::{
    asn1,
    image::{self, Image},
    oid, signed_data,
    signer::Signer,
    spc::{IndirectData, Place},
};

/// Signs an image. Its Authenticode hash is that of the result, which may be a few bytes longer than the unsigned image.
///
/// # Errors
/// When `image` is no PE image for x64, or is signed already.
pub fn sign(mut image: Vec<u8>, signer: &Signer) -> Result<Vec<u8>> {
    image::pad(&mut image);
    let digest = Image::parse(&image)?.digest::<Sha256>();
    let content = IndirectData::of_image(&digest, Place::Image)?;
    let signature = signed_data::sign(oid::SPC_INDIRECT_DATA, asn1::any(&content)?, signer)?;
    image::embed(&mut image, &signature)?;
    Ok(image)
}
