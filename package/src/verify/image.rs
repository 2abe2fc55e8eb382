//! Whether a signed image is whole, and a PDB its driver's.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use object::{Object, read::pe::PeFile64};
use sha2::Sha256;
use version_resource::{VersionInfo, dotted};
use x509_cert::Certificate;

use super::{read, signature};
use crate::{catalog::MemberFile, image::Image, oid, spc::IndirectData};

/// Checks the signature in an image, which must be by `signer` if that one is known.
pub fn check(name: &str, contents: &[u8], signer: Option<&Certificate>) -> Result<String> {
    let of_image = || -> Result<()> {
        let image = Image::parse(contents)?;
        ensure!(image.has_right_checksum(), "the checksum in its header is wrong");
        let found = signature(image.signature()?)?;
        ensure!(
            found.content_type == oid::SPC_INDIRECT_DATA,
            "what is signed is no digest of an image"
        );
        let content: IndirectData = found.content.decode_as().context("the signed digest is malformed")?;
        ensure!(
            content.data.kind == oid::SPC_PE_IMAGE_DATA && content.digest.algorithm.oid == oid::SHA_256,
            "what is signed is no SHA-256 digest of an image"
        );
        ensure!(
            content.digest.digest.as_bytes() == image.digest::<Sha256>(),
            "it is not the image that was signed"
        );
        ensure!(
            signer.is_none_or(|signer| *signer == found.signer),
            "it is signed by another certificate than the catalog"
        );
        Ok(())
    };
    of_image().with_context(|| name.to_owned())?;
    Ok(format!("{name} is signed"))
}

/// Checks that an image's version resource has the version of the INF's `DriverVer`.
pub fn version(name: &str, contents: &[u8], driver_version: &str) -> Result<String> {
    let info = VersionInfo::read(contents).with_context(|| name.to_owned())?;
    let shown = dotted(info.file_version);
    ensure!(
        shown == driver_version,
        "{name} is version {shown}, and the INF's DriverVer is {driver_version}"
    );
    Ok(format!("{name} is version {shown}, as the INF says"))
}

/// Checks that each driver's PDB is there, and belongs to it.
pub fn symbols(directory: &Path, files: &[String]) -> Result<String> {
    let mut found = Vec::new();
    for name in files.iter().filter(|name| MemberFile::is_image(name)) {
        let contents = read(&directory.join(name))?;
        let image = PeFile64::parse(&*contents).with_context(|| name.clone())?;
        let info = image.pdb_info()?.with_context(|| format!("{name} names no PDB"))?;
        let path = String::from_utf8_lossy(info.path());
        let pdb = path.rsplit(['\\', '/']).next().unwrap_or_default().to_owned();
        let symbols = read(&directory.join(&pdb))?;
        ensure!(
            symbols.windows(info.guid().len()).any(|bytes| bytes == info.guid()),
            "{pdb} is not the PDB of this {name}"
        );
        found.push(format!("{pdb} is the PDB of {name}"));
    }
    Ok(found.join(", "))
}
