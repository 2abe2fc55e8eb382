//! Directories of the namespace: `ZwOpenDirectoryObject`, `ZwCreateDirectoryObject`, `ZwQueryDirectoryObject`.

use std::collections::BTreeMap;

use ntlayout::unicode_string as string;

use super::{
    attributes::{self, Attributes},
    handle::{self, Handle, ZW_CONTRACT},
    namespace::{self, Found},
    object::{self, Body, Type},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    rtl::unicode_string,
    status::NtStatus,
};

/// `OBJ_OPENIF`.
const OBJ_OPENIF: u32 = 0x0000_0080;
/// Bytes of an `OBJECT_DIRECTORY_INFORMATION`: the strings of a name and of its type.
const INFORMATION_SIZE: usize = 2 * string::SIZE;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ZwOpenDirectoryObject", 3, ZW_CONTRACT, open);
    ddi.function("ZwCreateDirectoryObject", 3, ZW_CONTRACT, create);
    ddi.function("ZwQueryDirectoryObject", 7, ZW_CONTRACT, query);
}

/// `ZwOpenDirectoryObject(DirectoryHandle, DesiredAccess, ObjectAttributes)`.
fn open(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    match attributes.find(k, false)? {
        Ok(Found::Object(object)) if object::type_of(k, object) == Some(Type::Directory) => {
            hand_out(k, object, a, &attributes)
        }
        Ok(_) => Ok(NtStatus::OBJECT_TYPE_MISMATCH),
        Err(status) => Ok(status),
    }
}

/// `ZwCreateDirectoryObject(DirectoryHandle, DesiredAccess, ObjectAttributes)`.
fn create(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    let object = object::create_opaque(
        k,
        Type::Directory,
        Body::Directory(BTreeMap::new()),
        attributes.permanent(),
    )?;
    let inserted = match &attributes.name {
        Some(name) => namespace::insert(k, attributes.start, name, object)?,
        None => Ok(()),
    };
    match inserted {
        Ok(()) => hand_out(k, object, a, &attributes),
        Err(status) => {
            object::destroy(k, object)?;
            if status != NtStatus::OBJECT_NAME_COLLISION || attributes.flags & OBJ_OPENIF == 0 {
                return Ok(status);
            }
            let opened = open(k, a)?;
            Ok(if opened.is_success() {
                NtStatus::OBJECT_NAME_EXISTS
            } else {
                opened
            })
        }
    }
}

fn hand_out(k: &Kernel, object: Va, a: &Args, attributes: &Attributes) -> Outcome<NtStatus> {
    let handle = handle::open_object(k, object, a.u32(1), attributes.flags);
    k.write(a.va(0), handle)?;
    Ok(NtStatus::SUCCESS)
}

/// `ZwQueryDirectoryObject(DirectoryHandle, Buffer, Length, ReturnSingleEntry, RestartScan, Context, ReturnLength)`: entries from the
/// one that `Context` counts on, ended by one of zeros, with their strings behind them.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let directory = match handle::object_of(k, Handle(a.u64(0)), Type::Directory)? {
        Ok(directory) => directory,
        Err(status) => return Ok(status),
    };
    let (buffer, length) = (a.va(1), usize::try_from(a.u32(2)).expect("32 bits fit"));
    let (single, restart, context, returned) = (a.bool(3), a.bool(4), a.va(5), a.va(6));
    let first = if restart { 0 } else { k.read::<u32>(context)? };
    let entries = namespace::entries(k, directory).unwrap_or_default();
    let left = entries.get(first as usize..).unwrap_or_default();
    if left.is_empty() {
        if !returned.is_null() {
            k.write(returned, 0_u32)?;
        }
        return Ok(NtStatus::NO_MORE_ENTRIES);
    }
    // What fits, with the entry of zeros at the end.
    let mut taken: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut needed = INFORMATION_SIZE;
    for (name, object) in left.iter().take(if single { 1 } else { left.len() }) {
        let kind = object::type_of(k, *object).map_or("", Type::name);
        let strings = [name.as_str(), kind].map(unicode_string::encode);
        let size = INFORMATION_SIZE + strings.iter().map(|bytes| bytes.len() + 2).sum::<usize>();
        if needed + size > length && (!taken.is_empty() || !single) {
            break;
        }
        needed += size;
        let [name, kind] = strings;
        taken.push((name, kind));
    }
    if !returned.is_null() {
        k.write(returned, u32::try_from(needed).unwrap_or(u32::MAX))?;
    }
    if taken.is_empty() || needed > length {
        return Ok(NtStatus::BUFFER_TOO_SMALL);
    }
    write_entries(k, buffer, &taken)?;
    let next = first.saturating_add(u32::try_from(taken.len()).unwrap_or(u32::MAX));
    k.write(context, next)?;
    Ok(if !single && taken.len() < left.len() {
        NtStatus::MORE_ENTRIES
    } else {
        NtStatus::SUCCESS
    })
}

fn write_entries(k: &Kernel, buffer: Va, entries: &[(Vec<u8>, Vec<u8>)]) -> Outcome<()> {
    let mut text = buffer + INFORMATION_SIZE * (entries.len() + 1);
    for (index, (name, kind)) in entries.iter().enumerate() {
        let entry = buffer + INFORMATION_SIZE * index;
        for (offset, bytes) in [(0, name), (string::SIZE, kind)] {
            let length = u16::try_from(bytes.len()).expect("names are short");
            k.fill(entry + offset, 0, string::SIZE)?;
            k.write(entry + offset + string::LENGTH, length)?;
            k.write(entry + offset + string::MAXIMUM_LENGTH, length + 2)?;
            k.write(entry + offset + string::BUFFER, text)?;
            k.write_bytes(text, bytes)?;
            k.write(text + bytes.len(), 0_u16)?;
            text = text + bytes.len() + 2_u64;
        }
    }
    k.fill(buffer + INFORMATION_SIZE * entries.len(), 0, INFORMATION_SIZE)
}
