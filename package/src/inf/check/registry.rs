//! [`AddReg`](https://learn.microsoft.com/windows-hardware/drivers/install/inf-addreg-directive): what is written into the registry.

use super::{Checker, number};
use crate::inf::{Entry, same};

/// What `HKR` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relative {
    /// A key of the device, or of one of its interfaces.
    Device,
    /// The service's key, of which only `Parameters` is the driver's.
    Service,
    /// The service's key of the event log.
    EventLog,
}

/// The roots that are for the whole system.
const GLOBAL: [&str; 4] = ["HKLM", "HKCR", "HKCU", "HKU"];

/// Flags that change how a value is written, not what it is. `FLG_ADDREG_KEYONLY` and `_KEYONLY_COMMON`: there is no value.
const KEY_ONLY: u32 = 0x2010;
const APPEND: u32 = 0x8;
const OTHER_MODIFIERS: u32 = 0x1 << 1 | 0x4 | 0x20 | 0x1000 | 0x4000;

/// Types of values.
const SZ: u32 = 0;
const BINARY: u32 = 0x1;
const MULTI_SZ: u32 = 0x1_0000;
const EXPAND_SZ: u32 = 0x2_0000;
const DWORD: u32 = 0x1_0001;
const NONE: u32 = 0x2_0001;
const QWORD: u32 = 0xb_0001;

impl Checker<'_> {
    /// The sections that an `AddReg` names.
    pub(super) fn add_reg(&mut self, directive: &Entry, relative: Relative) {
        for name in &directive.values {
            if let Some(section) = self.referenced(directive.line, "AddReg", name) {
                for entry in &section.entries {
                    self.registry_entry(entry, relative);
                }
            }
        }
    }

    fn registry_entry(&mut self, entry: &Entry, relative: Relative) {
        let root = self.inf.expand(entry.value(0));
        let key = self.inf.expand(entry.value(1));
        if GLOBAL.iter().any(|global| same(&root, global)) {
            let what = format!("{root}\\{key} is not the driver's own: only HKR is");
            self.error(entry.line, 1320, what);
        } else if !same(&root, "HKR") || entry.key.is_some() {
            self.error(entry.line, 1224, format!("{root:?} is no root of the registry"));
            return;
        }
        let below = key.get(.."Parameters".len());
        if relative == Relative::Service && below.is_none_or(|below| !same(below, "Parameters")) {
            let what = format!("the service's key {key:?} is not below Parameters");
            self.error(entry.line, 1323, what);
        }
        let flags = self.inf.expand(entry.value(3));
        match flags.as_str() {
            "" => self.registry_value(entry, SZ),
            text => match number(text) {
                Some(flags) => self.registry_value(entry, flags),
                None => self.error(entry.line, 1082, format!("the flags {text:?} are no number")),
            },
        }
    }

    fn registry_value(&mut self, entry: &Entry, flags: u32) {
        if flags & KEY_ONLY != 0 {
            return;
        }
        let kind = flags & !(APPEND | OTHER_MODIFIERS);
        if flags & APPEND != 0 && kind != MULTI_SZ {
            self.error(entry.line, 1265, "only a REG_MULTI_SZ can be appended to");
        }
        let values: Vec<String> = entry
            .values
            .iter()
            .skip(4)
            .map(|value| self.inf.expand(value))
            .collect();
        match kind {
            SZ | EXPAND_SZ | MULTI_SZ | NONE => {}
            DWORD => match values.as_slice() {
                [value] if number(value).is_some() => {}
                // Four bytes are a number as well.
                bytes if bytes.len() == 4 && bytes.iter().all(|byte| is_byte(byte)) => {}
                _ => self.error(entry.line, 1268, format!("{} is no 32-bit number", values.join(","))),
            },
            QWORD | BINARY => {
                if let Some(value) = values.iter().find(|value| !is_byte(value)) {
                    self.error(
                        entry.line,
                        1267,
                        format!("{value:?} is no byte, two hexadecimal digits"),
                    );
                }
            }
            _ => self.error(entry.line, 1264, format!("the flags {flags:#x} name no type of value")),
        }
    }
}

fn is_byte(text: &str) -> bool {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    digits.len() <= 2 && u8::from_str_radix(digits, 16).is_ok()
}
