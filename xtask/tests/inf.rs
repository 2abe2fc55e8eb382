//! Whether `inf/customdpc.inx` hangs together: what a section names exists, and nothing exists that is not named. Windows has
//! `InfVerif` for the rest, which `cargo make` runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// One line of a section: `key = value, value`, or values alone.
#[derive(Debug)]
struct Line {
    key: Option<String>,
    values: Vec<String>,
}

/// An INF file.
struct Inf(BTreeMap<String, Vec<Line>>);

impl Inf {
    fn read() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../inf/customdpc.inx");
        Self::parse(&fs::read_to_string(path).expect("the template is there"))
    }

    fn parse(text: &str) -> Self {
        let mut sections = BTreeMap::new();
        let mut name = None;
        for line in text.lines().map(without_comment).filter(|line| !line.is_empty()) {
            if let Some(section) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                assert!(
                    sections.insert(section.to_owned(), Vec::new()).is_none(),
                    "[{section}] is there twice"
                );
                name = Some(section.to_owned());
            } else {
                let section = name.as_ref().and_then(|name| sections.get_mut(name));
                section.expect("a line belongs to a section").push(Line::parse(&line));
            }
        }
        Self(sections)
    }

    fn section(&self, name: &str) -> &[Line] {
        self.0.get(name).unwrap_or_else(|| panic!("there is no [{name}]"))
    }

    /// The values of a key that is there once.
    fn values(&self, section: &str, key: &str) -> &[String] {
        let mut lines = self
            .section(section)
            .iter()
            .filter(|line| line.key.as_deref() == Some(key));
        let line = lines.next().unwrap_or_else(|| panic!("[{section}] has no {key}"));
        assert!(lines.next().is_none(), "[{section}] has {key} twice");
        &line.values
    }

    fn value(&self, section: &str, key: &str) -> &str {
        match self.values(section, key) {
            [value] => value,
            values => panic!("[{section}] {key} has {} values", values.len()),
        }
    }

    /// The section of models that the manufacturer's entry names, with its decoration.
    fn models(&self) -> String {
        let [models, decoration] = self.values("Manufacturer", "%Manufacturer%") else {
            panic!("the manufacturer has one target platform");
        };
        format!("{models}.{decoration}")
    }
}

impl Line {
    fn parse(line: &str) -> Self {
        let split = |text: &str| split_outside_quotes(text, ',');
        match split_outside_quotes(line, '=').as_slice() {
            [values] => Self {
                key: None,
                values: split(values),
            },
            [key, ..] => Self {
                key: Some(key.clone()),
                values: split(line.split_once('=').expect("there is a '='").1),
            },
            [] => unreachable!("empty lines are left out"),
        }
    }
}

fn without_comment(line: &str) -> String {
    let first = split_outside_quotes(line, ';').swap_remove(0);
    first.trim().to_owned()
}

fn split_outside_quotes(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for character in text.chars() {
        quoted ^= character == '"';
        if character == separator && !quoted {
            parts.push(String::new());
        } else {
            parts.last_mut().expect("there is a first part").push(character);
        }
    }
    parts.iter().map(|part| part.trim().to_owned()).collect()
}

/// The names between percent signs; directory identifiers, which are numbers, are none of [Strings].
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    text.split('%')
        .skip(1)
        .step_by(2)
        .filter(|token| token.parse::<u32>().is_err())
}

#[test]
fn the_version_section_is_complete() {
    let inf = Inf::read();
    assert_eq!(inf.value("Version", "Signature"), "\"$WINDOWS NT$\"");
    assert_eq!(inf.value("Version", "Class"), "System");
    assert_eq!(
        inf.value("Version", "ClassGuid"),
        "{4d36e97d-e325-11ce-bfc1-08002be10318}"
    );
    assert_eq!(inf.value("Version", "CatalogFile"), "customdpc.cat");
    assert_eq!(inf.value("Version", "PnpLockdown"), "1");
    assert_eq!(inf.value("Version", "DriverVer"), "", "stampinf sets it");
}

#[test]
fn every_string_is_defined_and_used() {
    let inf = Inf::read();
    let defined: BTreeSet<&str> = inf
        .section("Strings")
        .iter()
        .filter_map(|line| line.key.as_deref())
        .collect();
    let mut used = BTreeSet::new();
    for (section, lines) in &inf.0 {
        for line in lines.iter().filter(|_| section != "Strings") {
            used.extend(line.key.iter().chain(&line.values).flat_map(|text| tokens(text)));
        }
    }
    assert_eq!(used, defined);
}

#[test]
fn the_model_is_edu_on_the_architecture_that_stampinf_fills_in() {
    let inf = Inf::read();
    let models = inf.models();
    assert!(models.starts_with("Models.NT$ARCH$.10.0..."), "{models}");
    assert_eq!(
        inf.values(&models, "%DeviceDescription%"),
        ["Install", edu::pci::HARDWARE_ID]
    );
}

#[test]
fn what_is_copied_is_on_the_disk_and_goes_to_the_driver_store() {
    const DRIVER_STORE: &str = "13";
    let inf = Inf::read();
    let copied = inf.section(inf.value("Install.NT", "CopyFiles"));
    assert_eq!(copied.len(), 1);
    let file = &copied[0].values[0];
    assert_eq!(file, "customdpc.sys");
    let disk = inf.value("SourceDisksFiles", file);
    assert!(!inf.value("SourceDisksNames", disk).is_empty());
    assert_eq!(inf.value("DestinationDirs", "DefaultDestDir"), DRIVER_STORE);
}

#[test]
fn the_service_is_a_kernel_driver_in_the_driver_store() {
    let inf = Inf::read();
    let [name, flags, section] = inf.values("Install.NT.Services", "AddService") else {
        panic!("AddService has a name, flags and a section");
    };
    assert_eq!(name, "customdpc");
    assert_eq!(flags, "%SPSVCINST_ASSOCSERVICE%");
    assert_eq!(inf.value("Strings", "SPSVCINST_ASSOCSERVICE"), "0x00000002");
    assert_eq!(inf.value(section, "ServiceType"), "1");
    assert_eq!(inf.value(section, "StartType"), "3");
    assert_eq!(inf.value(section, "ServiceBinary"), "%13%\\customdpc.sys");
}

#[test]
fn the_device_is_for_system_and_administrators_and_has_no_messages() {
    let inf = Inf::read();
    let lines = inf.section(inf.value("Install.NT.HW", "AddReg"));
    let setting = |name: &str| {
        let line = lines
            .iter()
            .find(|line| line.values.get(2).is_some_and(|value| value == name));
        line.unwrap_or_else(|| panic!("there is no setting {name}")).values[3..].join(",")
    };
    assert_eq!(setting("Security"), ",\"D:P(A;;GA;;;SY)(A;;GA;;;BA)\"");
    assert_eq!(setting("MSISupported"), "0x00010003,0");
}

#[test]
fn no_section_is_left_over() {
    let inf = Inf::read();
    let models = inf.models();
    let mut named: BTreeSet<String> = [
        "Version",
        "SourceDisksNames",
        "SourceDisksFiles",
        "DestinationDirs",
        "Strings",
    ]
    .into_iter()
    .chain([
        "Manufacturer",
        "Install.NT",
        "Install.NT.HW",
        "Install.NT.Services",
        &models,
    ])
    .map(str::to_owned)
    .collect();
    named.insert(inf.value("Install.NT", "CopyFiles").to_owned());
    named.insert(inf.value("Install.NT.HW", "AddReg").to_owned());
    named.insert(inf.values("Install.NT.Services", "AddService")[2].clone());
    let there: BTreeSet<String> = inf.0.keys().cloned().collect();
    assert_eq!(there, named);
}
