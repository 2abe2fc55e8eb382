//! What `inf/customdpc.inx` says about this very driver. Whether it hangs together is for the INF check.

mod common;

use std::fs;

use driver_package::inf::{Facts, Inf, Stamp, stamp};

fn inf() -> Inf {
    let template = fs::read_to_string(common::template()).unwrap();
    let stamp_with = Stamp {
        version: env!("CARGO_PKG_VERSION"),
        time: common::time(),
        catalog: "customdpc.cat",
    };
    Inf::parse(&stamp(&template, &stamp_with).unwrap())
}

fn value(inf: &Inf, section: &str, key: &str, index: usize) -> String {
    let entry = inf.section(section).and_then(|section| section.entry(key));
    let entry = entry.unwrap_or_else(|| panic!("[{section}] has no {key}"));
    inf.expand(entry.value(index))
}

#[test]
fn the_device_is_edu_on_windows_10_version_2004_and_later() {
    let facts = Facts::of(&inf()).unwrap();
    assert_eq!(facts.hardware_ids, [edu::pci::HARDWARE_ID]);
    assert_eq!(facts.minimum_build, 19041);
    assert_eq!(facts.files, ["customdpc.sys"]);
    assert_eq!(facts.catalog, "customdpc.cat");
}

#[test]
fn the_version_is_that_of_the_workspace() {
    let inf = inf();
    assert_eq!(value(&inf, "Version", "DriverVer", 0), "01/01/2026");
    assert_eq!(
        value(&inf, "Version", "DriverVer", 1),
        format!("{}.0", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(value(&inf, "Version", "Class", 0), "System");
}

#[test]
fn the_service_is_a_kernel_driver_that_starts_with_its_device() {
    let inf = inf();
    let section = value(&inf, "Install.NT.Services", "AddService", 2);
    assert_eq!(value(&inf, "Install.NT.Services", "AddService", 0), "customdpc");
    assert_eq!(value(&inf, "Install.NT.Services", "AddService", 1), "0x00000002");
    assert_eq!(value(&inf, &section, "ServiceType", 0), "1");
    assert_eq!(value(&inf, &section, "StartType", 0), "3");
    assert_eq!(value(&inf, &section, "ServiceBinary", 0), "%13%\\customdpc.sys");
}

/// The key, the flags and the value of a setting in the section that `AddReg` of another section names.
fn setting(inf: &Inf, of: &str, name: &str) -> [String; 3] {
    let section = value(inf, of, "AddReg", 0);
    let entries = &inf.section(&section).unwrap().entries;
    let entry = entries.iter().find(|entry| entry.value(2) == name);
    let entry = entry.unwrap_or_else(|| panic!("there is no setting {name}"));
    [1, 3, 4].map(|index| entry.value(index).to_owned())
}

#[test]
fn the_device_is_for_system_and_administrators_and_has_no_messages() {
    let inf = inf();
    let [_, _, security] = setting(&inf, "Install.NT.HW", "Security");
    assert_eq!(security, "D:P(A;;GA;;;SY)(A;;GA;;;BA)");
    let [_, flags, supported] = setting(&inf, "Install.NT.HW", "MSISupported");
    assert_eq!([flags.as_str(), supported.as_str()], ["0x00010003", "0"]);
}

/// Both ways of the documentation: the device's, and that of Windows up to 11, version 23H2.
#[test]
fn dma_is_remapped() {
    let inf = inf();
    assert_eq!(
        setting(&inf, "Install.NT.HW", "RemappingSupported"),
        ["DMA Management", "0x00010001", "1"]
    );
    let service = value(&inf, "Install.NT.Services", "AddService", 2);
    assert_eq!(
        setting(&inf, &service, "DmaRemappingCompatible"),
        ["Parameters", "0x00010001", "1"]
    );
}
