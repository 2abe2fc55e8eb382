//! Whether anything in the image can panic.
//!
//! A panic in a driver is a bug check, so none may be reachable. Two independent facts show it: the PDB names no function of
//! the panic machinery (the linker drops what nothing refers to), and the image does not import `KeBugCheckEx`, which the
//! panic handler of wdk-panic calls and nothing else here does.

use anyhow::Result;

use super::{Check, Finding, Image, imports, symbols::Symbols};

/// Functions that exist to panic, by the start of their demangled names. All of the library's panicking entries
/// (`unwrap`'s and `expect`'s failures, slice indexing, arithmetic overflow) end in `core::panicking`.
const PANIC_MACHINERY: [&str; 4] = [
    "core::panicking::",
    "rust_begin_unwind",
    "__rustc::rust_begin_unwind",
    "wdk_panic::",
];

/// What the panic handler calls.
const HANDLER_IMPORT: &str = "KeBugCheckEx";

pub fn check(image: &Image<'_>, symbols: &Symbols) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    let mut find = |what| {
        findings.push(Finding {
            check: Check::Panic,
            what,
        });
    };
    if !symbols.functions.contains("DriverEntry") {
        find("the PDB does not even name DriverEntry: whether something can panic cannot be told".to_owned());
    }
    for function in &symbols.functions {
        if PANIC_MACHINERY.iter().any(|start| function.starts_with(start)) {
            find(format!("a panic is reachable: the image contains {function}"));
        }
    }
    if imports::all(image)?.iter().any(|(_, name)| name == HANDLER_IMPORT) {
        find(format!("a panic is reachable: the image imports {HANDLER_IMPORT}"));
    }
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::sample;

    fn check_with(data: &[u8], symbols: &Symbols) -> Vec<String> {
        let findings = check(&Image::parse(data).unwrap(), symbols).unwrap();
        findings.into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn the_sample_is_right() {
        assert!(check_with(&sample::image(), &sample::symbols()).is_empty());
    }

    #[test]
    fn each_part_of_the_machinery_is_found() {
        for function in [
            "core::panicking::panic_fmt",
            "core::panicking::panic_bounds_check",
            "__rustc::rust_begin_unwind",
            "wdk_panic::kernel_panic_handler::rust_ke_bugcheck",
        ] {
            let mut symbols = sample::symbols();
            symbols.functions.insert(function.to_owned());
            let findings = check_with(&sample::image(), &symbols);
            assert_eq!(findings.len(), 1, "{function}");
            assert!(findings[0].contains(function));
        }
    }

    #[test]
    fn the_handlers_import_is_found() {
        let mut data = sample::image();
        let name = b"KeBugCheckEx\0";
        data[sample::IMPORT_NAME..sample::IMPORT_NAME + name.len()].copy_from_slice(name);
        assert_eq!(
            check_with(&data, &sample::symbols()),
            ["a panic is reachable: the image imports KeBugCheckEx"]
        );
    }

    #[test]
    fn a_pdb_that_names_nothing_proves_nothing() {
        let mut symbols = sample::symbols();
        symbols.functions.clear();
        assert!(check_with(&sample::image(), &symbols)[0].contains("cannot be told"));
    }
}
