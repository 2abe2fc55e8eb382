//! Puts a package together.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use der::Encode;

use crate::{
    authenticode,
    catalog::{Catalog, Contents, MemberFile, releases_from},
    inf::{self, Facts, Inf, Stamp},
    signer::Signer,
    time::Timestamp,
};

/// What a package is made from.
pub struct Sources<'s> {
    /// The directory of the unsigned images and their PDBs.
    pub images: &'s Path,
    /// The template of the INF. The package's files are named after it.
    pub template: &'s Path,
    /// Programs that are signed and put into the package's directory. The INF does not know them.
    pub programs: &'s [&'s str],
    /// The driver's version.
    pub version: &'s str,
    /// The time of the source.
    pub time: Timestamp,
    /// Who signs.
    pub signer: &'s Signer,
}

/// Makes the package in `output` and returns its files' names.
///
/// # Errors
/// When something is missing or malformed, or the INF has errors.
pub fn make(sources: &Sources<'_>, output: &Path) -> Result<Vec<String>> {
    let name = sources.template.file_stem().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no name", sources.template.display()))?;
    let inf_text = stamped_inf(sources, name)?;
    let facts = Facts::of(&Inf::parse(&inf_text))?;

    let inf_name = format!("{name}.inf");
    let mut files = vec![(inf_name, inf_text.into_bytes())];
    for file in &facts.files {
        let contents = read_built(sources.images, file)?;
        files.push((file.clone(), signed_if_image(file, contents, sources.signer)?));
    }
    let catalog = Catalog::new(&Contents {
        files: files
            .iter()
            .map(|(name, contents)| MemberFile { name, contents })
            .collect(),
        hardware_ids: facts.hardware_ids,
        releases: releases_from(facts.minimum_build),
        time: sources.time,
    })?;

    files.push((facts.catalog, catalog.sign(sources.signer)?));
    files.push((format!("{name}.cer"), sources.signer.certificate().to_der()?));
    let pdb = format!("{}.pdb", name.replace('-', "_"));
    let symbols = read_built(sources.images, &pdb)?;
    files.push((pdb, symbols));
    for program in sources.programs {
        let contents = read_built(sources.images, program)?;
        files.push((
            (*program).to_owned(),
            signed_if_image(program, contents, sources.signer)?,
        ));
    }
    write(output, &files)?;
    Ok(files.into_iter().map(|(name, _)| name).collect())
}

fn stamped_inf(sources: &Sources<'_>, name: &str) -> Result<String> {
    let template = sources.template.display();
    let contents = fs::read(sources.template).with_context(|| format!("cannot read {template}"))?;
    let text = inf::decode(&contents).with_context(|| template.to_string())?;
    let stamp = Stamp {
        version: sources.version,
        time: sources.time,
        catalog: &format!("{name}.cat"),
    };
    let stamped = inf::stamp(&text, &stamp).with_context(|| template.to_string())?;
    let findings = inf::check(&Inf::parse(&stamped));
    if findings.iter().any(inf::Finding::is_error) {
        let findings: Vec<String> = findings
            .iter()
            .map(|finding| format!("{template}: {finding}"))
            .collect();
        bail!("the INF has errors\n{}", findings.join("\n"));
    }
    Ok(stamped)
}

fn signed_if_image(name: &str, contents: Vec<u8>, signer: &Signer) -> Result<Vec<u8>> {
    if !MemberFile::is_image(name) {
        return Ok(contents);
    }
    authenticode::sign(contents, signer).with_context(|| format!("cannot sign {name}"))
}

fn read_built(directory: &Path, name: &str) -> Result<Vec<u8>> {
    let path: PathBuf = directory.join(name);
    fs::read(&path).with_context(|| format!("cannot read {}; `cargo xtask build` makes it", path.display()))
}

fn write(directory: &Path, files: &[(String, Vec<u8>)]) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for (name, contents) in files {
        let path = directory.join(name);
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
