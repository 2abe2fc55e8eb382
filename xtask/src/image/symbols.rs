//! The PDB beside an image.

use std::{collections::BTreeSet, fs::File, path::Path};

use anyhow::{Context, Result};
use object::Object;
use pdb2::{AddressMap, FallibleIterator, PDB, SymbolData};

use super::{Check, Finding, Image};

/// The function that the kernel calls first.
pub const ENTRY: &str = "DriverEntry";

/// What a PDB says about an image.
#[derive(Debug, Clone)]
pub struct Symbols {
    /// Identifies the image that the PDB was linked with.
    pub guid: [u8; 16],
    /// Names of the functions that are in the image, demangled.
    pub functions: BTreeSet<String>,
    /// The address of `DriverEntry`, relative to the image's base.
    pub driver_entry: Option<u32>,
}

impl Symbols {
    /// Reads the PDB at `path`.
    ///
    /// # Errors
    ///
    /// When it cannot be read or parsed.
    pub fn read(path: &Path) -> Result<Self> {
        let mut pdb = PDB::open(File::open(path)?)?;
        let guid = pdb.pdb_information()?.guid.to_bytes_le();
        let mut symbols = Self {
            guid,
            functions: BTreeSet::new(),
            driver_entry: None,
        };
        let addresses = pdb.address_map()?;
        let globals = pdb.global_symbols()?;
        symbols.collect(&mut globals.iter(), &addresses)?;
        let debug = pdb.debug_information()?;
        let mut modules = debug.modules()?;
        while let Some(module) = modules.next()? {
            if let Some(info) = pdb.module_info(&module)? {
                symbols.collect(&mut info.symbols()?, &addresses)?;
            }
        }
        Ok(symbols)
    }

    fn collect(&mut self, symbols: &mut pdb2::SymbolIter<'_>, addresses: &AddressMap<'_>) -> Result<()> {
        while let Some(symbol) = symbols.next()? {
            let (name, place) = match symbol.parse() {
                Ok(SymbolData::Public(public)) if public.function => (public.name, public.offset),
                Ok(SymbolData::Procedure(procedure)) => (procedure.name, procedure.offset),
                // Other kinds of symbols, those unknown to the library among them, name no functions.
                _ => continue,
            };
            if name.as_bytes() == ENTRY.as_bytes() {
                self.driver_entry = place.to_rva(addresses).map(|rva| rva.0);
            }
            self.functions
                .insert(format!("{:#}", rustc_demangle::demangle(&name.to_string())));
        }
        Ok(())
    }
}

/// The file name of the PDB that the image names.
///
/// # Errors
///
/// When the debug directory is malformed.
pub fn pdb_name(image: &Image<'_>) -> Result<Option<String>> {
    let reference = image.file.pdb_info().context("cannot read the debug directory")?;
    Ok(reference.and_then(|reference| {
        let path = String::from_utf8_lossy(reference.path()).into_owned();
        path.rsplit(['/', '\\']).next().map(str::to_owned)
    }))
}

pub fn check(image: &Image<'_>, symbols: &Symbols) -> Result<Option<Finding>> {
    let finding = |what: &str| {
        Some(Finding {
            check: Check::Symbols,
            what: what.to_owned(),
        })
    };
    let Some(reference) = image.file.pdb_info().context("cannot read the debug directory")? else {
        return Ok(finding("the image names no PDB"));
    };
    if reference.path().contains(&b'/') || reference.path().contains(&b'\\') {
        return Ok(finding("the image names its PDB with a path of the build machine"));
    }
    if reference.guid() != symbols.guid {
        return Ok(finding("the PDB belongs to another build of the image"));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    fn check_with(data: &[u8], symbols: &Symbols) -> Option<String> {
        check(&Image::parse(data).unwrap(), symbols).unwrap().map(|it| it.what)
    }

    #[test]
    fn the_sample_is_right() {
        assert_eq!(check_with(&sample::image(), &sample::symbols()), None);
    }

    #[test]
    fn the_pdb_of_another_build_is_found() {
        let mut symbols = sample::symbols();
        symbols.guid[0] ^= 1;
        assert!(
            check_with(&sample::image(), &symbols)
                .unwrap()
                .contains("another build")
        );
    }

    #[test]
    fn an_image_without_pdb_is_found() {
        const TYPE_MISC: u32 = 4;
        let mut data = sample::image();
        sample::put_u32(&mut data, sample::CODEVIEW_ENTRY_TYPE, TYPE_MISC);
        assert!(check_with(&data, &sample::symbols()).unwrap().contains("no PDB"));
    }

    #[test]
    fn the_pdb_is_looked_for_by_the_name_in_the_image() {
        let data = sample::image();
        let name = pdb_name(&Image::parse(&data).unwrap()).unwrap();
        assert_eq!(name.as_deref(), Some("sample.pdb"));
    }

    #[test]
    fn a_path_to_the_pdb_is_found() {
        let mut data = sample::image();
        data[sample::PDB_NAME] = b'/';
        assert!(check_with(&data, &sample::symbols()).unwrap().contains("path"));
    }
}
