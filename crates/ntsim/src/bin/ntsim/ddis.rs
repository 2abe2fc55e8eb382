//! `ntsim ddis`: the kernel routines that are modelled.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Result;
use ntsim::ddi::{Registry, documentation};

/// Prints each modelled routine on a line: its name, its IRQL contract, its documentation.
pub(crate) fn ddis() -> Result<ExitCode> {
    let registry = Registry::modelled();
    let mut out = io::stdout().lock();
    let names = registry.names().filter(|name| documentation::is_export(name));
    for ddi in names.filter_map(|name| registry.find(name)).map(|(_, ddi)| ddi) {
        let contract = ddi.contract_text();
        let page = documentation::page(ddi.name);
        writeln!(out, "{:<44}  {contract:<32}  {page}", ddi.name)?;
    }
    Ok(ExitCode::SUCCESS)
}
