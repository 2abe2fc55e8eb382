//! `ntsim imports`: what drivers import, and which of it is modelled.

use std::{
    fmt::Write as _,
    fs,
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use ntsim::{
    ddi::Registry,
    image::{Image, ImportName},
    machine,
};

use crate::arguments::ImportOptions;

/// The exit code when something is imported that is not modelled.
const UNMODELLED: u8 = 1;

/// What one driver imports.
struct Driver {
    name: String,
    imports: Vec<String>,
}

/// Carries out the command.
pub(crate) fn imports(options: &ImportOptions) -> Result<ExitCode> {
    let registry = machine::exports();
    let mut out = io::stdout().lock();
    let mut complete = true;
    for path in &options.drivers {
        let driver = read(path)?;
        let (text, all) = table(&driver, &registry);
        out.write_all(text.as_bytes())?;
        complete &= all;
    }
    if let Some(list) = &options.list {
        let drivers = read_list(list)?;
        let (text, all) = summary(&drivers, &registry);
        out.write_all(text.as_bytes())?;
        complete &= all;
    }
    Ok(ExitCode::from(if complete { 0 } else { UNMODELLED }))
}

fn read(path: &Path) -> Result<Driver> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let image = Image::parse(&name, &bytes)?;
    let imports = image.imports().iter();
    let imports = imports.map(|import| match &import.name {
        ImportName::Name(name) => format!("{}!{name}", import.module),
        other => format!("{}!{other}", import.module),
    });
    Ok(Driver {
        name,
        imports: imports.collect(),
    })
}

/// The drivers of a list: one a line, its imports' names with blanks between.
fn read_list(path: &Path) -> Result<Vec<Driver>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    Ok(lines
        .map(|(line, number)| Driver {
            name: format!("line {number}"),
            imports: line.split_whitespace().map(str::to_owned).collect(),
        })
        .collect())
}

/// Whether the model has what an import names. Modules do not matter: the model's names are unique among them.
fn is_modelled(registry: &Registry, import: &str) -> bool {
    let name = import.rsplit_once('!').map_or(import, |(_, name)| name);
    registry.find(name).is_some()
}

/// One driver's imports, each with whether it is modelled; and whether all are.
fn table(driver: &Driver, registry: &Registry) -> (String, bool) {
    let mut imports: Vec<&String> = driver.imports.iter().collect();
    imports.sort();
    let mut text = format!("{}\n", driver.name);
    let mut missing = 0;
    for import in &imports {
        let modelled = is_modelled(registry, import);
        missing += usize::from(!modelled);
        let mark = if modelled { "modelled" } else { "NOT MODELLED" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {mark:<12}  {import}");
    }
    let _ = writeln!(text, "    {} imports, {missing} not modelled", imports.len());
    if missing > 0 {
        text.push_str("    The driver can be loaded. A run stops when one that is not modelled is called.\n");
    }
    (text, missing == 0)
}

/// How many drivers of a list import nothing that is not modelled, and what the others lack.
fn summary(drivers: &[Driver], registry: &Registry) -> (String, bool) {
    let mut text = String::new();
    let mut complete = 0;
    for driver in drivers {
        let missing: Vec<&str> = driver
            .imports
            .iter()
            .map(String::as_str)
            .filter(|import| !is_modelled(registry, import))
            .collect();
        if missing.is_empty() {
            complete += 1;
        } else {
            let _ = writeln!(
                text,
                "{}: {} not modelled: {}",
                driver.name,
                missing.len(),
                missing.join(" ")
            );
        }
    }
    let _ = writeln!(
        text,
        "{complete} of {} drivers import modelled names only",
        drivers.len()
    );
    (text, complete == drivers.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn driver(imports: &[&str]) -> Driver {
        Driver {
            name: "a.sys".to_owned(),
            imports: imports.iter().map(|&import| import.to_owned()).collect(),
        }
    }

    #[test]
    fn an_import_that_is_not_modelled_is_marked() {
        let registry = machine::exports();
        let (text, complete) = table(
            &driver(&["ntoskrnl.exe!IofCallDriver", "ntoskrnl.exe!NoSuchRoutine"]),
            &registry,
        );
        assert!(!complete);
        assert!(
            text.contains("    modelled      ntoskrnl.exe!IofCallDriver\n"),
            "{text}"
        );
        assert!(
            text.contains("    NOT MODELLED  ntoskrnl.exe!NoSuchRoutine\n"),
            "{text}"
        );
        assert!(text.contains("2 imports, 1 not modelled"), "{text}");
    }

    #[test]
    fn a_list_is_summed_up() {
        let drivers = [driver(&["IofCallDriver"]), driver(&["IofCallDriver", "NoSuchRoutine"])];
        let (text, complete) = summary(&drivers, &machine::exports());
        assert!(!complete);
        assert!(text.contains("1 not modelled: NoSuchRoutine"), "{text}");
        assert!(text.ends_with("1 of 2 drivers import modelled names only\n"), "{text}");
    }
}
