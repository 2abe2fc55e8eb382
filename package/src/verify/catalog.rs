//! Whether a catalog is that of its package.

use anyhow::{Context, Result, bail, ensure};
use x509_cert::Certificate;

use super::signature;
use crate::{
    catalog::{Catalog, MemberFile, releases_from},
    inf::Facts,
    oid,
};

/// Checks a catalog's signature and returns who signed.
pub fn signed(name: &str, file: &[u8]) -> Result<Certificate> {
    let signed = signature(file).with_context(|| name.to_owned())?;
    ensure!(signed.content_type == oid::CTL, "{name}: what is signed is no catalog");
    Ok(signed.signer)
}

/// A catalog and what its package's INF says.
pub struct Check<'c> {
    catalog: Catalog,
    facts: &'c Facts,
}

impl<'c> Check<'c> {
    pub fn new(file: &[u8], facts: &'c Facts) -> Result<Self> {
        Ok(Self {
            catalog: Catalog::read(file)?,
            facts,
        })
    }

    /// Both digests of a file must be there, under its name.
    pub fn lists(&self, file: &MemberFile<'_>) -> Result<String> {
        for (digest, algorithm) in file.digests()?.iter().zip(["SHA-1", "SHA-256"]) {
            let member = self.catalog.members().iter().find(|member| member.tag() == digest);
            let Some(member) = member else {
                bail!(
                    "the {algorithm} hash of {} is not in {}: it is not the file that the catalog was made for",
                    file.name,
                    self.facts.catalog
                );
            };
            let name = member.file()?;
            ensure!(
                name == file.name.to_lowercase(),
                "{} calls {} by another name: {name}",
                self.facts.catalog,
                file.name
            );
        }
        Ok(format!(
            "{} is in {}, by SHA-1 and SHA-256",
            file.name, self.facts.catalog
        ))
    }

    /// There must be no members of other files.
    pub fn nothing_else(&self, files: &[MemberFile<'_>]) -> Result<String> {
        for member in self.catalog.members() {
            let name = member.file()?;
            ensure!(
                files.iter().any(|file| file.name.to_lowercase() == name),
                "{} lists {name}, which the package does not have",
                self.facts.catalog
            );
        }
        Ok(format!("{} lists nothing else", self.facts.catalog))
    }

    /// The releases of Windows and the hardware must be those of the INF.
    pub fn is_for(&self) -> Result<String> {
        let name = &self.facts.catalog;
        let listed = self.catalog.value("OS")?.unwrap_or_default();
        let listed: Vec<&str> = listed.split(',').collect();
        for release in releases_from(self.facts.minimum_build) {
            ensure!(
                listed.contains(&release.attribute),
                "{name} is not for {}",
                release.name
            );
        }
        for (index, id) in self.facts.hardware_ids.iter().enumerate() {
            let listed = self.catalog.value(&format!("HWID{}", index + 1))?;
            ensure!(listed.as_deref() == Some(&id.to_lowercase()), "{name} is not for {id}");
        }
        Ok(format!(
            "{name} is for {}, {}",
            self.facts.hardware_ids.join(", "),
            listed.join(", ")
        ))
    }
}
