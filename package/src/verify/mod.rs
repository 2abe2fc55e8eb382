//! Checks a package: what Windows would refuse it for.
//!
//! Whether the certificate is trusted only the machine knows that the package shall be installed on.

mod catalog;
mod image;
mod signature;

pub use signature::{Signed, signature};

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use der::Encode;
use x509_cert::Certificate;

use crate::{
    catalog::MemberFile,
    inf::{self, Facts, Inf},
};

/// What was checked, and what is wrong.
#[derive(Debug, Default)]
pub struct Report {
    /// What is right.
    pub right: Vec<String>,
    /// What is wrong.
    pub wrong: Vec<String>,
}

impl Report {
    fn note(&mut self, result: Result<String>) {
        match result {
            Ok(right) => self.right.push(right),
            Err(error) => self.wrong.push(format!("{error:#}")),
        }
    }
}

/// Checks the package in `directory`.
///
/// # Errors
/// When there is none: no INF, or more than one, or one that cannot be read. What is wrong with a package is in the report.
pub fn package(directory: &Path) -> Result<Report> {
    let inf_path = only_file(directory, "inf")?;
    let inf_name = inf_path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let contents = read(&inf_path)?;
    let inf = Inf::parse(&inf::decode(&contents).with_context(|| inf_name.to_owned())?);
    let mut report = Report::default();
    for finding in inf::check(&inf).into_iter().filter(inf::Finding::is_error) {
        report.wrong.push(format!("{inf_name}: {finding}"));
    }
    if report.wrong.is_empty() {
        report
            .right
            .push(format!("{inf_name} keeps the rules for Windows drivers"));
    }
    let facts = Facts::of(&inf).with_context(|| inf_name.to_owned())?;

    let mut files = vec![(inf_name.to_owned(), contents)];
    for name in &facts.files {
        match read(&directory.join(name)) {
            Ok(contents) => files.push((name.clone(), contents)),
            Err(error) => report.wrong.push(format!("{error:#}")),
        }
    }
    let signer = catalog(directory, &facts, &files, &mut report);

    let images = files_with(directory, "sys")?
        .into_iter()
        .chain(files_with(directory, "exe")?);
    for path in images {
        let contents = read(&path)?;
        report.note(image::check(&name_of(&path), &contents, signer.as_ref()));
        report.note(image::version(&name_of(&path), &contents, &facts.driver_version));
    }
    if let Some(signer) = signer {
        report.note(certificate(directory, &signer));
    }
    report.note(image::symbols(directory, &facts.files));
    Ok(report)
}

/// Checks the catalog and returns who signed it.
fn catalog(directory: &Path, facts: &Facts, files: &[(String, Vec<u8>)], report: &mut Report) -> Option<Certificate> {
    let contents = match read(&directory.join(&facts.catalog)) {
        Ok(contents) => contents,
        Err(error) => {
            report.wrong.push(format!("{error:#}"));
            return None;
        }
    };
    let signature = catalog::signed(&facts.catalog, &contents);
    let signer = signature.as_ref().ok().cloned();
    report.note(signature.map(|_| format!("{} is signed", facts.catalog)));
    let files: Vec<MemberFile<'_>> = files
        .iter()
        .map(|(name, contents)| MemberFile { name, contents })
        .collect();
    match catalog::Check::new(&contents, facts) {
        Ok(check) => {
            for file in &files {
                report.note(check.lists(file));
            }
            report.note(check.nothing_else(&files));
            report.note(check.is_for());
        }
        Err(error) => report.wrong.push(format!("{}: {error:#}", facts.catalog)),
    }
    signer
}

/// The certificate file must be that of who signed.
fn certificate(directory: &Path, signer: &Certificate) -> Result<String> {
    let path = only_file(directory, "cer")?;
    ensure!(
        read(&path)? == signer.to_der()?,
        "{} is not the certificate that the catalog is signed with",
        name_of(&path)
    );
    Ok(format!("{} is the signer's", name_of(&path)))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn only_file(directory: &Path, extension: &str) -> Result<PathBuf> {
    match files_with(directory, extension)?.as_slice() {
        [file] => Ok(file.clone()),
        [] => bail!("{} has no .{extension} file", directory.display()),
        _ => bail!("{} has more than one .{extension} file", directory.display()),
    }
}

fn files_with(directory: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|own| own.eq_ignore_ascii_case(extension)) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
