//! `RtlQueryRegistryValues`.
//!
//! There are no environment variables in this machine, so nothing in a `REG_EXPAND_SZ` is ever replaced.

use ntlayout::{rtl_query_registry_table as table, unicode_string as string};

use super::{
    counted::STRING_TAG,
    unicode_string::{encode, read_terminated},
};
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome, VerifierRule},
    cm::{self, Value, value},
    ddi::{Args, Contract, Registry},
    io::driver::SERVICES,
    ke::Irql,
    kernel::Kernel,
    mm::{PoolKind, PoolOwner, Va},
    ob::handle::Handle,
    status::NtStatus,
};

/// `RTL_REGISTRY_HANDLE` of the first argument.
pub(super) const REGISTRY_HANDLE: u32 = 0x4000_0000;
/// `RTL_REGISTRY_OPTIONAL`.
const REGISTRY_OPTIONAL: u32 = 0x8000_0000;

/// `RTL_QUERY_REGISTRY_SUBKEY` of an entry's flags.
const SUBKEY: u32 = 0x0000_0001;
/// `RTL_QUERY_REGISTRY_TOPKEY`.
const TOPKEY: u32 = 0x0000_0002;
/// `RTL_QUERY_REGISTRY_REQUIRED`.
const REQUIRED: u32 = 0x0000_0004;
/// `RTL_QUERY_REGISTRY_NOVALUE`.
const NOVALUE: u32 = 0x0000_0008;
/// `RTL_QUERY_REGISTRY_NOEXPAND`.
const NOEXPAND: u32 = 0x0000_0010;
/// `RTL_QUERY_REGISTRY_DIRECT`.
const DIRECT: u32 = 0x0000_0020;
/// `RTL_QUERY_REGISTRY_DELETE`.
const DELETE: u32 = 0x0000_0040;
/// `RTL_QUERY_REGISTRY_TYPECHECK`.
const TYPECHECK: u32 = 0x0000_0100;
/// `RTL_QUERY_REGISTRY_TYPECHECK_SHIFT`.
const TYPECHECK_SHIFT: u32 = 24;

/// The hive that programs can write to.
const UNTRUSTED: &str = "\\registry\\user";
/// Parameter 1 of `KERNEL_SECURITY_CHECK_FAILURE`: `FAST_FAIL_UNSAFE_REGISTRY_ACCESS`.
const UNSAFE_REGISTRY_ACCESS: u64 = 32;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_RTL_PASSIVE);
    ddi.flow("RtlQueryRegistryValues", 5, contract, |k, a| async move {
        // An error is a status to return like any other.
        Ok(query_values(&k, &a).await?.err().unwrap_or(NtStatus::SUCCESS))
    });
}

/// `Ok(Err)` for what ends the query with a status.
type Answer<T = ()> = Outcome<Result<T, NtStatus>>;

/// An entry of the table.
struct Entry {
    routine: Va,
    flags: u32,
    name: Option<String>,
    context: Va,
    /// The type in the lowest byte, the expected one in the highest.
    default_type: u32,
    default_data: Va,
    default_length: u32,
}

impl Entry {
    fn read(k: &Kernel, at: Va) -> Outcome<Self> {
        let name: Va = k.read(at + table::NAME)?;
        let name = if name.is_null() {
            None
        } else {
            Some(read_terminated(k, name)?)
        };
        Ok(Self {
            routine: k.read(at + table::QUERY_ROUTINE)?,
            flags: k.read(at + table::FLAGS)?,
            name,
            context: k.read(at + table::ENTRY_CONTEXT)?,
            default_type: k.read(at + table::DEFAULT_TYPE)?,
            default_data: k.read(at + table::DEFAULT_DATA)?,
            default_length: k.read(at + table::DEFAULT_LENGTH)?,
        })
    }

    fn is(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    fn is_last(&self) -> bool {
        self.routine.is_null() && self.name.is_none()
    }

    /// Whether its flags have what they require.
    fn is_valid(&self) -> bool {
        if self.is(DIRECT) {
            return self.routine.is_null() && self.name.is_some() && !self.is(SUBKEY);
        }
        if self.is(SUBKEY) {
            return self.name.is_some();
        }
        !self.routine.is_null()
    }

    /// What it has instead of a value that is not there.
    fn default(&self, k: &Kernel) -> Outcome<Option<Value>> {
        let kind = self.default_type & 0xFF;
        if kind == value::REG_NONE {
            return Ok(None);
        }
        let length = match (kind, self.default_length) {
            (value::REG_SZ | value::REG_EXPAND_SZ, 0) => encode(&read_terminated(k, self.default_data)?).len() + 2,
            (value::REG_MULTI_SZ, 0) => multi_length(k, self.default_data)?,
            (_, length) => usize::try_from(length).expect("32 bits fit"),
        };
        let data = k.read_bytes(self.default_data, length)?;
        Ok(Some(Value::Raw { kind, data }))
    }
}

/// The length of the strings at `start` up to and with the empty one that ends them.
fn multi_length(k: &Kernel, start: Va) -> Outcome<usize> {
    let mut length = 0;
    loop {
        let text = encode(&read_terminated(k, start + length)?).len();
        length += text + 2;
        if text == 0 {
            return Ok(length);
        }
    }
}

/// `RtlQueryRegistryValues(RelativeTo, Path, QueryTable, Context, Environment)`.
async fn query_values(k: &Kernel, a: &Args) -> Answer {
    let (relative_to, context) = (a.u32(0), a.u64(3));
    let top = match top_key(k, relative_to, a)? {
        Ok(top) => top,
        Err(status) => return Ok(Err(status)),
    };
    if !cm::exists(k, &top) {
        let optional = relative_to & REGISTRY_OPTIONAL != 0;
        return Ok(if optional {
            Ok(())
        } else {
            Err(NtStatus::OBJECT_NAME_NOT_FOUND)
        });
    }
    let mut key = top.clone();
    for index in 0_usize.. {
        let entry = Entry::read(k, a.va(2) + index * table::SIZE)?;
        if entry.is_last() {
            break;
        }
        if !entry.is_valid() {
            return Ok(Err(NtStatus::INVALID_PARAMETER));
        }
        if entry.is(TOPKEY | SUBKEY) {
            key.clone_from(&top);
        }
        if let Err(status) = process(k, &mut key, &entry, context).await? {
            return Ok(Err(status));
        }
    }
    Ok(Ok(()))
}

/// The key that the query starts from, in its canonical form.
fn top_key(k: &Kernel, relative_to: u32, a: &Args) -> Answer<String> {
    Ok(top_path(k, relative_to, a)?.map(|path| cm::canonical(&path)))
}

/// The path of the key that `RelativeTo` and the second argument name.
pub(super) fn top_path(k: &Kernel, relative_to: u32, a: &Args) -> Answer<String> {
    const CONTROL: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Control\\";
    const WINDOWS_NT: &str = "\\Registry\\Machine\\Software\\Microsoft\\Windows NT\\CurrentVersion\\";
    const DEVICE_MAP: &str = "\\Registry\\Machine\\Hardware\\DeviceMap\\";
    const USER: &str = "\\Registry\\User\\.Default\\";
    if relative_to & REGISTRY_HANDLE != 0 {
        return cm::key_for_query(k, Handle(a.u64(1)));
    }
    let path = read_terminated(k, a.va(1))?;
    let base = match relative_to & !REGISTRY_OPTIONAL {
        0 => "",
        1 => SERVICES,
        2 => CONTROL,
        3 => WINDOWS_NT,
        4 => DEVICE_MAP,
        5 => USER,
        _ => return Ok(Err(NtStatus::INVALID_PARAMETER)),
    };
    Ok(Ok(format!("{base}{path}")))
}

async fn process(k: &Kernel, key: &mut String, entry: &Entry, context: u64) -> Answer {
    match &entry.name {
        Some(name) if entry.is(SUBKEY) => {
            *key = cm::canonical(&format!("{key}\\{name}"));
            if entry.is(REQUIRED) && !cm::exists(k, key) {
                return Ok(Err(NtStatus::OBJECT_NAME_NOT_FOUND));
            }
            if entry.routine.is_null() {
                return Ok(Ok(()));
            }
            report_all(k, key, entry, context).await
        }
        Some(name) => query_one(k, key, name, entry, context).await,
        None if entry.is(NOVALUE) => call(k, entry, Va::NULL, value::REG_NONE, None, context).await,
        None => report_all(k, key, entry, context).await,
    }
}

/// Every value of the key goes to the entry's routine.
async fn report_all(k: &Kernel, key: &str, entry: &Entry, context: u64) -> Answer {
    let all = cm::values(k, key);
    if all.is_empty() && entry.is(REQUIRED) {
        return Ok(Err(NtStatus::OBJECT_NAME_NOT_FOUND));
    }
    for (name, value) in all {
        if let Err(status) = report(k, &name, &value, entry, context).await? {
            return Ok(Err(status));
        }
    }
    Ok(Ok(()))
}

async fn query_one(k: &Kernel, key: &str, name: &str, entry: &Entry, context: u64) -> Answer {
    let found = match cm::value(k, key, name) {
        Some(found) => {
            if entry.is(DIRECT) {
                check_trusted(k, key, entry)?;
            }
            if entry.is(TYPECHECK) && found.kind() != entry.default_type >> TYPECHECK_SHIFT {
                return Ok(Err(NtStatus::OBJECT_TYPE_MISMATCH));
            }
            found
        }
        None if entry.is(REQUIRED) => return Ok(Err(NtStatus::OBJECT_NAME_NOT_FOUND)),
        None => match entry.default(k)? {
            Some(default) => default,
            None => return Ok(Ok(())),
        },
    };
    let answer = if entry.is(DIRECT) {
        store(k, entry.context, &found)?
    } else {
        report(k, name, &found, entry, context).await?
    };
    if answer.is_ok() && entry.is(DELETE) {
        cm::delete(k, key, name);
    }
    Ok(answer)
}

/// What programs can write may have any type: to store it unchecked overflows buffers.
fn check_trusted(k: &Kernel, key: &str, entry: &Entry) -> Outcome<()> {
    if !key.starts_with(UNTRUSTED) || entry.is(TYPECHECK) {
        return Ok(());
    }
    Err(k.bugcheck(BugCheck::new(
        Code::KERNEL_SECURITY_CHECK_FAILURE,
        [UNSAFE_REGISTRY_ACCESS, 0, 0, 0],
        "registry-type-unchecked",
        format!("RtlQueryRegistryValues is to store a value of {key}, which programs can write to, without RTL_QUERY_REGISTRY_TYPECHECK"),
    )))
}

/// Stores a value in the buffer at `to`, in the form that its type has there.
fn store(k: &Kernel, to: Va, value: &Value) -> Answer {
    let data = value.data();
    let too_small = Ok(Err(NtStatus::BUFFER_TOO_SMALL));
    let length = u32::try_from(data.len()).expect("values are below 4 GiB");
    if matches!(value.kind(), value::REG_SZ | value::REG_EXPAND_SZ | value::REG_MULTI_SZ) {
        return store_string(k, to, &data);
    }
    if data.len() <= 4 {
        k.write_bytes(to, &data)?;
        return Ok(Ok(()));
    }
    let room: i32 = k.read(to)?;
    if room < 0 {
        if room.unsigned_abs() < length {
            return too_small;
        }
        k.write_bytes(to, &data)?;
        return Ok(Ok(()));
    }
    if u64::from(room.unsigned_abs()) < u64::from(length) + 8 {
        return too_small;
    }
    k.write(to, length)?;
    k.write(to + 4_u64, value.kind())?;
    k.write_bytes(to + 8_u64, &data)?;
    Ok(Ok(()))
}

/// Stores a string by the `UNICODE_STRING` at `to`, whose buffer is allocated when it has none.
fn store_string(k: &Kernel, to: Va, data: &[u8]) -> Answer {
    let Ok(length) = u16::try_from(data.len()) else {
        return Ok(Err(NtStatus::BUFFER_TOO_SMALL));
    };
    let mut buffer: Va = k.read(to + string::BUFFER)?;
    let room: u16 = k.read(to + string::MAXIMUM_LENGTH)?;
    if buffer.is_null() {
        let size = u64::from(length.max(2));
        buffer = k.allocate_pool(PoolKind::Paged, size, STRING_TAG, PoolOwner::Driver, "registry string");
        k.write(to + string::MAXIMUM_LENGTH, length)?;
        k.write(to + string::BUFFER, buffer)?;
    } else if room < length {
        return Ok(Err(NtStatus::BUFFER_TOO_SMALL));
    }
    if !data.is_empty() {
        k.write_bytes(buffer, data)?;
    }
    // The terminator is not counted.
    k.write(to + string::LENGTH, length.saturating_sub(2))?;
    Ok(Ok(()))
}

/// A value goes to the entry's routine; the strings of a `REG_MULTI_SZ` one by one unless it wants them as they are.
async fn report(k: &Kernel, name: &str, value: &Value, entry: &Entry, context: u64) -> Answer {
    let (kind, data) = (value.kind(), value.data());
    let parts: Vec<(u32, Vec<u8>)> = match kind {
        value::REG_EXPAND_SZ if !entry.is(NOEXPAND) => vec![(value::REG_SZ, data)],
        value::REG_MULTI_SZ if !entry.is(NOEXPAND) => {
            let strings = split_strings(&data);
            strings.into_iter().map(|text| (value::REG_SZ, text)).collect()
        }
        _ => vec![(kind, data)],
    };
    let terminated = encode(&format!("{name}\0"));
    let at_name = k.allocate_system(terminated.len(), "registry value name")?;
    k.write_bytes(at_name, &terminated)?;
    let mut answer = Ok(());
    for (kind, data) in parts {
        answer = call(k, entry, at_name, kind, Some(&data), context).await?;
        if answer.is_err() {
            break;
        }
    }
    k.free_system(at_name)?;
    Ok(answer)
}

/// The strings of a `REG_MULTI_SZ`, each with its terminator, without the empty one at the end.
fn split_strings(data: &[u8]) -> Vec<Vec<u8>> {
    let units: Vec<[u8; 2]> = data.chunks_exact(2).map(|unit| [unit[0], unit[1]]).collect();
    let strings = units.split_inclusive(|&unit| unit == [0, 0]);
    strings
        .filter(|string| string.len() > 1)
        .map(<[[u8; 2]]>::concat)
        .collect()
}

/// Calls the entry's routine. `STATUS_BUFFER_TOO_SMALL` of its is ignored, as documented.
async fn call(k: &Kernel, entry: &Entry, name: Va, kind: u32, data: Option<&[u8]>, context: u64) -> Answer {
    let (at, length) = match data {
        None => (Va::NULL, 0),
        Some(data) => {
            let at = k.allocate_system(data.len().max(1), "registry value")?;
            if !data.is_empty() {
                k.write_bytes(at, data)?;
            }
            (at, data.len() as u64)
        }
    };
    let arguments = [name.get(), kind.into(), at.get(), length, context, entry.context.get()];
    let returned = k.call(entry.routine, &arguments).label("QueryRoutine").await?;
    if !at.is_null() {
        k.free_system(at)?;
    }
    let status = NtStatus((returned & 0xFFFF_FFFF) as u32);
    Ok(if status.is_success() || status == NtStatus::BUFFER_TOO_SMALL {
        Ok(())
    } else {
        Err(status)
    })
}
