//! Keys: made, told of, enumerated, renamed, deleted.

use ntlayout::{key_basic_information as basic, key_full_information as full, key_node_information as node};

use super::{KEY, KEY_READ, attributes_of, call, close, counted, open_key, query, run};
use crate::{
    bugcheck::Outcome,
    cm::{Value, create_key, set_value, value},
    kernel::Kernel,
    ob::handle::Handle,
    rtl::unicode_string::encode,
    status::NtStatus,
};

/// A routine that tells of something by a class into a buffer of `room` bytes: its status, the needed length, the buffer.
async fn tell(k: &Kernel, name: &str, before: &[u64], room: usize) -> Outcome<(NtStatus, u32, Vec<u8>)> {
    let buffer = k.allocate_system(room.max(1), "buffer")?;
    let needed = k.allocate_system(4, "length")?;
    let arguments = [before, &[buffer.get(), room as u64, needed.get()]].concat();
    let status = call(k, name, &arguments).await?;
    Ok((status, k.read(needed)?, k.read_bytes(buffer, room.max(1))?))
}

/// `ZwCreateKey` with a class and options: the status and the handle.
async fn create(k: &Kernel, parent: Handle, name: &str, class: &str, options: u64) -> Outcome<(NtStatus, Handle)> {
    let variable = k.allocate_system(8, "handle")?;
    let attributes = attributes_of(k, parent, name)?.get();
    let class = counted(k, class)?.get();
    let arguments = [variable.get(), KEY_READ.into(), attributes, 0, class, options, 0];
    let status = call(k, "ZwCreateKey", &arguments).await?;
    Ok((status, k.read(variable)?))
}

fn number(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

#[test]
fn a_key_is_told_of_by_class() {
    run(|k| async move {
        create_key(&k, KEY);
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        let (_, child) = create(&k, key, "Child", "Kind", 0).await?;
        set_value(&k, KEY, "Number", Value::Dword(5));
        set_value(&k, KEY, "Text", Value::Sz("abcd".to_owned()));

        let (status, needed, bytes) = tell(&k, "ZwQueryKey", &[child.0, 0], 64).await?;
        assert_eq!((status, needed), (NtStatus::SUCCESS, 16 + 10));
        assert_eq!(bytes[basic::NAME..26], encode("Child"), "the name as it was given");
        let (status, needed, bytes) = tell(&k, "ZwQueryKey", &[child.0, 1], 64).await?;
        assert_eq!(status, NtStatus::SUCCESS);
        let class = usize::try_from(number(&bytes, node::CLASS_OFFSET)).unwrap();
        assert_eq!(bytes[class..class + 8], encode("Kind"));
        assert_eq!(usize::try_from(needed), Ok(class + 8));

        let (status, needed, bytes) = tell(&k, "ZwQueryKey", &[key.0, 2], 64).await?;
        assert_eq!((status, needed), (NtStatus::SUCCESS, 44));
        let told = [full::SUB_KEYS, full::MAX_NAME_LEN, full::MAX_CLASS_LEN, full::VALUES];
        assert_eq!(told.map(|field| number(&bytes, field)), [1, 10, 8, 2]);
        assert_eq!(number(&bytes, full::MAX_VALUE_NAME_LEN), 12);
        assert_eq!(number(&bytes, full::MAX_VALUE_DATA_LEN), 10);
        assert_eq!(number(&bytes, full::CLASS_OFFSET), u32::MAX, "no class");

        let (status, needed, bytes) = tell(&k, "ZwQueryKey", &[child.0, 3], 256).await?;
        let name = "\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\test\\Child";
        assert_eq!(
            (status, needed),
            (NtStatus::SUCCESS, 4 + u32::try_from(2 * name.len()).unwrap())
        );
        assert_eq!(bytes[4..4 + 2 * name.len()], encode(name));

        let (status, needed, bytes) = tell(&k, "ZwQueryKey", &[child.0, 0], 15).await?;
        assert_eq!((status, needed), (NtStatus::BUFFER_TOO_SMALL, 26));
        assert!(bytes.iter().all(|&byte| byte == 0));
        let (status, ..) = tell(&k, "ZwQueryKey", &[child.0, 0], 20).await?;
        assert_eq!(status, NtStatus::BUFFER_OVERFLOW);
        let (status, ..) = tell(&k, "ZwQueryKey", &[child.0, 99], 64).await?;
        assert_eq!(status, NtStatus::INVALID_PARAMETER);
        close(&k, child).await?;
        close(&k, key).await
    });
}

#[test]
fn keys_and_values_are_enumerated_to_their_end() {
    run(|k| async move {
        for name in ["b", "A", "b\\below"] {
            create_key(&k, &format!("{KEY}\\{name}"));
        }
        set_value(&k, KEY, "One", Value::Dword(1));
        set_value(&k, KEY, "Two", Value::Dword(2));
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        let mut names = Vec::new();
        for index in 0.. {
            let (status, needed, bytes) = tell(&k, "ZwEnumerateKey", &[key.0, index, 0], 64).await?;
            if status == NtStatus::NO_MORE_ENTRIES {
                break;
            }
            assert_eq!(status, NtStatus::SUCCESS);
            names.push(bytes[basic::NAME..usize::try_from(needed).unwrap()].to_vec());
        }
        assert_eq!(names, [encode("A"), encode("b")], "not those further below");
        let (status, ..) = tell(&k, "ZwEnumerateKey", &[key.0, 0, 3], 64).await?;
        assert_eq!(
            status,
            NtStatus::INVALID_PARAMETER,
            "KeyNameInformation is for ZwQueryKey"
        );
        let (status, ..) = tell(&k, "ZwEnumerateKey", &[key.0, 0, 0], 4).await?;
        assert_eq!(status, NtStatus::BUFFER_TOO_SMALL);

        let mut values = Vec::new();
        for index in 0.. {
            let (status, _, bytes) = tell(&k, "ZwEnumerateValueKey", &[key.0, index, 2], 16).await?;
            if status == NtStatus::NO_MORE_ENTRIES {
                break;
            }
            values.push((status, number(&bytes, 12)));
        }
        assert_eq!(values, [(NtStatus::SUCCESS, 1), (NtStatus::SUCCESS, 2)]);
        // KeyValuePartialInformationAlign64 has no title index.
        let (status, needed, bytes) = tell(&k, "ZwEnumerateValueKey", &[key.0, 1, 4], 16).await?;
        assert_eq!((status, needed), (NtStatus::SUCCESS, 12));
        assert_eq!(bytes[..12], [4, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0]);
        close(&k, key).await
    });
}

#[test]
fn a_deleted_keys_handles_can_only_be_closed() {
    run(|k| async move {
        create_key(&k, &format!("{KEY}\\x\\below"));
        let key = open_key(&k, Handle(0), &format!("{KEY}\\x"), KEY_READ).await?.unwrap();
        let below = open_key(&k, key, "below", KEY_READ).await?.unwrap();
        assert_eq!(call(&k, "ZwDeleteKey", &[key.0]).await?, NtStatus::CANNOT_DELETE);
        assert_eq!(call(&k, "ZwDeleteKey", &[below.0]).await?, NtStatus::SUCCESS);
        assert_eq!(call(&k, "ZwDeleteKey", &[key.0]).await?, NtStatus::SUCCESS);
        let again = open_key(&k, Handle(0), &format!("{KEY}\\x"), KEY_READ).await?;
        assert_eq!(again, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        // A new key of the same name is another one.
        set_value(&k, &format!("{KEY}\\x"), "v", Value::Dword(1));
        assert_eq!(query(&k, key, "v", 2, 16).await?.0, NtStatus::KEY_DELETED);
        assert_eq!(call(&k, "ZwFlushKey", &[key.0]).await?, NtStatus::KEY_DELETED);
        close(&k, below).await?;
        close(&k, key).await
    });
}

#[test]
fn a_volatile_key_has_volatile_keys_below_it() {
    run(|k| async move {
        const VOLATILE: u64 = 1;
        create_key(&k, KEY);
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        let (status, made) = create(&k, key, "v", "", VOLATILE).await?;
        assert_eq!(status, NtStatus::SUCCESS);
        assert_eq!(create(&k, made, "w", "", 0).await?.0, NtStatus::CHILD_MUST_BE_VOLATILE);
        let (status, below) = create(&k, made, "w", "", VOLATILE).await?;
        assert_eq!(status, NtStatus::SUCCESS);
        assert_eq!(call(&k, "ZwFlushKey", &[below.0]).await?, NtStatus::SUCCESS);
        for handle in [below, made, key] {
            close(&k, handle).await?;
        }
        Ok(())
    });
}

#[test]
fn a_renamed_key_keeps_its_handles_and_what_is_below_it() {
    run(|k| async move {
        set_value(&k, &format!("{KEY}\\old\\below"), "v", Value::Dword(7));
        let variable = k.allocate_system(8, "handle")?;
        let attributes = attributes_of(&k, Handle(0), &format!("{KEY}\\old"))?.get();
        let arguments = [variable.get(), KEY_READ.into(), attributes, 0];
        assert_eq!(call(&k, "ZwOpenKeyEx", &arguments).await?, NtStatus::SUCCESS);
        let key: Handle = k.read(variable)?;
        let name = counted(&k, "New")?;
        assert_eq!(call(&k, "ZwRenameKey", &[key.0, name.get()]).await?, NtStatus::SUCCESS);
        assert_eq!(value(&k, &format!("{KEY}\\new\\below"), "v"), Some(Value::Dword(7)));
        let below = open_key(&k, key, "below", KEY_READ).await?.unwrap();
        let (_, needed, bytes) = tell(&k, "ZwQueryKey", &[key.0, 0], 64).await?;
        assert_eq!(bytes[basic::NAME..usize::try_from(needed).unwrap()], encode("New"));
        close(&k, below).await?;
        close(&k, key).await
    });
}

#[test]
fn the_registry_is_written_by_one_call() {
    const SERVICES: u64 = 1;
    const HANDLE: u64 = 0x4000_0000;
    run(|k| async move {
        create_key(&k, KEY);
        let text = |text: &str| -> Outcome<u64> {
            let bytes = encode(&format!("{text}\0"));
            let at = k.allocate_system(bytes.len(), "text")?;
            k.write_bytes(at, &bytes)?;
            Ok(at.get())
        };
        let data = k.allocate_system(4, "data")?;
        k.write(data, 9_u32)?;
        let path = text("test\\Parameters")?;
        assert_eq!(
            call(&k, "RtlCheckRegistryKey", &[SERVICES, path]).await?,
            NtStatus::OBJECT_NAME_NOT_FOUND
        );
        let write = async |relative, path, name: &str| {
            let arguments = [relative, path, text(name)?, 4, data.get(), 4];
            call(&k, "RtlWriteRegistryValue", &arguments).await
        };
        assert_eq!(write(SERVICES, path, "Level").await?, NtStatus::SUCCESS);
        let nine = Some(Value::Raw {
            kind: 4,
            data: vec![9, 0, 0, 0],
        });
        assert_eq!(
            value(&k, &format!("{KEY}\\Parameters"), "level"),
            nine,
            "the key is made"
        );
        assert_eq!(
            call(&k, "RtlCheckRegistryKey", &[SERVICES, path]).await?,
            NtStatus::SUCCESS
        );
        let missing = write(SERVICES, text("test\\a\\b")?, "x").await?;
        assert_eq!(missing, NtStatus::OBJECT_NAME_NOT_FOUND, "only the last key is made");
        assert_eq!(write(17, path, "x").await?, NtStatus::INVALID_PARAMETER);
        let delete = async || call(&k, "RtlDeleteRegistryValue", &[SERVICES, path, text("LEVEL")?]).await;
        assert_eq!(delete().await?, NtStatus::SUCCESS);
        assert_eq!(delete().await?, NtStatus::OBJECT_NAME_NOT_FOUND);
        let other = text("test\\Other")?;
        assert_eq!(
            call(&k, "RtlCreateRegistryKey", &[SERVICES, other]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(
            call(&k, "RtlCheckRegistryKey", &[SERVICES, other]).await?,
            NtStatus::SUCCESS
        );

        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        assert_eq!(write(HANDLE, key.0, "ByHandle").await?, NtStatus::SUCCESS);
        assert_eq!(value(&k, KEY, "ByHandle"), nine);
        // As documented, the check closes the handle.
        assert_eq!(
            call(&k, "RtlCheckRegistryKey", &[HANDLE, key.0]).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(query(&k, key, "ByHandle", 2, 16).await?.0, NtStatus::INVALID_HANDLE);
        Ok(())
    });
}
