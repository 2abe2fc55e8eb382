//! The registry as drivers use it, through its exports.

mod changes;
mod keys;

use std::future::Future;

use iced_x86::code_asm::{dword_ptr, eax, edx, r9d, rax};
use ntlayout::{
    key_value_basic_information as basic, key_value_full_information as full, key_value_partial_information as partial,
    object_attributes as attributes, rtl_query_registry_table as table, unicode_string,
};

use super::*;
use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    devices::{Edu, EduProfile},
    ke::Irql,
    kernel::Config,
    machine::{Machine, testing::Program},
    ob::{self, handle::Handle},
    rtl::unicode_string::{encode, write_new},
    sched::ThreadSpec,
    status::NtStatus,
};

const KEY: &str = "\\Registry\\Machine\\System\\CurrentControlSet\\Services\\test";
const KEY_READ: u32 = 0x0002_0019;
const KEY_WRITE: u32 = 0x0002_0006;

fn run_as<F>(spec: ThreadSpec, script: impl FnOnce(Kernel) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = Machine::new(Config::default()).unwrap();
    machine.spawn(spec, script);
    // What it ended with is for the caller to look at.
    let _ = machine.run();
    machine
}

/// Runs `script`, which must break no rule.
fn run<F>(script: impl FnOnce(Kernel) -> F + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_as(ThreadSpec::system("test"), script);
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}

/// The bug check that `script` ends with: code, first parameter, rule.
fn bugcheck_of<F>(spec: ThreadSpec, script: impl FnOnce(Kernel) -> F + 'static) -> (Code, u64, &'static str)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_as(spec, script);
    let crash = machine.kernel().crash().expect("a rule is broken");
    (crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

/// Calls an export that returns a status.
async fn call(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<NtStatus> {
    let returned = k.call(k.routine_address(name), arguments).await?;
    Ok(NtStatus((returned & 0xFFFF_FFFF) as u32))
}

/// A `UNICODE_STRING`.
fn counted(k: &Kernel, text: &str) -> Outcome<Va> {
    let string = k.allocate_system(unicode_string::SIZE, "string")?;
    write_new(k, string, text)?;
    Ok(string)
}

/// An `OBJECT_ATTRIBUTES`.
fn attributes_of(k: &Kernel, root: Handle, name: &str) -> Outcome<Va> {
    let at = k.allocate_system(attributes::SIZE, "attributes")?;
    k.write(at + attributes::LENGTH, 48_u32)?;
    k.write(at + attributes::ROOT_DIRECTORY, root)?;
    k.write(at + attributes::OBJECT_NAME, counted(k, name)?)?;
    Ok(at)
}

async fn open_key(k: &Kernel, root: Handle, name: &str, access: u32) -> Outcome<Result<Handle, NtStatus>> {
    let variable = k.allocate_system(8, "handle")?;
    let attributes = attributes_of(k, root, name)?;
    let arguments = [variable.get(), access.into(), attributes.get()];
    let status = call(k, "ZwOpenKey", &arguments).await?;
    Ok(if status.is_success() {
        Ok(k.read(variable)?)
    } else {
        Err(status)
    })
}

async fn close(k: &Kernel, handle: Handle) -> Outcome<()> {
    assert_eq!(call(k, "ZwClose", &[handle.0]).await?, NtStatus::SUCCESS);
    Ok(())
}

/// `ZwQueryValueKey` with `room` bytes: its status, the needed length, the buffer.
async fn query(k: &Kernel, key: Handle, name: &str, class: u64, room: usize) -> Outcome<(NtStatus, u32, Vec<u8>)> {
    let buffer = k.allocate_system(room.max(1), "buffer")?;
    let needed = k.allocate_system(4, "length")?;
    let name = counted(k, name)?;
    let arguments = [key.0, name.get(), class, buffer.get(), room as u64, needed.get()];
    let status = call(k, "ZwQueryValueKey", &arguments).await?;
    Ok((status, k.read(needed)?, k.read_bytes(buffer, room.max(1))?))
}

#[test]
fn a_value_is_found_by_its_key_and_name_whatever_their_case() {
    run(|k| async move {
        set_value(&k, KEY, "TimeoutMs", Value::Dword(5));
        let key = open_key(&k, Handle(0), &KEY.to_uppercase(), KEY_READ).await?.unwrap();
        let (status, needed, bytes) = query(&k, key, "TIMEOUTMS", 2, 16).await?;
        assert_eq!((status, needed), (NtStatus::SUCCESS, 16));
        assert_eq!(bytes[partial::TYPE..], [4, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0]);
        let absent = query(&k, key, "Timeout", 2, 16).await?;
        assert_eq!(absent.0, NtStatus::OBJECT_NAME_NOT_FOUND);
        let unknown_class = query(&k, key, "TimeoutMs", 9, 16).await?;
        assert_eq!(unknown_class.0, NtStatus::INVALID_PARAMETER);
        close(&k, key).await
    });
}

/// Nothing is written where not even the fixed fields have room; what fits is written otherwise.
#[test]
fn a_short_buffer_is_too_small_or_overflows() {
    run(|k| async move {
        set_value(&k, KEY, "Text", Value::Sz("abc".to_owned()));
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        let (status, needed, bytes) = query(&k, key, "Text", 2, 11).await?;
        assert_eq!((status, needed), (NtStatus::BUFFER_TOO_SMALL, 20));
        assert!(bytes.iter().all(|&byte| byte == 0));
        let (status, needed, bytes) = query(&k, key, "Text", 2, 14).await?;
        assert_eq!((status, needed), (NtStatus::BUFFER_OVERFLOW, 20));
        assert_eq!(bytes[partial::TYPE..], [1, 0, 0, 0, 8, 0, 0, 0, b'a', 0]);

        let (status, needed, bytes) = query(&k, key, "text", 0, 20).await?;
        assert_eq!((status, needed), (NtStatus::SUCCESS, 20));
        assert_eq!(bytes[basic::NAME_LENGTH], 8);
        assert_eq!(bytes[basic::NAME..], encode("Text"), "the name as it was given");

        let (status, needed, bytes) = query(&k, key, "Text", 1, 40).await?;
        assert_eq!((status, needed), (NtStatus::SUCCESS, 40));
        let data = usize::from(bytes[full::DATA_OFFSET]);
        assert_eq!(bytes[full::NAME..full::NAME + 8], encode("Text"));
        assert_eq!(bytes[data..], encode("abc\0"));
        close(&k, key).await
    });
}

#[test]
fn keys_are_made_one_below_the_other() {
    run(|k| async move {
        create_key(&k, KEY);
        let parent = open_key(&k, Handle(0), KEY, KEY_READ | KEY_WRITE).await?.unwrap();
        let create = async |name: &str| {
            let variable = k.allocate_system(16, "handle and disposition")?;
            let attributes = attributes_of(&k, parent, name)?;
            let disposition = variable + 8_u64;
            let access = u64::from(KEY_WRITE);
            let arguments = [variable.get(), access, attributes.get(), 0, 0, 0, disposition.get()];
            let status = call(&k, "ZwCreateKey", &arguments).await?;
            Ok((status, k.read::<Handle>(variable)?, k.read::<u32>(disposition)?))
        };
        let (status, made, disposition) = create("Parameters").await?;
        assert_eq!((status, disposition), (NtStatus::SUCCESS, 1));
        let (status, again, disposition) = create("parameters").await?;
        assert_eq!((status, disposition), (NtStatus::SUCCESS, 2));
        let (status, ..) = create("a\\b").await?;
        assert_eq!(status, NtStatus::OBJECT_NAME_NOT_FOUND, "the key above does not exist");

        let (name, data) = (counted(&k, "Retries")?.get(), k.allocate_system(4, "data")?);
        k.write(data, 3_u32)?;
        let set = call(&k, "ZwSetValueKey", &[made.0, name, 0, 4, data.get(), 4]).await?;
        assert_eq!(set, NtStatus::SUCCESS);
        let expected = Value::Raw {
            kind: 4,
            data: vec![3, 0, 0, 0],
        };
        assert_eq!(value(&k, &format!("{KEY}\\Parameters"), "retries"), Some(expected));
        let queried = query(&k, made, "Retries", 2, 16).await?;
        assert_eq!(queried.0, NtStatus::SUCCESS, "access is not checked in kernel mode");
        assert_eq!(call(&k, "ZwDeleteValueKey", &[again.0, name]).await?, NtStatus::SUCCESS);
        let gone = call(&k, "ZwDeleteValueKey", &[again.0, name]).await?;
        assert_eq!(gone, NtStatus::OBJECT_NAME_NOT_FOUND);
        for handle in [made, again, parent] {
            close(&k, handle).await?;
        }
        assert_eq!(ob::leftovers(&k), []);
        Ok(())
    });
}

#[test]
fn names_are_absolute_or_below_a_key() {
    run(|k| async move {
        create_key(&k, KEY);
        let relative = open_key(&k, Handle(0), "Services\\test", KEY_READ).await?;
        assert_eq!(relative, Err(NtStatus::OBJECT_PATH_SYNTAX_BAD));
        let nowhere = open_key(&k, Handle(0), &format!("{KEY}\\x"), KEY_READ).await?;
        assert_eq!(nowhere, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        let absolute_below = open_key(&k, key, KEY, KEY_READ).await?;
        assert_eq!(absolute_below, Err(NtStatus::OBJECT_PATH_SYNTAX_BAD));
        let no_handle = query(&k, Handle(0x4000), "x", 2, 16).await?;
        assert_eq!(no_handle.0, NtStatus::INVALID_HANDLE);
        let left = ob::leftovers(&k);
        assert!(left[0].to_string().contains("services\\test"), "{left:?}");
        close(&k, key).await
    });
}

#[test]
fn a_handle_is_closed_once() {
    let (code, _, rule) = bugcheck_of(ThreadSpec::system("test"), |k| async move {
        create_key(&k, KEY);
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        close(&k, key).await?;
        close(&k, key).await
    });
    assert_eq!((code, rule), (Code::INVALID_KERNEL_HANDLE, "invalid-handle-closed"));
}

#[test]
fn a_handle_opened_in_a_program_is_a_kernel_handle_or_the_programs() {
    let (code, parameter, _) = bugcheck_of(ThreadSpec::user("program"), |k| async move {
        set_value(&k, KEY, "x", Value::Dword(1));
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        query(&k, key, "x", 2, 16).await.map(|_| ())
    });
    assert_eq!((code, parameter), (Code::DRIVER_VERIFIER_DETECTED_VIOLATION, 0xF6));
}

#[test]
fn the_registry_is_for_passive_level() {
    let (code, parameter, _) = bugcheck_of(ThreadSpec::system("test"), |k| async move {
        let _ = k.raise_irql(Irql::DISPATCH);
        call(&k, "ZwClose", &[4]).await.map(|_| ())
    });
    assert_eq!((code, parameter), (Code::DRIVER_VERIFIER_DETECTED_VIOLATION, 0x2_001F));
}

#[test]
fn a_device_has_a_hardware_key_and_a_software_key() {
    let mut machine = Machine::new(Config::default()).unwrap();
    let slot = machine.plug(Box::new(Edu::new(EduProfile::default()))).unwrap();
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        let pdo = pnp::enumerate(&k, slot)?;
        set_device_value(&k, pdo, "TimeoutMs", Value::Dword(5));
        let variable = k.allocate_system(8, "handle")?;
        let open = async |object: Va, kind: u64| {
            let arguments = [object.get(), kind, KEY_READ.into(), variable.get()];
            call(&k, "IoOpenDeviceRegistryKey", &arguments).await
        };
        assert_eq!(open(pdo, 1).await?, NtStatus::SUCCESS);
        let hardware: Handle = k.read(variable)?;
        assert_eq!(query(&k, hardware, "TimeoutMs", 2, 16).await?.0, NtStatus::SUCCESS);
        assert_eq!(open(pdo, 2).await?, NtStatus::SUCCESS);
        let software: Handle = k.read(variable)?;
        let elsewhere = query(&k, software, "TimeoutMs", 2, 16).await?;
        assert_eq!(elsewhere.0, NtStatus::OBJECT_NAME_NOT_FOUND);
        assert_eq!(open(pdo, 3).await?, NtStatus::INVALID_PARAMETER);
        assert_eq!(open(variable, 1).await?, NtStatus::INVALID_DEVICE_REQUEST);
        close(&k, hardware).await?;
        close(&k, software).await
    });
    let _ = machine.run();
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}

const DIRECT: u32 = 0x20;
const REQUIRED: u32 = 0x04;
const TYPECHECK: u32 = 0x100;
const EXPECT_DWORD: u32 = 4 << 24;

/// An entry that stores `name` at `to`.
struct Wanted<'n> {
    name: &'n str,
    flags: u32,
    to: Va,
    default_type: u32,
}

/// A string with a terminator.
fn terminated(k: &Kernel, text: &str) -> Outcome<Va> {
    let bytes = encode(&format!("{text}\0"));
    let at = k.allocate_system(bytes.len(), "text")?;
    k.write_bytes(at, &bytes)?;
    Ok(at)
}

/// A table of one entry.
fn table_of(k: &Kernel, wanted: &Wanted<'_>) -> Outcome<Va> {
    let at_table = k.allocate_system(2 * table::SIZE, "table")?;
    k.write(at_table + table::FLAGS, wanted.flags)?;
    k.write(at_table + table::NAME, terminated(k, wanted.name)?)?;
    k.write(at_table + table::ENTRY_CONTEXT, wanted.to)?;
    k.write(at_table + table::DEFAULT_TYPE, wanted.default_type)?;
    let default = k.allocate_system(4, "default")?;
    k.write(default, 77_u32)?;
    k.write(at_table + table::DEFAULT_DATA, default)?;
    k.write(at_table + table::DEFAULT_LENGTH, 4_u32)?;
    Ok(at_table)
}

/// `RtlQueryRegistryValues` below [`KEY`].
async fn query_table(k: &Kernel, at_table: Va) -> Outcome<NtStatus> {
    // RTL_REGISTRY_SERVICES.
    let arguments = [1, terminated(k, "test")?.get(), at_table.get(), 0, 0];
    call(k, "RtlQueryRegistryValues", &arguments).await
}

async fn query_values(k: &Kernel, wanted: &Wanted<'_>) -> Outcome<NtStatus> {
    query_table(k, table_of(k, wanted)?).await
}

#[test]
fn values_are_stored_directly_when_they_have_the_expected_type() {
    run(|k| async move {
        set_value(&k, KEY, "Number", Value::Dword(5));
        set_value(&k, KEY, "Text", Value::Sz("ab".to_owned()));
        set_value(&k, KEY, "Bytes", Value::Binary(vec![1, 2, 3, 4, 5]));
        let to = k.allocate_system(16, "destination")?;
        let entry = |name, default_type| Wanted {
            name,
            flags: DIRECT | TYPECHECK,
            to,
            default_type,
        };
        let status = query_values(&k, &entry("Number", EXPECT_DWORD)).await?;
        assert_eq!((status, k.read::<u32>(to)?), (NtStatus::SUCCESS, 5));
        let status = query_values(&k, &entry("Text", EXPECT_DWORD)).await?;
        assert_eq!((status, k.read::<u32>(to)?), (NtStatus::OBJECT_TYPE_MISMATCH, 5));

        let status = query_values(&k, &entry("Absent", EXPECT_DWORD)).await?;
        assert_eq!((status, k.read::<u32>(to)?), (NtStatus::SUCCESS, 5), "no default");
        let status = query_values(&k, &entry("Absent", EXPECT_DWORD | 4)).await?;
        assert_eq!((status, k.read::<u32>(to)?), (NtStatus::SUCCESS, 77), "the default");
        let required = Wanted {
            flags: DIRECT | TYPECHECK | REQUIRED,
            ..entry("Absent", EXPECT_DWORD)
        };
        assert_eq!(query_values(&k, &required).await?, NtStatus::OBJECT_NAME_NOT_FOUND);

        k.write(to, 4_u32)?;
        let bytes = entry("Bytes", 3 << 24);
        assert_eq!(query_values(&k, &bytes).await?, NtStatus::BUFFER_TOO_SMALL);
        k.write(to, -5_i32)?;
        assert_eq!(query_values(&k, &bytes).await?, NtStatus::SUCCESS);
        assert_eq!(k.read_bytes(to, 5)?, [1, 2, 3, 4, 5]);

        k.fill(to, 0, 16)?;
        assert_eq!(query_values(&k, &entry("Text", 1 << 24)).await?, NtStatus::SUCCESS);
        assert_eq!(crate::rtl::unicode_string::read(&k, to)?, "ab");
        assert_eq!(k.driver_allocations().len(), 1, "the string is the driver's to free");
        k.call(k.routine_address("RtlFreeUnicodeString"), &[to.get()]).await?;
        assert!(k.driver_allocations().is_empty());
        Ok(())
    });
}

/// Each string of a `REG_MULTI_SZ` goes to the routine by itself, as a `REG_SZ`.
#[test]
fn a_routine_is_told_the_strings_one_by_one() {
    // NTSTATUS QueryRoutine(ValueName, ValueType, ValueData, ValueLength, Context, EntryContext): counts calls, adds up types and lengths.
    let program = Program::default().function(|f| {
        f.load(rax, Program::data().get());
        f.asm.inc(dword_ptr(rax)).unwrap();
        f.asm.add(dword_ptr(rax + 4), edx).unwrap();
        f.asm.add(dword_ptr(rax + 8), r9d).unwrap();
        f.asm.xor(eax, eax).unwrap();
    });
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        let names = ["ab", "c"].map(str::to_owned).to_vec();
        set_value(&k, KEY, "Names", Value::MultiSz(names));
        let wanted = Wanted {
            name: "Names",
            flags: 0,
            to: Va::NULL,
            default_type: 0,
        };
        let at_table = table_of(&k, &wanted)?;
        k.write(at_table + table::QUERY_ROUTINE, Program::address(0))?;
        assert_eq!(query_table(&k, at_table).await?, NtStatus::SUCCESS);
        let told = [0_u64, 4, 8].map(|offset| k.read::<u32>(Program::data() + offset));
        assert_eq!(told, [Ok(2), Ok(2 * value::REG_SZ), Ok(6 + 4)]);
        Ok(())
    });
    let _ = machine.run();
    let report = machine.crash_report(None);
    assert!(report.is_none(), "{}", report.unwrap_or_default());
}

#[test]
fn an_entry_without_routine_and_without_direct_is_invalid() {
    run(|k| async move {
        create_key(&k, KEY);
        let entry = Wanted {
            name: "Number",
            flags: 0,
            to: Va::NULL,
            default_type: 0,
        };
        assert_eq!(query_values(&k, &entry).await?, NtStatus::INVALID_PARAMETER);
        Ok(())
    });
}

#[test]
fn every_system_has_the_keys_of_classes_and_services() {
    run(|k| async move {
        for name in ["Control\\Class", "Services", "Enum"] {
            let path = format!("\\Registry\\Machine\\System\\CurrentControlSet\\{name}");
            let opened = open_key(&k, Handle(0), &path, KEY_READ).await?;
            close(&k, opened.expect("the key exists")).await?;
        }
        Ok(())
    });
}

/// `IoOpenDeviceRegistryKey` with `STANDARD_RIGHTS_ALL`, as samples have it, and then a query.
#[test]
fn access_is_not_checked_in_kernel_mode() {
    run(|k| async move {
        set_value(&k, KEY, "Start", Value::Dword(3));
        let key = open(&k, KEY, 0x001F_0000, ob::handle::OBJ_KERNEL_HANDLE).expect("it exists");
        let queried = query(&k, key, "Start", 2, 16).await?;
        assert_eq!(queried.0, NtStatus::SUCCESS);
        close(&k, key).await
    });
}
