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
    machine::{Binding, DriverImage},
};

use crate::arguments::ImportOptions;

/// The exit code when something is imported that is not modelled.
const UNMODELLED: u8 = 1;

/// What one driver imports: each name with its module, if that is known, and whether the model has it.
struct Driver {
    name: String,
    framework: Option<&'static str>,
    imports: Vec<(String, Binding)>,
}

/// Carries out the command.
pub(crate) fn imports(options: &ImportOptions) -> Result<ExitCode> {
    let registry = Registry::modelled();
    let mut out = io::stdout().lock();
    let mut complete = true;
    for path in &options.drivers {
        let driver = read(path, &registry)?;
        let (text, all) = table(&driver);
        out.write_all(text.as_bytes())?;
        complete &= all;
    }
    if let Some(list) = &options.list {
        let drivers = read_list(list, &registry)?;
        let (text, all) = summary(&drivers);
        out.write_all(text.as_bytes())?;
        complete &= all;
    }
    Ok(ExitCode::from(if complete { 0 } else { UNMODELLED }))
}

fn read(path: &Path, registry: &Registry) -> Result<Driver> {
    let image = DriverImage::open(path)?;
    let imports = image.imports(registry).into_iter();
    Ok(Driver {
        name: image.image().name().to_owned(),
        framework: image.framework().map(|framework| framework.what),
        imports: imports.map(|import| (import.to_string(), import.binding)).collect(),
    })
}

/// The drivers of a list: one a line, its imports' names with blanks between. Modules do not matter: names are unique among them.
fn read_list(path: &Path, registry: &Registry) -> Result<Vec<Driver>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
    Ok(lines
        .map(|(line, number)| named(format!("line {number}"), line, registry))
        .collect())
}

/// A driver that imports the names in `line`.
fn named(name: String, line: &str, registry: &Registry) -> Driver {
    let imports = line.split_whitespace().map(|import| {
        let binding = match registry.find(import) {
            Some(_) => Binding::Modelled,
            None => Binding::NotModelled,
        };
        (import.to_owned(), binding)
    });
    Driver {
        name,
        framework: None,
        imports: imports.collect(),
    }
}

impl Driver {
    /// What it imports that is not modelled.
    fn missing(&self) -> Vec<&str> {
        let missing = self
            .imports
            .iter()
            .filter(|(_, binding)| *binding == Binding::NotModelled);
        missing.map(|(import, _)| import.as_str()).collect()
    }
}

/// One driver's imports, each with whether it is modelled; and whether all are.
fn table(driver: &Driver) -> (String, bool) {
    let mut imports: Vec<&(String, Binding)> = driver.imports.iter().collect();
    imports.sort_by_key(|(import, _)| import);
    let mut text = format!("{}\n", driver.name);
    for (import, binding) in &imports {
        let mark = match binding {
            Binding::Modelled => "modelled",
            Binding::NotModelled => "NOT MODELLED",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {mark:<12}  {import}");
    }
    let missing = driver.missing().len();
    let _ = writeln!(text, "    {} imports, {missing} not modelled", imports.len());
    if let Some(framework) = driver.framework {
        let _ = writeln!(text, "    It is {framework}, and ntsim models the kernel alone.");
    }
    if missing > 0 {
        text.push_str("    The driver can be loaded. A run stops when one that is not modelled is called.\n");
    }
    (text, missing == 0)
}

/// How many drivers of a list import nothing that is not modelled, and what the others lack.
fn summary(drivers: &[Driver]) -> (String, bool) {
    let mut text = String::new();
    let mut complete = 0;
    for driver in drivers {
        let missing = driver.missing();
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

    fn driver(line: &str) -> Driver {
        named("a.sys".to_owned(), line, &Registry::modelled())
    }

    #[test]
    fn an_import_that_is_not_modelled_is_marked() {
        let (text, complete) = table(&driver("NoSuchRoutine IofCallDriver"));
        assert!(!complete);
        assert!(text.contains("    modelled      IofCallDriver\n"), "{text}");
        assert!(text.contains("    NOT MODELLED  NoSuchRoutine\n"), "{text}");
        assert!(text.contains("2 imports, 1 not modelled"), "{text}");
    }

    #[test]
    fn a_list_is_summed_up() {
        let drivers = [driver("IofCallDriver"), driver("IofCallDriver NoSuchRoutine")];
        let (text, complete) = summary(&drivers);
        assert!(!complete);
        assert!(text.contains("1 not modelled: NoSuchRoutine"), "{text}");
        assert!(text.ends_with("1 of 2 drivers import modelled names only\n"), "{text}");
    }
}
