//! INFs that are wrong in one thing each: the shipped one with a line changed. The check must find that, on that line, and nothing else.

mod common;

use std::fs;

use driver_package::inf::{self, Finding, Inf, Stamp};

/// The shipped INF.
fn shipped() -> String {
    let template = fs::read(common::template()).unwrap();
    let stamp = Stamp {
        version: "1.2.3",
        time: common::time(),
        catalog: "customdpc.cat",
    };
    inf::stamp(&inf::decode(&template).unwrap(), &stamp).unwrap()
}

fn findings(text: &str) -> Vec<Finding> {
    inf::check(&Inf::parse(text))
}

/// The line, counted from 1, that begins with `start`.
fn line_of(text: &str, start: &str) -> usize {
    let line = text.lines().position(|line| line.starts_with(start));
    line.unwrap_or_else(|| panic!("no line begins with {start:?}")) + 1
}

/// The shipped INF with `new` for the line that begins with `start`, and where that line is.
fn changed(start: &str, new: &str) -> (String, usize) {
    let text = shipped();
    let line = line_of(&text, start);
    let lines: Vec<&str> = text
        .lines()
        .enumerate()
        .map(|(index, old)| if index + 1 == line { new } else { old })
        .collect();
    (lines.join("\r\n"), line)
}

/// Changing the line that begins with `start` into `new` gives one error, with that code and text, on the line that begins with
/// `reported`.
fn assert_error(start: &str, new: &str, code: u16, reported: &str, text: &str) {
    let (inf, _) = changed(start, new);
    let errors: Vec<Finding> = findings(&inf).into_iter().filter(Finding::is_error).collect();
    let [error] = errors.as_slice() else {
        panic!("{new:?}: not one error but {errors:#?}")
    };
    assert_eq!(error.code, code, "{error}");
    assert_eq!(error.line, line_of(&inf, reported), "{error}");
    assert!(error.what.contains(text), "{error}");
}

/// As [`assert_error`], on the changed line itself.
fn assert_error_there(start: &str, new: &str, code: u16, text: &str) {
    assert_error(start, new, code, new, text);
}

#[test]
fn the_shipped_one_is_right() {
    assert_eq!(findings(&shipped()), []);
}

#[test]
fn the_template_itself_is_not() {
    let template = fs::read_to_string(common::template()).unwrap();
    let codes: Vec<u16> = findings(&template).iter().map(|finding| finding.code).collect();
    assert!(codes.contains(&1274), "the architecture is not filled in: {codes:?}");
    assert!(codes.contains(&1218), "the date is not filled in: {codes:?}");
}

#[test]
fn what_the_version_section_lacks() {
    let section = "[Version]";
    assert_error("Signature", "Signature = \"$CHICAGO$\"", 1001, section, "$WINDOWS NT$");
    assert_error("Class ", "", 1234, section, "Class");
    assert_error("ClassGuid", "ClassGuid = 4d36e97d", 1010, section, "GUID in braces");
    let usb = "ClassGuid = {36fc9e60-c465-11cf-8056-444553540000}";
    assert_error("ClassGuid", usb, 1280, section, "the class System has the GUID");
    assert_error(
        "Provider ",
        "Provider = \"Microsoft Corporation\"",
        1204,
        section,
        "cannot be Microsoft",
    );
    assert_error("CatalogFile", "", 1233, section, "CatalogFile");
    assert_error_there("CatalogFile", "CatalogFile = sub\\a.cat", 1214, "name.cat");
    assert_error("DriverVer", "", 1233, section, "DriverVer");
    assert_error_there("DriverVer", "DriverVer = 2026-01-01,1.2.3.4", 1218, "MM/DD/YYYY");
    assert_error_there("DriverVer", "DriverVer = 01/01/2026,1.2.3", 1217, "four numbers");
    assert_error_there("DriverVer", "DriverVer = 01/01/2026,0.0.0.0", 1217, "four numbers");
    assert_error("PnpLockdown", "", 1324, section, "PnpLockdown");
}

#[test]
fn what_models_lack() {
    let manufacturer = "%Manufacturer%";
    assert_error_there(manufacturer, "%Manufacturer% =", 1011, "no section of models");
    let (inf, line) = changed(manufacturer, "%Manufacturer% = Models, NTx64.10.0...19041");
    let found = findings(&inf);
    assert!(
        found
            .iter()
            .any(|it| it.code == 1287 && it.line == line && it.what.contains("no architecture"))
    );
    let (inf, line) = changed(manufacturer, "%Manufacturer% = Models");
    assert!(findings(&inf).iter().any(|it| it.code == 2010 && it.line == line));
    let (inf, line) = changed(manufacturer, "%Manufacturer% = Models, NTamd64.10.0...22000");
    assert!(
        findings(&inf)
            .iter()
            .any(|it| it.code == 1203 && it.line == line && it.what.contains("22000"))
    );

    let model = "%DeviceDescription% = ";
    assert_error_there(model, "%DeviceDescription% = Install", 1006, "no hardware identifier");
    assert_error_there(
        model,
        "%DeviceDescription% = Instal, PCI\\VEN_1234",
        1261,
        "[Instal] is not there",
    );
    let again = "%DiskName% = Install, pci\\ven_1234&dev_11e8";
    let shipped = "%DeviceDescription% = Install, PCI\\VEN_1234&DEV_11E8";
    assert_error(model, &format!("{shipped}\r\n{again}"), 1294, again, "twice");
}

#[test]
fn what_install_sections_cannot_have() {
    let copy = "CopyFiles = Install.CopyFiles";
    assert_error_there(copy, "CopyFiles = Install.CopyFiles, Other", 1203, "[Other]");
    let added = |line: &str| format!("{copy}\r\n{line}");
    let after = |line: &str, code, text: &str| assert_error(copy, &added(line), code, line, text);
    after("DelFiles = Install.CopyFiles", 1300, "not for Windows drivers");
    after("RegisterDlls = Install.CopyFiles", 1300, "not for Windows drivers");
    let (inf, _) = changed(copy, &added("CopyFile = Install.CopyFiles"));
    assert!(
        findings(&inf)
            .iter()
            .any(|it| it.code == 1290 && it.what.contains("\"CopyFile\""))
    );
    let installers = "[Install.NT.CoInstallers]";
    assert_error(
        "[Install.NT.HW]",
        &format!("{installers}\r\n[Install.NT.HW]"),
        1303,
        installers,
        "no longer supported",
    );
}

#[test]
fn what_files_lack() {
    assert_error(
        "customdpc.sys = 1",
        "customdpc.sys = 2",
        1273,
        "customdpc.sys = 2",
        "disk 2",
    );
    assert_error(
        "customdpc.sys = 1",
        "customdpc.sys =",
        1008,
        "customdpc.sys =",
        "without a file or a disk",
    );
    let renamed = "other.sys = 1";
    let (inf, _) = changed("customdpc.sys = 1", renamed);
    assert!(
        findings(&inf)
            .iter()
            .any(|it| it.code == 1230 && it.what.contains("customdpc.sys is not in"))
    );
    let catalog = "customdpc.sys = 1\r\ncustomdpc.cat = 1";
    assert_error(
        "customdpc.sys = 1",
        catalog,
        1213,
        "customdpc.cat = 1",
        "only CatalogFile",
    );
    assert_error("DefaultDestDir", "", 1275, "[Install.CopyFiles]", "[DestinationDirs]");
    assert_error_there("DefaultDestDir", "DefaultDestDir = 12", 1322, "driver store");
    let missing = "DefaultDestDir = 13\r\nOther = 13";
    assert_error("DefaultDestDir", missing, 1203, "Other = 13", "[Other]");
}

#[test]
fn what_a_service_lacks() {
    let service = "[Service]";
    let add = "AddService = ";
    assert_error_there(add, "AddService = customdpc, two, Service", 1082, "no number");
    assert_error(
        add,
        "AddService = customdpc, 0, Service",
        1296,
        "[Install.NT.Services]",
        "the flag 2",
    );
    let (inf, line) = changed(add, "AddService = customdpc, %SPSVCINST_ASSOCSERVICE%, Servic");
    assert!(findings(&inf).iter().any(|it| it.code == 1203 && it.line == line));
    assert_error("ServiceType", "", 1289, service, "ServiceType");
    assert_error_there("StartType", "StartType = 9", 1014, "cannot be");
    assert_error("ServiceBinary", "", 1289, service, "ServiceBinary");
    assert_error_there(
        "ServiceBinary",
        "ServiceBinary = C:\\customdpc.sys",
        2085,
        "directory identifier",
    );
    assert_error_there(
        "ServiceBinary",
        "ServiceBinary = %12%\\customdpc.sys",
        1322,
        "driver store",
    );
    assert_error_there("ServiceBinary", "ServiceBinary = %13%\\other.sys", 2084, "no CopyFiles");
    // A device that needs no driver has a service without a name.
    let (inf, _) = changed(add, "AddService = , 2");
    assert!(findings(&inf).iter().all(|finding| !finding.is_error()));
    assert_error(
        add,
        "AddService = , 0, Service\r\nAddService = a, 2, Service",
        1253,
        "AddService = , 0",
        "no service",
    );
    let twice = "AddService = other, 2, Service\r\nAddService = customdpc, %SPSVCINST_ASSOCSERVICE%, Service";
    assert_error(add, twice, 1211, "[Install.NT.Services]", "2 services");
    let (inf, _) = changed("[Install.NT.Services]", "[Install.NT.Service]");
    assert!(findings(&inf).iter().any(|it| it.code == 1296));
}

#[test]
fn what_the_registry_section_cannot_have() {
    let line = "HKR,, TimeoutMs";
    assert_error_there(
        line,
        "HKLM, SOFTWARE\\customdpc, TimeoutMs, 0x00010001, 1",
        1320,
        "only HKR is",
    );
    assert_error_there(line, "HKX,, TimeoutMs, 0x00010001, 1", 1224, "no root");
    assert_error_there(line, "HKR,, TimeoutMs, REG_DWORD, 1", 1082, "no number");
    assert_error_there(line, "HKR,, TimeoutMs, 0x00010001, long", 1268, "32-bit number");
    assert_error_there(line, "HKR,, TimeoutMs, 0x00010009, 1", 1265, "appended");
    assert_error_there(line, "HKR,, TimeoutMs, 0x00000001, 1ff", 1267, "no byte");
    assert_error_there(line, "HKR,, TimeoutMs, 0x00050001, 1", 1264, "no type");
    // A service's own key is Windows', but for Parameters.
    let service = "[Service]\r\nAddReg = Service.AddReg\r\n[Service.AddReg]\r\n";
    let below = |key: &str| format!("{service}HKR, {key}, Value, 0x00010001, 1\r\n[Service.Rest]");
    let (inf, _) = changed("[Service]", &below("Other"));
    assert!(findings(&inf).iter().any(|it| it.code == 1323));
    let (inf, _) = changed("[Service]", &below("Parameters"));
    assert!(findings(&inf).iter().all(|it| it.code != 1323));
}

#[test]
fn strings_and_sections_that_are_missing_or_left_over() {
    assert_error_there(
        "Provider    =",
        "Provider = %Nobody%",
        1235,
        "%Nobody% is not in [Strings]",
    );
    let only_warning = |start: &str, new: &str, reported: &str| {
        let (inf, _) = changed(start, new);
        let found = findings(&inf);
        let [warning] = found.as_slice() else {
            panic!("{found:#?}")
        };
        assert_eq!(
            (warning.code, warning.line),
            (2083, line_of(&inf, reported)),
            "{warning}"
        );
        assert!(!warning.is_error());
    };
    only_warning("[Strings]", "[Strings]\r\nNobody = nothing", "Nobody");
    only_warning("[Strings]", "[Nothing]\r\n[Strings]", "[Nothing]");
}

#[test]
fn what_cannot_be_read() {
    let (inf, line) = changed("[Strings]", "[version]\r\n[Strings]");
    assert!(findings(&inf).iter().any(|it| it.code == 1209 && it.line == line));
    let (inf, line) = changed("DiskName", "DiskName = \"a disk");
    assert!(findings(&inf).iter().any(|it| it.code == 1002 && it.line == line));
    let (inf, line) = changed("[SourceDisksNames]", "[SourceDisksNames");
    assert!(findings(&inf).iter().any(|it| it.code == 1002 && it.line == line));
    assert_eq!(findings("").first().map(|it| it.code), Some(1001));
}
