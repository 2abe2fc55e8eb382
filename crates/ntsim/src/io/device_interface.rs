//! Device interfaces: `IoRegisterDeviceInterface`, `IoSetDeviceInterfaceState`.

use std::fmt;

use ntlayout::unicode_string;

use super::{
    pnp,
    violation::{IoRule, violation},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    rtl,
    status::NtStatus,
    trace::Event,
};

/// The tag of the strings handed out.
const TAG: u32 = u32::from_le_bytes(*b"Io  ");

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("IoRegisterDeviceInterface", 4, contract, register_interface);
    ddi.function("IoSetDeviceInterfaceState", 2, contract, set_state);
}

/// A GUID as it lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(pub [u8; 16]);

impl Guid {
    /// The GUID with these fields.
    #[must_use]
    pub fn from_fields(data1: u32, data2: u16, data3: u16, data4: [u8; 8]) -> Self {
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&data1.to_le_bytes());
        bytes[4..6].copy_from_slice(&data2.to_le_bytes());
        bytes[6..8].copy_from_slice(&data3.to_le_bytes());
        bytes[8..].copy_from_slice(&data4);
        Self(bytes)
    }

    /// The GUID that is written so, in braces.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: String = text.strip_prefix('{')?.strip_suffix('}')?.split('-').collect();
        let number = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32)?;
        let bytes = number.to_be_bytes();
        let data1 = u32::from_be_bytes(bytes[..4].try_into().ok()?);
        let (data2, data3) = (
            u16::from_be_bytes([bytes[4], bytes[5]]),
            u16::from_be_bytes([bytes[6], bytes[7]]),
        );
        Some(Self::from_fields(data1, data2, data3, bytes[8..].try_into().ok()?))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let b = &self.0;
        write!(f, "{{{:02x}{:02x}{:02x}{:02x}-", b[3], b[2], b[1], b[0])?;
        write!(f, "{:02x}{:02x}-{:02x}{:02x}-", b[5], b[4], b[7], b[6])?;
        write!(f, "{:02x}{:02x}-", b[8], b[9])?;
        b[10..].iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("}")
    }
}

/// An instance of an interface class.
#[derive(Clone, Debug)]
pub struct DeviceInterface {
    /// The class.
    pub class: Guid,
    /// The device.
    pub pdo: Va,
    /// Its symbolic link's name: what programs open.
    pub link: String,
    /// Whether programs can find and open it.
    pub enabled: bool,
    /// Where the driver has enabled it last: the instruction after the call.
    pub enabled_by: Va,
}

/// All registered interfaces. Registrations persist; only the enabled state comes and goes.
#[derive(Debug, Default)]
pub(crate) struct DeviceInterfaces(Vec<DeviceInterface>);

impl DeviceInterfaces {
    /// The enabled instances of a class, in the order of their registration.
    pub(crate) fn enabled(&self, class: Guid) -> impl Iterator<Item = &DeviceInterface> {
        self.0.iter().filter(move |found| found.enabled && found.class == class)
    }

    /// All instances of a class, in the order of their registration.
    pub(crate) fn of_class(&self, class: Guid) -> impl Iterator<Item = &DeviceInterface> {
        self.0.iter().filter(move |found| found.class == class)
    }

    /// The interface that a link names. Names of objects know no case.
    pub(crate) fn find(&self, link: &str) -> Option<&DeviceInterface> {
        self.0.iter().find(|found| found.link.eq_ignore_ascii_case(link))
    }

    /// The link of the enabled interface that an absolute path begins with; the longest, since a reference string makes one longer.
    pub(crate) fn named_by(&self, path: &str) -> Option<&str> {
        let begins = |link: &str| {
            let length = link.len();
            let same = path.get(..length).is_some_and(|start| start.eq_ignore_ascii_case(link));
            same && (path.len() == length || path[length..].starts_with('\\'))
        };
        let links = self.all_enabled().map(|interface| interface.link.as_str());
        links.filter(|link| begins(link)).max_by_key(|link| link.len())
    }

    /// Every enabled interface.
    pub(crate) fn all_enabled(&self) -> impl Iterator<Item = &DeviceInterface> {
        self.0.iter().filter(|found| found.enabled)
    }
}

/// `IoRegisterDeviceInterface(PhysicalDeviceObject, InterfaceClassGuid, ReferenceString, SymbolicLinkName)`.
pub(super) fn register_interface(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let pdo = a.va(0);
    let Some(instance) = pnp::instance_path(k, pdo) else {
        let message = format!("IoRegisterDeviceInterface was given {pdo}, which is no physical device object");
        return Err(violation(k, IoRule::NOT_A_PDO, Va::NULL, pdo, message));
    };
    let mut class = [0; 16];
    k.read_into(a.va(1), &mut class)?;
    let class = Guid(class);
    let reference = match a.va(2) {
        Va::NULL => String::new(),
        string => format!("\\{}", rtl::unicode_string::read(k, string)?),
    };
    let link = format!("\\??\\{}#{class}{reference}", instance.replace('\\', "#"));
    let known = k.io().borrow().interfaces.find(&link).is_some();
    if !known {
        k.io().borrow_mut().interfaces.0.push(DeviceInterface {
            class,
            pdo,
            link: link.clone(),
            enabled: false,
            enabled_by: Va::NULL,
        });
    }
    hand_out(k, a.va(3), &link)?;
    Ok(NtStatus::SUCCESS)
}

/// Gives the driver a string that it has to free with `RtlFreeUnicodeString`.
pub(super) fn hand_out(k: &Kernel, string: Va, text: &str) -> Outcome<()> {
    let bytes = rtl::unicode_string::encode(text);
    let length = u16::try_from(bytes.len()).expect("link names are short");
    let size = u64::from(length) + 2;
    let buffer = k.allocate_pool(PoolKind::Paged, size, TAG, PoolOwner::Driver, "symbolic link name");
    k.write_bytes(buffer, &bytes)?;
    k.write(string + unicode_string::LENGTH, length)?;
    k.write(string + unicode_string::MAXIMUM_LENGTH, length + 2)?;
    k.write(string + unicode_string::BUFFER, buffer)
}

/// `IoSetDeviceInterfaceState(SymbolicLinkName, Enable)`.
pub(super) fn set_state(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let link = rtl::unicode_string::read(k, a.va(0))?;
    let enable = a.bool(1);
    let caller = k.caller();
    let status = {
        let mut io = k.io().borrow_mut();
        let found = io
            .interfaces
            .0
            .iter_mut()
            .find(|found| found.link.eq_ignore_ascii_case(&link));
        match found {
            None => return Ok(NtStatus::OBJECT_NAME_NOT_FOUND),
            Some(found) if found.enabled == enable && enable => NtStatus::OBJECT_NAME_EXISTS,
            Some(found) if found.enabled == enable => NtStatus::OBJECT_NAME_NOT_FOUND,
            Some(found) => {
                found.enabled = enable;
                found.enabled_by = caller;
                NtStatus::SUCCESS
            }
        }
    };
    if status == NtStatus::SUCCESS {
        let what = if enable { "enabled" } else { "disabled" };
        k.trace(Event::Note(format!("device interface {what}: {link}")));
        super::notification::interface_set(k, &link, enable);
    }
    Ok(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guids_are_written_as_windows_writes_them() {
        let guid = Guid::from_fields(
            0xD20D_5FBE,
            0xF51D,
            0x4CA4,
            [0xB3, 8, 0x58, 0xE1, 0x86, 0x3B, 0x19, 0xE1],
        );
        assert_eq!(guid.to_string(), "{d20d5fbe-f51d-4ca4-b308-58e1863b19e1}");
        assert_eq!(Guid::parse("{D20D5FBE-f51d-4ca4-b308-58e1863b19e1}"), Some(guid));
        assert_eq!(Guid::parse("d20d5fbe-f51d-4ca4-b308-58e1863b19e1"), None);
    }
}
