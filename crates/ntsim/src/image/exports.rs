//! What an image exports: an export driver is what other drivers import from.

use std::collections::BTreeMap;

use object::{
    pe,
    read::pe::{ExportTarget, PeFile64},
};

use super::ImportName;

/// The export table. Forwarders are left out: no driver has one.
#[derive(Debug, Clone, Default)]
pub(super) struct Exports {
    by_name: BTreeMap<String, u32>,
    by_ordinal: BTreeMap<u16, u32>,
}

impl Exports {
    pub(super) fn find(&self, name: &ImportName) -> Option<u32> {
        match name {
            ImportName::Name(name) => self.by_name.get(name).copied(),
            ImportName::Ordinal(ordinal) => self.by_ordinal.get(ordinal).copied(),
        }
    }
}

pub(super) fn read(file: &PeFile64<'_>) -> Result<Exports, String> {
    let fail = |error: object::read::Error| format!("export table: {error}");
    let mut exports = Exports::default();
    if file.data_directory(pe::IMAGE_DIRECTORY_ENTRY_EXPORT).is_none() {
        return Ok(exports);
    }
    let Some(table) = file.export_table().map_err(fail)? else {
        return Ok(exports);
    };
    for export in table.exports().map_err(fail)? {
        let ExportTarget::Address(rva) = export.target else {
            continue;
        };
        exports.by_ordinal.insert(export.ordinal.0, rva);
        if let Some(name) = export.name {
            exports.by_name.insert(String::from_utf8_lossy(name).into_owned(), rva);
        }
    }
    Ok(exports)
}
