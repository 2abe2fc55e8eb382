//! Install sections: [`DDInstall`](https://learn.microsoft.com/windows-hardware/drivers/install/inf-ddinstall-section) and those that
//! are named after it.

use super::{Checker, registry::Relative};
use crate::inf::{Entry, Section, platform::decorated, same};

/// What may be in an install section and needs no look of ours.
const PLAIN: [&str; 8] = [
    "Include",
    "Needs",
    "FeatureScore",
    "DriverVer",
    "CopyINF",
    "ExcludeID",
    "LogConfig",
    "BitReg",
];

/// What Windows drivers must not do any more: take things away, or run code.
const LEGACY: [&str; 11] = [
    "DelReg",
    "DelFiles",
    "RenFiles",
    "DelProperty",
    "ProfileItems",
    "UpdateInis",
    "UpdateIniFields",
    "Ini2Reg",
    "RegisterDlls",
    "UnregisterDlls",
    "Reboot",
];

/// The sections named after an install section whose entries name further sections.
const OTHER_SUFFIXES: [&str; 7] = [
    "Wdf",
    "Interfaces",
    "Filters",
    "Events",
    "Components",
    "Software",
    "COM",
];

impl<'i> Checker<'i> {
    /// An install section and those named after it.
    pub(super) fn install(&mut self, name: &str, line: usize) {
        let Some(main) = self.decorated_section(name, "") else {
            self.error(line, 1261, format!("the model's install section [{name}] is not there"));
            return;
        };
        for entry in &main.entries {
            self.install_directive(main, entry);
        }
        if let Some(hardware) = self.decorated_section(name, ".HW") {
            for entry in &hardware.entries {
                self.install_directive(hardware, entry);
            }
        }
        match self.decorated_section(name, ".Services") {
            Some(services) => self.services(services),
            None if self.is_extension() || main.entry("Needs").is_some() => {}
            None => self.error(main.line, 1296, format!("[{}] has no .Services section", main.name)),
        }
        if let Some(installers) = self.decorated_section(name, ".CoInstallers") {
            self.error(installers.line, 1303, "co-installers are no longer supported");
        }
        for suffix in OTHER_SUFFIXES {
            if let Some(section) = self.decorated_section(name, &format!(".{suffix}")) {
                self.other(section);
            }
        }
    }

    /// The section that Windows chooses among those that differ in their decoration.
    fn decorated_section(&mut self, name: &str, suffix: &str) -> Option<&'i Section> {
        let mut chosen = None;
        for name in decorated(name) {
            let name = format!("{name}{suffix}");
            self.mark_used(&name);
            chosen = chosen.or_else(|| self.inf.section(&name));
        }
        chosen
    }

    fn install_directive(&mut self, section: &Section, entry: &Entry) {
        let key = entry.key.as_deref().unwrap_or_default();
        if same(key, "CopyFiles") {
            self.copy_files(entry);
        } else if same(key, "AddReg") {
            self.add_reg(entry, Relative::Device);
        } else if same(key, "AddProperty") {
            for name in &entry.values {
                self.referenced(entry.line, key, name);
            }
        } else if LEGACY.iter().any(|legacy| same(key, legacy)) {
            self.error(entry.line, 1300, format!("{key} is not for Windows drivers"));
        } else if !PLAIN.iter().any(|plain| same(key, plain)) {
            // Some setup classes have directives of their own.
            let what = format!("the directive {key:?} of [{}] is none for all classes", section.name);
            self.warning(entry.line, 1290, what);
        }
    }

    /// A section whose entries have the names of sections among their values.
    fn other(&mut self, section: &Section) {
        let inf = self.inf;
        for entry in &section.entries {
            for name in &entry.values {
                let Some(named) = inf.section(name) else { continue };
                self.mark_used(name);
                for entry in &named.entries {
                    if entry.has_key("AddReg") {
                        self.add_reg(entry, Relative::Device);
                    }
                }
            }
        }
    }

    /// Whether the INF adds to what another one installs.
    pub(super) fn is_extension(&self) -> bool {
        let class = self.inf.section("Version").and_then(|version| version.entry("Class"));
        class.is_some_and(|class| same(class.value(0), "Extension"))
    }
}
