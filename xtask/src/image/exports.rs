//! What Windows exports to drivers.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context, Result};
use object::read::{
    archive::ArchiveFile,
    coff::{ImportFile, ImportName},
};

/// Names of functions and variables, each with the module that exports it.
#[derive(Debug, Default)]
pub struct KnownExports(BTreeSet<(String, String)>);

impl KnownExports {
    /// Reads the import libraries (`*.lib`) in `directory`.
    ///
    /// # Errors
    ///
    /// When one cannot be read or parsed.
    pub fn read(directory: &Path) -> Result<Self> {
        let mut known = Self::default();
        for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "lib") {
                known
                    .add_library(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
            }
        }
        Ok(known)
    }

    fn add_library(&mut self, path: &Path) -> Result<()> {
        let data = fs::read(path)?;
        let archive = ArchiveFile::parse(&*data)?;
        for member in archive.members() {
            // The other members of an import library are objects that hold its descriptors.
            if let Ok(import) = ImportFile::parse(member?.data(&*data)?)
                && let ImportName::Name(name) = import.import()
            {
                self.insert(&String::from_utf8_lossy(import.dll()), &String::from_utf8_lossy(name));
            }
        }
        Ok(())
    }

    /// Adds one export. The module's name is that of its file, in any case.
    pub fn insert(&mut self, module: &str, name: &str) {
        self.0.insert((module.to_ascii_lowercase(), name.to_owned()));
    }

    /// Whether `module` exports `name`.
    pub fn contains(&self, module: &str, name: &str) -> bool {
        self.0.contains(&(module.to_ascii_lowercase(), name.to_owned()))
    }
}
