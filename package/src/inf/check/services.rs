//! [`AddService`](https://learn.microsoft.com/windows-hardware/drivers/install/inf-addservice-directive) and the sections it names.

use super::{Checker, number, registry::Relative};
use crate::inf::{Entry, Section, same};

/// The service is the device's function driver.
const SPSVCINST_ASSOCSERVICE: u32 = 2;

/// A service that nobody may start.
const DISABLED: u32 = 4;

/// What a service's section may have.
const DIRECTIVES: [&str; 18] = [
    "DisplayName",
    "Description",
    "ServiceType",
    "StartType",
    "ErrorControl",
    "ServiceBinary",
    "StartName",
    "AddReg",
    "BitReg",
    "LoadOrderGroup",
    "Dependencies",
    "Security",
    "RequiredPrivileges",
    "ServiceSidType",
    "DelayedAutoStart",
    "AddTrigger",
    "BootFlags",
    "FailureActions",
];

impl Checker<'_> {
    pub(super) fn services(&mut self, services: &Section) {
        let mut associated = 0;
        for entry in &services.entries {
            let key = entry.key.as_deref().unwrap_or_default();
            if same(key, "AddService") {
                let flags = self.add_service(entry);
                associated += usize::from(flags & SPSVCINST_ASSOCSERVICE != 0);
            } else if same(key, "DelService") {
                self.error(entry.line, 1300, "DelService is not for Windows drivers");
            } else if !same(key, "Include") && !same(key, "Needs") {
                let what = format!("[{}] cannot have the directive {key:?}", services.name);
                self.error(entry.line, 1290, what);
            }
        }
        if associated > 1 {
            let what = format!("[{}] has {associated} services for one device", services.name);
            self.error(services.line, 1211, what);
        }
        if associated == 0 && services.entry("Needs").is_none() && !self.is_extension() {
            let what = format!(
                "[{}] has no service with the flag 2, which says that it is the device's",
                services.name
            );
            self.error(services.line, 1296, what);
        }
    }

    /// The service's flags.
    fn add_service(&mut self, entry: &Entry) -> u32 {
        let text = self.inf.expand(entry.value(1));
        let flags = match text.as_str() {
            "" => 0,
            text => number(text).unwrap_or_else(|| {
                self.error(entry.line, 1082, format!("the flags {text:?} are no number"));
                // Not known; one error is enough.
                SPSVCINST_ASSOCSERVICE
            }),
        };
        // A device without a name for its service needs no driver.
        if entry.value(0).is_empty() {
            if flags & SPSVCINST_ASSOCSERVICE == 0 {
                self.error(entry.line, 1253, "AddService names no service");
            }
            return flags;
        }
        if let Some(service) = self.referenced(entry.line, "AddService", entry.value(2)) {
            self.service(service, flags);
        }
        if entry.values.len() > 3
            && let Some(log) = self.referenced(entry.line, "AddService", entry.value(3))
        {
            for entry in log.entries_of("AddReg") {
                self.add_reg(entry, Relative::EventLog);
            }
        }
        flags
    }

    fn service(&mut self, service: &Section, flags: u32) {
        for entry in &service.entries {
            let key = entry.key.as_deref().unwrap_or_default();
            if same(key, "DelReg") {
                self.error(entry.line, 1300, "DelReg is not for Windows drivers");
            } else if !DIRECTIVES.iter().any(|directive| same(key, directive)) {
                let what = format!("[{}] cannot have the directive {key:?}", service.name);
                self.error(entry.line, 1290, what);
            }
        }
        self.one_of(service, "ServiceType", &[1, 2, 0x10, 0x20, 0x50, 0x60]);
        self.one_of(service, "ErrorControl", &[0, 1, 2, 3]);
        let start = self.one_of(service, "StartType", &[0, 1, 2, 3, DISABLED]);
        if start == Some(DISABLED) && flags & SPSVCINST_ASSOCSERVICE != 0 {
            self.warning(service.line, 1251, "the device's own service is disabled");
        }
        for entry in service.entries_of("AddReg") {
            self.add_reg(entry, Relative::Service);
        }
        self.binary(service);
    }

    /// The value of a number that must be there.
    fn one_of(&mut self, service: &Section, key: &str, allowed: &[u32]) -> Option<u32> {
        let Some(entry) = service.entry(key) else {
            self.error(service.line, 1289, format!("[{}] has no {key}", service.name));
            return None;
        };
        let text = self.inf.expand(entry.value(0));
        let value = number(&text);
        if value.is_none_or(|value| !allowed.contains(&value)) {
            self.error(entry.line, 1014, format!("{key} cannot be {text:?}"));
        }
        value
    }

    fn binary(&mut self, service: &Section) {
        let Some(entry) = service.entry("ServiceBinary") else {
            self.error(service.line, 1289, format!("[{}] has no ServiceBinary", service.name));
            return;
        };
        let path = self.inf.expand(entry.value(0));
        let under = path.strip_prefix('%').and_then(|rest| rest.split_once("%\\"));
        let Some((directory, file)) = under.filter(|(directory, _)| number(directory).is_some()) else {
            let what = format!("the ServiceBinary {path:?} is not below a directory identifier, as %13%\\driver.sys");
            self.error(entry.line, 2085, what);
            return;
        };
        self.isolated(entry.line, directory, &path);
        let file = file.rsplit('\\').next().unwrap_or(file).to_ascii_lowercase();
        if !self.copied.contains(&file) {
            self.error(
                entry.line,
                2084,
                format!("no CopyFiles brings the ServiceBinary {file}"),
            );
        }
    }
}
