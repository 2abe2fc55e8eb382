//! Keys and changes to them: `ZwOpenKey`, `ZwCreateKey`, `ZwSetValueKey`, `ZwDeleteValueKey`.

use ntlayout::object_attributes as layout;

use super::{Value, create_key, exists, path, set_value};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    ob::handle::{self, Handle, ZW_CONTRACT},
    rtl::unicode_string,
    status::NtStatus,
};

/// `KEY_READ`.
const KEY_READ: u32 = 0x0002_0019;
/// `KEY_WRITE`.
const KEY_WRITE: u32 = 0x0002_0006;
/// `KEY_ALL_ACCESS`.
const KEY_ALL_ACCESS: u32 = 0x000F_003F;

/// The generic rights and what they mean for a key.
const GENERIC_RIGHTS: [(u32, u32); 5] = [
    (0x8000_0000, KEY_READ),
    (0x4000_0000, KEY_WRITE),
    // GENERIC_EXECUTE.
    (0x2000_0000, KEY_READ),
    // GENERIC_ALL.
    (0x1000_0000, KEY_ALL_ACCESS),
    // MAXIMUM_ALLOWED: the kernel may do everything.
    (0x0200_0000, KEY_ALL_ACCESS),
];

/// `REG_CREATED_NEW_KEY`.
const CREATED_NEW_KEY: u32 = 1;
/// `REG_OPENED_EXISTING_KEY`.
const OPENED_EXISTING_KEY: u32 = 2;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ZwOpenKey", 3, ZW_CONTRACT, open_key);
    ddi.function("ZwCreateKey", 7, ZW_CONTRACT, create);
    ddi.function("ZwSetValueKey", 6, ZW_CONTRACT, set);
    ddi.function("ZwDeleteValueKey", 2, ZW_CONTRACT, |k, a| {
        let key = match key_of(k, Handle(a.u64(0)))? {
            Ok(key) => key,
            Err(status) => return Ok(status),
        };
        let deleted = super::delete(k, &key, &unicode_string::read(k, a.va(1))?);
        Ok(if deleted {
            NtStatus::SUCCESS
        } else {
            NtStatus::OBJECT_NAME_NOT_FOUND
        })
    });
}

/// Opens a handle of the existing key at an absolute path.
#[must_use]
pub fn open(k: &Kernel, path: &str, access: u32, attributes: u32) -> Option<Handle> {
    let key = path::canonical(path);
    let meant = |access, &(generic, rights): &(u32, u32)| {
        if access & generic == 0 {
            access
        } else {
            access & !generic | rights
        }
    };
    let access = GENERIC_RIGHTS.iter().fold(access, meant);
    exists(k, &key).then(|| handle::open(k, key, access, attributes))
}

/// The key that an open handle stands for.
///
/// The rights that the handle was opened with do not matter: the Zw routines come from kernel mode, where access is not checked.
fn key_of(k: &Kernel, handle: Handle) -> Outcome<Result<String, NtStatus>> {
    let object = handle::find(k, handle)?;
    Ok(object.map(|object| object.name).ok_or(NtStatus::INVALID_HANDLE))
}

/// The key that an open handle stands for, to have values queried by it.
pub(crate) fn key_for_query(k: &Kernel, handle: Handle) -> Outcome<Result<String, NtStatus>> {
    key_of(k, handle)
}

/// What an `OBJECT_ATTRIBUTES` asks for.
struct Named {
    path: String,
    attributes: u32,
}

fn read_attributes(k: &Kernel, at: Va) -> Outcome<Result<Named, NtStatus>> {
    let length: u32 = k.read(at + layout::LENGTH)?;
    if usize::try_from(length) != Ok(layout::SIZE) {
        return Ok(Err(NtStatus::INVALID_PARAMETER));
    }
    let root: Handle = k.read(at + layout::ROOT_DIRECTORY)?;
    let name: Va = k.read(at + layout::OBJECT_NAME)?;
    let attributes = k.read(at + layout::ATTRIBUTES)?;
    let name = if name.is_null() {
        String::new()
    } else {
        unicode_string::read(k, name)?
    };
    let named = |path| Ok(Named { path, attributes });
    Ok(match (root, name.starts_with('\\')) {
        (Handle(0), true) => named(name),
        (Handle(0), false) | (_, true) => Err(NtStatus::OBJECT_PATH_SYNTAX_BAD),
        (root, false) => match key_of(k, root)? {
            Ok(key) if name.is_empty() => named(key),
            Ok(key) => named(format!("{key}\\{name}")),
            Err(status) => Err(status),
        },
    })
}

/// `ZwOpenKey(KeyHandle, DesiredAccess, ObjectAttributes)`.
fn open_key(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let named = match read_attributes(k, a.va(2))? {
        Ok(named) => named,
        Err(status) => return Ok(status),
    };
    match open(k, &named.path, a.u32(1), named.attributes) {
        Some(handle) => {
            k.write(a.va(0), handle)?;
            Ok(NtStatus::SUCCESS)
        }
        None => Ok(NtStatus::OBJECT_NAME_NOT_FOUND),
    }
}

/// `ZwCreateKey(KeyHandle, DesiredAccess, ObjectAttributes, TitleIndex, Class, CreateOptions, Disposition)`: makes the last key of the
/// path only.
fn create(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let named = match read_attributes(k, a.va(2))? {
        Ok(named) => named,
        Err(status) => return Ok(status),
    };
    let key = path::canonical(&named.path);
    let disposition = if exists(k, &key) {
        OPENED_EXISTING_KEY
    } else if path::parent(&key).is_some_and(|parent| exists(k, parent)) {
        create_key(k, &key);
        CREATED_NEW_KEY
    } else {
        return Ok(NtStatus::OBJECT_NAME_NOT_FOUND);
    };
    if let Some(handle) = open(k, &key, a.u32(1), named.attributes) {
        k.write(a.va(0), handle)?;
    }
    if !a.va(6).is_null() {
        k.write(a.va(6), disposition)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// `ZwSetValueKey(KeyHandle, ValueName, TitleIndex, Type, Data, DataSize)`.
fn set(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let key = match key_of(k, Handle(a.u64(0)))? {
        Ok(key) => key,
        Err(status) => return Ok(status),
    };
    let name = unicode_string::read(k, a.va(1))?;
    let kind = a.u32(3);
    let length = usize::try_from(a.u32(5)).expect("32 bits fit");
    let data = match length {
        0 => Vec::new(),
        length => k.read_bytes(a.va(4), length)?,
    };
    set_value(k, &key, &name, Value::Raw { kind, data });
    Ok(NtStatus::SUCCESS)
}
