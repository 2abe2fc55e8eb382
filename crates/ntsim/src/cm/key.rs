//! Keys and changes to them: `ZwOpenKey`, `ZwCreateKey`, `ZwDeleteKey`, `ZwSetValueKey`, `ZwDeleteValueKey` and the like.

use std::collections::BTreeMap;

use ntlayout::object_attributes as layout;

use super::{Value, create_key, exists, hive, notify, path, set_value};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    ke::time,
    kernel::Kernel,
    mm::Va,
    ob::{
        handle::{self, Handle, ZW_CONTRACT},
        object::Type,
    },
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

/// `REG_OPTION_VOLATILE`.
const REG_OPTION_VOLATILE: u32 = 0x0000_0001;

/// `REG_CREATED_NEW_KEY`.
const CREATED_NEW_KEY: u32 = 1;
/// `REG_OPENED_EXISTING_KEY`.
const OPENED_EXISTING_KEY: u32 = 2;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ZwOpenKey", 3, ZW_CONTRACT, open_key);
    ddi.function("ZwOpenKeyEx", 4, ZW_CONTRACT, open_key);
    ddi.function("ZwCreateKey", 7, ZW_CONTRACT, create);
    ddi.function("ZwDeleteKey", 1, ZW_CONTRACT, delete_key);
    ddi.function("ZwRenameKey", 2, ZW_CONTRACT, rename);
    // What is written is kept at once.
    ddi.function("ZwFlushKey", 1, ZW_CONTRACT, |k, a| {
        Ok(key_of(k, Handle(a.u64(0)))?.err().unwrap_or(NtStatus::SUCCESS))
    });
    ddi.function("ZwSetValueKey", 6, ZW_CONTRACT, set);
    ddi.function("ZwDeleteValueKey", 2, ZW_CONTRACT, |k, a| {
        let key = match key_of(k, Handle(a.u64(0)))? {
            Ok(key) => key,
            Err(status) => return Ok(status),
        };
        if !super::delete(k, &key, &unicode_string::read(k, a.va(1))?) {
            return Ok(NtStatus::OBJECT_NAME_NOT_FOUND);
        }
        notify::changed(k, &key, notify::CHANGE_LAST_SET)?;
        Ok(NtStatus::SUCCESS)
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
    let id = hive::with(k, |hives| hives.keys.get(&key).map(|key| key.id))?;
    let handle = handle::open(k, key, access, attributes);
    k.state::<Opened>().borrow_mut().0.insert(handle, id);
    Some(handle)
}

/// Which key each handle was opened of, by the key's number.
#[derive(Debug, Default)]
struct Opened(BTreeMap<Handle, u64>);

/// The key that an open handle stands for.
///
/// The rights that the handle was opened with do not matter: the Zw routines come from kernel mode, where access is not checked.
pub(super) fn key_of(k: &Kernel, handle: Handle) -> Outcome<Result<String, NtStatus>> {
    let Some(object) = handle::find(k, handle)? else {
        return Ok(Err(NtStatus::INVALID_HANDLE));
    };
    if object.kind != Type::Key {
        return Ok(Err(NtStatus::OBJECT_TYPE_MISMATCH));
    }
    let id = k.state::<Opened>().borrow().0.get(&handle).copied();
    let Some(id) = id else {
        return Ok(Ok(object.name));
    };
    // A key that was renamed has another path.
    let path = hive::with(k, |hives| {
        let unchanged = hives.keys.get(&object.name).is_some_and(|key| key.id == id);
        if unchanged {
            return Some(object.name);
        }
        hives
            .keys
            .iter()
            .find_map(|(path, key)| (key.id == id).then(|| path.clone()))
    });
    Ok(path.ok_or(NtStatus::KEY_DELETED))
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

/// Makes the last key of a path, when those above it exist; what became of it, as a `REG_xxx` disposition.
pub(crate) fn make_last(k: &Kernel, path: &str, class: &str, volatile: bool) -> Outcome<Result<u32, NtStatus>> {
    let key = path::canonical(path);
    if exists(k, &key) {
        return Ok(Ok(OPENED_EXISTING_KEY));
    }
    let Some(parent) = path::parent(&key) else {
        return Ok(Err(NtStatus::OBJECT_NAME_NOT_FOUND));
    };
    let parent_is_volatile = hive::with(k, |hives| hives.keys.get(parent).map(|parent| parent.volatile));
    match parent_is_volatile {
        None => return Ok(Err(NtStatus::OBJECT_NAME_NOT_FOUND)),
        Some(true) if !volatile => return Ok(Err(NtStatus::CHILD_MUST_BE_VOLATILE)),
        Some(_) => {}
    }
    create_key(k, path);
    hive::with(k, |hives| {
        if let Some(made) = hives.keys.get_mut(&key) {
            class.clone_into(&mut made.class);
            made.volatile = volatile;
        }
    });
    notify::changed(k, parent, notify::CHANGE_NAME)?;
    Ok(Ok(CREATED_NEW_KEY))
}

/// `ZwCreateKey(KeyHandle, DesiredAccess, ObjectAttributes, TitleIndex, Class, CreateOptions, Disposition)`: makes the last key of the
/// path only.
fn create(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let named = match read_attributes(k, a.va(2))? {
        Ok(named) => named,
        Err(status) => return Ok(status),
    };
    let class = if a.va(4).is_null() {
        String::new()
    } else {
        unicode_string::read(k, a.va(4))?
    };
    let volatile = a.u32(5) & REG_OPTION_VOLATILE != 0;
    let disposition = match make_last(k, &named.path, &class, volatile)? {
        Ok(disposition) => disposition,
        Err(status) => return Ok(status),
    };
    if let Some(handle) = open(k, &named.path, a.u32(1), named.attributes) {
        k.write(a.va(0), handle)?;
    }
    if !a.va(6).is_null() {
        k.write(a.va(6), disposition)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// `ZwDeleteKey(KeyHandle)`: all handles of the key become useless, but can be closed.
fn delete_key(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let key = match key_of(k, Handle(a.u64(0)))? {
        Ok(key) => key,
        Err(status) => return Ok(status),
    };
    let Some(parent) = path::parent(&key).filter(|parent| !parent.is_empty()) else {
        return Ok(NtStatus::CANNOT_DELETE);
    };
    let now = time::system_time(k);
    let deleted = hive::with(k, |hives| {
        if hives.children(&key).next().is_some() {
            return false;
        }
        hives.keys.remove(&key);
        if let Some(parent) = hives.keys.get_mut(parent) {
            parent.written = now;
        }
        true
    });
    if !deleted {
        return Ok(NtStatus::CANNOT_DELETE);
    }
    notify::changed(k, parent, notify::CHANGE_NAME)?;
    Ok(NtStatus::SUCCESS)
}

/// `ZwRenameKey(KeyHandle, NewName)`: the keys below go with it.
fn rename(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let key = match key_of(k, Handle(a.u64(0)))? {
        Ok(key) => key,
        Err(status) => return Ok(status),
    };
    let name = unicode_string::read(k, a.va(1))?;
    let Some(parent) = path::parent(&key).filter(|parent| !parent.is_empty()) else {
        return Ok(NtStatus::ACCESS_DENIED);
    };
    if name.is_empty() || name.contains('\\') {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    let renamed = format!("{parent}\\{}", name.to_lowercase());
    let done = hive::with(k, |hives| {
        if hives.keys.contains_key(&renamed) {
            return false;
        }
        let below = format!("{key}\\");
        let moved: Vec<String> = hives
            .keys
            .keys()
            .filter(|path| **path == key || path.starts_with(&below))
            .cloned()
            .collect();
        for path in moved {
            if let Some(mut moving) = hives.keys.remove(&path) {
                if path == key {
                    moving.name.clone_from(&name);
                }
                hives.keys.insert(format!("{renamed}{}", &path[key.len()..]), moving);
            }
        }
        true
    });
    if !done {
        return Ok(NtStatus::CANNOT_DELETE);
    }
    notify::changed(k, parent, notify::CHANGE_NAME)?;
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
    write_value(k, &key, &name, Value::Raw { kind, data })?;
    Ok(NtStatus::SUCCESS)
}

/// Sets a value for a driver: who waits for a change is told.
pub(crate) fn write_value(k: &Kernel, key: &str, name: &str, value: Value) -> Outcome<()> {
    set_value(k, key, name, value);
    notify::changed(k, &path::canonical(key), notify::CHANGE_LAST_SET)
}
