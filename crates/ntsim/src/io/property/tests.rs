//! Properties of the edu's physical device object, and of its interfaces.

use crate::{
    bugcheck::Outcome,
    cm::{self, Value},
    ddi::testing::{buffer, call, counted, run_with_edu, status},
    io::{device_interface::Guid, pnp},
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

const BUFFER: u64 = 512;
const CLASS: [u8; 16] = [7; 16];
const ALIAS: [u8; 16] = [9; 16];

#[track_caller]
fn run<F>(script: impl FnOnce(Kernel, Va) -> F + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = run_with_edu(|k, slot| async move {
        let pdo = pnp::enumerate(&k, slot)?;
        script(k, pdo).await
    });
    if let Some(report) = machine.crash_report(None) {
        panic!("{report}");
    }
}

use std::future::Future;

/// A property, and how the routine ended.
async fn property(k: &Kernel, pdo: Va, number: u64, length: u64) -> Outcome<(NtStatus, Vec<u8>)> {
    let (at, result) = (buffer(k, 512)?, buffer(k, 4)?);
    let arguments = [pdo.get(), number, length, at.get(), result.get()];
    let status = status(k, "IoGetDeviceProperty", &arguments).await?;
    let length: u32 = k.read(result)?;
    let bytes = if status.is_success() {
        k.read_bytes(at, length as usize)?
    } else {
        vec![0; length as usize]
    };
    Ok((status, bytes))
}

fn text(bytes: &[u8]) -> String {
    let units: Vec<u16> = bytes
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    String::from_utf16(&units).unwrap()
}

#[test]
fn a_devices_properties_are_those_of_setup_and_the_bus() {
    run(|k, pdo| async move {
        let get = async |number: u64| {
            let (status, bytes) = property(&k, pdo, number, BUFFER).await?;
            assert_eq!(status, NtStatus::SUCCESS, "{number}");
            Ok(bytes)
        };
        assert_eq!(text(&get(0).await?), "PCI Device\0");
        let ids = text(&get(1).await?);
        assert!(ids.starts_with("PCI\\VEN_1234&DEV_11E8&SUBSYS_"));
        assert!(ids.ends_with("\0\0"));
        assert!(text(&get(2).await?).contains("\0PCI\\VEN_1234\0"));
        assert_eq!(text(&get(5).await?), "System\0");
        assert_eq!(text(&get(6).await?), "{4d36e97d-e325-11ce-bfc1-08002be10318}\0");
        assert_eq!(text(&get(7).await?), "{4d36e97d-e325-11ce-bfc1-08002be10318}\\0003\0");
        assert_eq!(text(&get(10).await?), "PCI bus 0, device 3, function 0\0");
        assert_eq!(text(&get(11).await?), "\\Device\\00000001\0");
        assert_eq!(get(12).await?, pnp::GUID_BUS_TYPE_PCI);
        assert_eq!(get(13).await?, [5, 0, 0, 0]);
        assert_eq!(get(14).await?, [0; 4]);
        assert_eq!(text(&get(15).await?), "PCI\0");
        assert_eq!(get(16).await?, [0, 0, 3, 0]);
        assert_eq!(get(17).await?, [0xFF; 4]);
        assert_eq!(get(18).await?, [0; 4], "it is installed");
        assert_eq!(get(19).await?, [1, 0, 0, 0]);
        assert_eq!(get(3).await?.len(), 60, "a header and two descriptors");
        let requirements = get(20).await?;
        assert_eq!(requirements[..4], [104, 0, 0, 0]);
        assert_eq!(requirements[48..52], [0, 0, 0x10, 0], "1 MiB of memory");
        Ok(())
    });
}

/// Drivers rely on the description when a device has no friendly name.
#[test]
fn a_device_without_hardware_has_a_description() {
    const DESCRIPTION: u64 = 0;
    const FRIENDLY_NAME: u64 = 9;
    run(|k, _| async move {
        let pdo = pnp::enumerate_root(&k, "toaster")?;
        let (status, bytes) = property(&k, pdo, DESCRIPTION, BUFFER).await?;
        assert_eq!(status, NtStatus::SUCCESS);
        assert_eq!(text(&bytes), "Software Device\0");
        let (status, _) = property(&k, pdo, FRIENDLY_NAME, BUFFER).await?;
        assert_eq!(status, NtStatus::OBJECT_NAME_NOT_FOUND);
        Ok(())
    });
}

#[test]
fn a_short_buffer_is_told_the_length_that_is_needed() {
    run(|k, pdo| async move {
        let (status, bytes) = property(&k, pdo, 15, 7).await?;
        assert_eq!((status, bytes.len()), (NtStatus::BUFFER_TOO_SMALL, 8));
        let (status, _) = property(&k, pdo, 23, BUFFER).await?;
        assert_eq!(status, NtStatus::INVALID_PARAMETER_2);
        let (status, _) = property(&k, pdo, 9, BUFFER).await?;
        assert_eq!(
            status,
            NtStatus::OBJECT_NAME_NOT_FOUND,
            "nobody gave it a friendly name"
        );
        let (status, _) = property(&k, pdo, 21, BUFFER).await?;
        assert_eq!(status, NtStatus::OBJECT_NAME_NOT_FOUND, "it is not started");
        let path = pnp::registry_key::device_key(&k, pdo).unwrap();
        cm::set_value(&k, &path, "FriendlyName", Value::Sz("Edu".to_owned()));
        let (status, bytes) = property(&k, pdo, 9, BUFFER).await?;
        assert_eq!((status, text(&bytes).as_str()), (NtStatus::SUCCESS, "Edu\0"));
        Ok(())
    });
}

#[test]
fn property_data_is_set_read_and_deleted() {
    run(|k, pdo| async move {
        let (key, at, required, kind) = (buffer(&k, 20)?, buffer(&k, 64)?, buffer(&k, 4)?, buffer(&k, 4)?);
        k.write_bytes(key, &CLASS)?;
        k.write(key + 16_u64, 4_u32)?;
        let get = async |size: u64| {
            let arguments = [pdo.get(), key.get(), 0, 0, size, at.get(), required.get(), kind.get()];
            status(&k, "IoGetDevicePropertyData", &arguments).await
        };
        let set = async |size: u64, data: Va| {
            let arguments = [pdo.get(), key.get(), 0, 0, 7, size, data.get()];
            status(&k, "IoSetDevicePropertyData", &arguments).await
        };
        assert_eq!(get(64).await?, NtStatus::OBJECT_NAME_NOT_FOUND);
        k.write(at, 0x1234_u32)?;
        assert_eq!(set(4, at).await?, NtStatus::SUCCESS);
        k.write(at, 0_u32)?;
        assert_eq!(get(2).await?, NtStatus::BUFFER_TOO_SMALL);
        assert_eq!((k.read::<u32>(required)?, k.read::<u32>(kind)?), (4, 7));
        assert_eq!(get(4).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(at)?, 0x1234);
        assert_eq!(set(0, Va::NULL).await?, NtStatus::SUCCESS);
        assert_eq!(get(64).await?, NtStatus::OBJECT_NAME_NOT_FOUND);

        // DEVPKEY_Device_ClassGuid, which is a GUID here.
        let category = Guid::parse("{a45c254e-df1c-4efd-8020-67d146a850e0}").unwrap();
        k.write_bytes(key, &category.0)?;
        k.write(key + 16_u64, 10_u32)?;
        assert_eq!(get(64).await?, NtStatus::SUCCESS);
        assert_eq!((k.read::<u32>(required)?, k.read::<u32>(kind)?), (16, 0x0D));
        Ok(())
    });
}

/// Registers an interface: its link.
async fn register(k: &Kernel, pdo: Va, class: [u8; 16]) -> Outcome<Va> {
    let (guid, link) = (buffer(k, 16)?, buffer(k, 16)?);
    k.write_bytes(guid, &class)?;
    let arguments = [pdo.get(), guid.get(), 0, link.get()];
    assert_eq!(
        status(k, "IoRegisterDeviceInterface", &arguments).await?,
        NtStatus::SUCCESS
    );
    Ok(link)
}

#[test]
fn interfaces_are_listed_by_class_and_have_aliases_and_properties() {
    run(|k, pdo| async move {
        let link = register(&k, pdo, CLASS).await?;
        let other = register(&k, pdo, ALIAS).await?;
        let (guid, variable) = (buffer(&k, 16)?, buffer(&k, 16)?);
        k.write_bytes(guid, &CLASS)?;
        let list = async |pdo: u64, flags: u64| {
            let arguments = [guid.get(), pdo, flags, variable.get()];
            assert_eq!(
                status(&k, "IoGetDeviceInterfaces", &arguments).await?,
                NtStatus::SUCCESS
            );
            let list: Va = k.read(variable)?;
            let first = crate::rtl::unicode_string::read_terminated(&k, list)?;
            call(&k, "ExFreePool", &[list.get()]).await?;
            Ok(first)
        };
        assert_eq!(list(0, 0).await?, "", "none is enabled");
        let name = crate::rtl::unicode_string::read(&k, link)?;
        assert_eq!(list(pdo.get(), 1).await?, name);
        status(&k, "IoSetDeviceInterfaceState", &[link.get(), 1]).await?;
        assert_eq!(list(0, 0).await?, name);

        k.write_bytes(guid, &ALIAS)?;
        let arguments = [link.get(), guid.get(), variable.get()];
        let found = status(&k, "IoGetDeviceInterfaceAlias", &arguments).await?;
        assert_eq!(found, NtStatus::SUCCESS);
        let read = crate::rtl::unicode_string::read;
        assert_eq!(read(&k, variable)?, read(&k, other)?);
        k.write_bytes(guid, &[3; 16])?;
        let none = status(&k, "IoGetDeviceInterfaceAlias", &arguments).await?;
        assert_eq!(none, NtStatus::OBJECT_NAME_NOT_FOUND);

        let (key, at) = (buffer(&k, 20)?, buffer(&k, 8)?);
        let arguments = [link.get(), key.get(), 0, 0, 7, 4, at.get()];
        let set = status(&k, "IoSetDeviceInterfacePropertyData", &arguments).await?;
        assert_eq!(set, NtStatus::SUCCESS);
        let sizes = buffer(&k, 8)?;
        let arguments = [link.get(), key.get(), 0, 0, 4, at.get(), sizes.get(), sizes.get() + 4];
        let get = status(&k, "IoGetDeviceInterfacePropertyData", &arguments).await?;
        assert_eq!((get, k.read::<u32>(sizes)?), (NtStatus::SUCCESS, 4));
        let nobody = counted(&k, "\\??\\nobody")?;
        let arguments = [nobody.get(), key.get(), 0, 0, 4, at.get(), sizes.get(), sizes.get() + 4];
        let get = status(&k, "IoGetDeviceInterfacePropertyData", &arguments).await?;
        assert_eq!(get, NtStatus::OBJECT_NAME_NOT_FOUND);
        Ok(())
    });
}
