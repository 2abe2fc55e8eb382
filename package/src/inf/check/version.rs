//! The [`Version`](https://learn.microsoft.com/windows-hardware/drivers/install/inf-version-section) section.

use super::Checker;
use crate::inf::{Section, same};

/// Setup classes by Microsoft that drivers without a class of their own are in, and the one of extensions.
const CLASSES: [(&str, &str); 3] = [
    ("System", "{4d36e97d-e325-11ce-bfc1-08002be10318}"),
    ("USB", "{36fc9e60-c465-11cf-8056-444553540000}"),
    ("Extension", "{e2f84ce7-8efa-411c-aa69-97454ca4cb57}"),
];

/// The class of Microsoft's samples, which no driver may have.
const SAMPLE_CLASS: &str = "{78a1c341-4539-11d3-b88d-00c04fad5171}";

impl Checker<'_> {
    pub(super) fn version(&mut self) {
        self.mark_used("Version");
        let Some(version) = self.inf.section("Version") else {
            self.error(1, 1001, "there is no [Version]");
            return;
        };
        let signature = version.entry("Signature").map_or("", |entry| entry.value(0));
        if !same(signature, "$WINDOWS NT$") {
            self.error(version.line, 1001, "the Signature is not \"$WINDOWS NT$\"");
        }
        self.class(version);
        self.provider(version);
        self.catalog(version);
        self.driver_ver(version);
        if version.entry("PnpLockdown").is_none_or(|entry| entry.value(0) != "1") {
            self.error(
                version.line,
                1324,
                "PnpLockdown is not 1: other programs could replace the files",
            );
        }
    }

    fn class(&mut self, version: &Section) {
        let Some(class) = self.required(version, "Class") else {
            return;
        };
        let Some(guid) = self.required(version, "ClassGuid") else {
            return;
        };
        if !is_guid(&guid) {
            self.error(
                version.line,
                1010,
                format!("the ClassGuid {guid:?} is no GUID in braces"),
            );
            return;
        }
        if same(&guid, SAMPLE_CLASS) || same(&class, "Sample") {
            self.error(version.line, 1284, "the class Sample is reserved");
        }
        let mismatch = |(name, expected): &&(&str, &str)| same(&class, name) != same(&guid, expected);
        if let Some((name, expected)) = CLASSES.iter().find(mismatch) {
            let what = format!("the class {name} has the GUID {expected}; here are {class} and {guid}");
            self.error(version.line, 1280, what);
        }
        if same(&class, "Extension") && version.entry("ExtensionId").is_none_or(|id| !is_guid(id.value(0))) {
            self.error(
                version.line,
                1381,
                "an extension needs an ExtensionId, a GUID in braces",
            );
        }
    }

    fn provider(&mut self, version: &Section) {
        if let Some(provider) = self.required(version, "Provider")
            && provider.to_ascii_lowercase().starts_with("microsoft")
        {
            self.error(version.line, 1204, "the Provider cannot be Microsoft");
        }
    }

    fn catalog(&mut self, version: &Section) {
        let is_catalog = |key: &str| key.to_ascii_lowercase().starts_with("catalogfile");
        let mut catalogs = version
            .entries
            .iter()
            .filter(|entry| entry.key.as_deref().is_some_and(is_catalog))
            .peekable();
        if catalogs.peek().is_none() {
            self.error(
                version.line,
                1233,
                "there is no CatalogFile: the package cannot be signed",
            );
        }
        for entry in catalogs {
            let name = self.inf.expand(entry.value(0));
            let stem = name.to_ascii_lowercase().strip_suffix(".cat").map(str::len);
            if stem.is_none_or(|length| length == 0) || name.contains(['\\', '/']) {
                self.error(
                    entry.line,
                    1214,
                    format!("the CatalogFile {name:?} is no name of the form name.cat"),
                );
            }
        }
    }

    fn driver_ver(&mut self, version: &Section) {
        let Some(entry) = version.entry("DriverVer") else {
            self.error(
                version.line,
                1233,
                "there is no DriverVer: the package cannot be signed",
            );
            return;
        };
        let (date, number) = (self.inf.expand(entry.value(0)), self.inf.expand(entry.value(1)));
        if !is_date(&date) {
            self.error(
                entry.line,
                1218,
                format!("the date {date:?} is none of the form MM/DD/YYYY"),
            );
        }
        let numbers: Option<Vec<u16>> = number.split('.').map(|part| part.parse().ok()).collect();
        if numbers.is_none_or(|numbers| numbers.len() != 4 || numbers.iter().all(|number| *number == 0)) {
            let what = format!("the version {number:?} is not four numbers up to 65535, one of them not 0");
            self.error(entry.line, 1217, what);
        }
    }

    /// The value of a key that must be there.
    fn required(&mut self, version: &Section, key: &str) -> Option<String> {
        let value = version.entry(key).map(|entry| self.inf.expand(entry.value(0)));
        let value = value.filter(|value| !value.is_empty());
        if value.is_none() {
            self.error(version.line, 1234, format!("[Version] has no {key}"));
        }
        value
    }
}

fn is_guid(text: &str) -> bool {
    let Some(inner) = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return false;
    };
    let groups: Vec<&str> = inner.split('-').collect();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    lengths == [8, 4, 4, 4, 12]
        && groups
            .iter()
            .all(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split(['/', '-']).collect();
    let &[month, day, year] = parts.as_slice() else {
        return false;
    };
    let within = |part: &str, length, range: std::ops::RangeInclusive<u16>| {
        part.len() == length && part.parse().is_ok_and(|number| range.contains(&number))
    };
    within(month, 2, 1..=12) && within(day, 2, 1..=31) && within(year, 4, 1980..=9999)
}
