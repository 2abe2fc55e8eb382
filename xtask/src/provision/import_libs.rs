//! Import libraries of the kernel.
//!
//! Rust's bindings name four libraries: `ntoskrnl`, `hal`, `wmilib` and `BufferOverflowFastFailK`. The first two are generated
//! here from the names that mingw-w64's libraries of the same modules list, and the names of [`NEWER_NTOSKRNL`].

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use implib::{Flavor, ImportLibrary, MachineType};
use object::read::archive::ArchiveFile;

use crate::workspace::Workspace;

/// Where Debian's mingw-w64-x86-64-dev puts its import libraries.
pub const MINGW_LIB: &str = "/usr/x86_64-w64-mingw32/lib";

/// Exports of ntoskrnl.exe that mingw-w64's list does not have, but the WDK's import library does.
const NEWER_NTOSKRNL: [&str; 13] = [
    "ExAllocatePool2", // Windows 10, version 2004
    "IoCallDriverStackSafe",
    "MmMapIoSpaceEx", // Windows 10
    "MmSetUserExceptionCallout",
    "PsChargeProcessCpuCycles",
    "SeAuditTransactionStateChange",
    "SeSetAuthorizationCallbacks",
    "WheaRegisterErrSrcInitializer",
    "__GSHandlerCheck",
    "__GSHandlerCheckCommon",
    "__GSHandlerCheck_SEH",
    "__chkstk", // called by every function with a frame of a page or more
    "_invalid_parameter",
];

/// Exports of wmilib.sys.
const WMILIB: [&str; 3] = ["WmiCompleteRequest", "WmiFireEvent", "WmiSystemControl"];

/// Makes the libraries that do not exist yet and returns their directory.
///
/// # Errors
///
/// When mingw-w64's libraries cannot be read or the new ones not written.
pub fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    let directory = workspace.provisioned().join("lib");
    let [ntoskrnl, hal] = ["libntoskrnl.a", "libhal.a"].map(|name| Path::new(MINGW_LIB).join(name));
    let made_from = format!(
        "{} {} {NEWER_NTOSKRNL:?} {WMILIB:?}",
        size_of_file(&ntoskrnl)?,
        size_of_file(&hal)?
    );
    let stamp = directory.join("made-from");
    if fs::read_to_string(&stamp).is_ok_and(|before| before == made_from) {
        return Ok(directory);
    }
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;

    let mut ntoskrnl = exports_of(&ntoskrnl)?;
    ntoskrnl.extend(NEWER_NTOSKRNL.map(str::to_owned));
    let hal = exports_of(&hal)?;
    let wmilib = WMILIB.map(str::to_owned).into();

    // C code's checks of stack cookies are in this one; Rust makes none.
    fs::write(directory.join("BufferOverflowFastFailK.lib"), b"!<arch>\n")?;
    write(&directory.join("wmilib.lib"), "WMILIB.SYS", &wmilib)?;
    write(&directory.join("hal.lib"), "HAL.dll", &hal)?;
    write(&directory.join("ntoskrnl.lib"), "ntoskrnl.exe", &ntoskrnl)?;
    fs::write(&stamp, made_from)?;
    Ok(directory)
}

fn size_of_file(path: &Path) -> Result<u64> {
    let metadata = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(metadata.len())
}

/// The names that an import library in GNU's format imports.
fn exports_of(library: &Path) -> Result<BTreeSet<String>> {
    let data = fs::read(library).with_context(|| format!("cannot read {}", library.display()))?;
    let archive = ArchiveFile::parse(&*data).with_context(|| format!("cannot parse {}", library.display()))?;
    let symbols = archive
        .symbols()?
        .with_context(|| format!("{} has no symbol table", library.display()))?;
    let mut names = BTreeSet::new();
    for symbol in symbols {
        if let Some(name) = std::str::from_utf8(symbol?.name())?.strip_prefix("__imp_") {
            names.insert(name.to_owned());
        }
    }
    Ok(names)
}

fn write(library: &Path, module: &str, exports: &BTreeSet<String>) -> Result<()> {
    let mut definition = format!("LIBRARY {module}\nEXPORTS\n");
    for export in exports {
        let _ = writeln!(definition, "{export}");
    }
    let mut made = Vec::new();
    ImportLibrary::new(&definition, MachineType::AMD64, Flavor::Msvc)?.write_to(&mut Cursor::new(&mut made))?;
    check(library, &made, exports)?;
    fs::write(library, made).with_context(|| format!("cannot write {}", library.display()))
}

/// Every export must have both of its symbols: the pointer, for code that says `dllimport`, and the routine, for code that does not, such as a
/// compiler's own calls.
fn check(library: &Path, made: &[u8], exports: &BTreeSet<String>) -> Result<()> {
    let archive = ArchiveFile::parse(made)?;
    let mut symbols = BTreeSet::new();
    for symbol in archive.symbols()?.context("an import library has a symbol table")? {
        symbols.insert(symbol?.name().to_owned());
    }
    for export in exports {
        for symbol in [export.clone(), format!("__imp_{export}")] {
            ensure!(
                symbols.contains(symbol.as_bytes()),
                "{} does not have the symbol {symbol}",
                library.display()
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_compilers_call_by_themselves_can_be_linked() {
        for name in ["__chkstk", "__GSHandlerCheck", "__GSHandlerCheck_SEH"] {
            assert!(NEWER_NTOSKRNL.contains(&name), "{name}");
        }
    }

    #[test]
    fn a_library_without_an_export_is_found_out() {
        let directory = std::env::temp_dir();
        let library = directory.join(format!("customdpc-import-library-{}.lib", std::process::id()));
        let exports = ["ExRaiseStatus", "__chkstk"].map(str::to_owned).into();
        write(&library, "ntoskrnl.exe", &exports).unwrap();
        let made = fs::read(&library).unwrap();
        fs::remove_file(&library).unwrap();
        let more = ["ExRaiseStatus", "__chkstk", "KeBugCheckEx"].map(str::to_owned).into();
        assert!(check(&library, &made, &exports).is_ok());
        assert!(check(&library, &made, &more).is_err());
    }
}
