//! The I/O manager's small answers, through the exports.

use ntlayout::{file_object, irp as irp_layout, share_access};

use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    ddi::testing::{buffer, bugcheck_of, call, call_at, clean, counted, status},
    io::{device, driver},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    ob::reference,
    status::NtStatus,
};

/// A driver object with `count` devices, in the order in which it has them.
fn driver_with_devices(k: &Kernel, count: usize) -> Outcome<(Va, Vec<Va>)> {
    let nowhere = driver::LoadedImage {
        base: Va::NULL,
        size: 0,
        entry: Va::NULL,
    };
    let object = driver::create(k, "test", nowhere)?;
    let mut devices = Vec::new();
    for _ in 0..count {
        let spec = device::Spec {
            driver: object,
            extension_size: 0,
            name: None,
            device_type: 0x22,
            characteristics: 0,
            exclusive: false,
        };
        let device = device::create(k, spec)?.expect("it has no name");
        let flags: u32 = k.read(device + ntlayout::device_object::FLAGS)?;
        k.write(
            device + ntlayout::device_object::FLAGS,
            flags & !device::DO_DEVICE_INITIALIZING,
        )?;
        devices.insert(0, device);
    }
    Ok((object, devices))
}

#[test]
fn a_stack_is_walked_up_and_down() {
    clean(|k| async move {
        let (_, devices) = driver_with_devices(&k, 3)?;
        let [bottom, middle, top] = devices[..] else {
            unreachable!("three devices")
        };
        let attached_to = buffer(&k, 8)?;
        let arguments = [middle.get(), bottom.get(), attached_to.get()];
        let attached = status(&k, "IoAttachDeviceToDeviceStackSafe", &arguments).await?;
        assert_eq!((attached, k.read::<Va>(attached_to)?), (NtStatus::SUCCESS, bottom));
        let arguments = [top.get(), bottom.get()];
        let attached = status(&k, "IoAttachDeviceByPointer", &arguments).await?;
        assert_eq!(attached, NtStatus::SUCCESS);

        let ask = async |name: &str, device: Va| call(&k, name, &[device.get()]).await.map(Va);
        assert_eq!(ask("IoGetAttachedDevice", bottom).await?, top);
        assert_eq!(reference::count(&k, top), 0, "it is not referenced");
        assert_eq!(ask("IoGetLowerDeviceObject", top).await?, middle);
        assert_eq!(ask("IoGetDeviceAttachmentBaseRef", top).await?, bottom);
        assert_eq!(ask("IoGetLowerDeviceObject", bottom).await?, Va::NULL);
        assert_eq!((reference::count(&k, middle), reference::count(&k, bottom)), (1, 1));

        let disk = status(&k, "IoGetDiskDeviceObject", &[bottom.get(), attached_to.get()]).await?;
        assert_eq!(disk, NtStatus::INVALID_PARAMETER, "no volume is mounted");
        let node = status(&k, "IoGetDeviceNumaNode", &[top.get(), attached_to.get()]).await?;
        assert_eq!(node, NtStatus::INVALID_PARAMETER, "it is no physical device object");
        Ok(())
    });
}

#[test]
fn a_drivers_devices_are_enumerated_as_far_as_there_is_room() {
    clean(|k| async move {
        let (driver, devices) = driver_with_devices(&k, 2)?;
        let (list, actual) = (buffer(&k, 16)?, buffer(&k, 4)?);
        let enumerate = async |size: u64| {
            let arguments = [driver.get(), list.get(), size, actual.get()];
            let status = status(&k, "IoEnumerateDeviceObjectList", &arguments).await?;
            Ok((status, k.read::<u32>(actual)?))
        };
        assert_eq!(enumerate(8).await?, (NtStatus::BUFFER_TOO_SMALL, 2));
        assert_eq!(reference::count(&k, devices[0]), 1);
        assert_eq!(enumerate(16).await?, (NtStatus::SUCCESS, 2));
        assert_eq!(
            (k.read::<Va>(list)?, k.read::<Va>(list + 8_u64)?),
            (devices[0], devices[1])
        );
        assert_eq!(
            (reference::count(&k, devices[0]), reference::count(&k, devices[1])),
            (2, 1)
        );
        Ok(())
    });
}

#[test]
fn a_driver_object_has_extensions_by_identifier() {
    clean(|k| async move {
        let (driver, _) = driver_with_devices(&k, 0)?;
        let variable = buffer(&k, 8)?;
        let allocate = async |id: u64| {
            let arguments = [driver.get(), id, 24, variable.get()];
            status(&k, "IoAllocateDriverObjectExtension", &arguments).await
        };
        assert_eq!(allocate(1).await?, NtStatus::SUCCESS);
        let first: Va = k.read(variable)?;
        k.write(first + 16_u64, 5_u64)?;
        assert_eq!(allocate(1).await?, NtStatus::OBJECT_NAME_COLLISION);
        assert_eq!(k.read::<Va>(variable)?, Va::NULL);
        let get = async |id: u64| call(&k, "IoGetDriverObjectExtension", &[driver.get(), id]).await;
        assert_eq!((get(1).await?, get(2).await?), (first.get(), 0));
        super::driver_extension::driver_gone(&k, driver)?;
        assert_eq!(get(1).await?, 0);
        Ok(())
    });
}

#[test]
fn the_version_of_wdm_is_that_of_windows() {
    clean(|k| async move {
        let available = async |major: u64, minor: u64| call(&k, "IoIsWdmVersionAvailable", &[major, minor]).await;
        assert_eq!(available(1, 0x30).await?, 1);
        assert_eq!(available(6, 0).await?, 1);
        assert_eq!(available(6, 1).await?, 0);
        assert_eq!(available(7, 0).await?, 0);
        assert_eq!(call(&k, "IoIs32bitProcess", &[0]).await?, 0);
        let information = Va(call(&k, "IoGetConfigurationInformation", &[]).await?);
        assert_eq!(k.read::<u32>(information)?, 0, "DiskCount");
        k.write(information, 1_u32)?;
        let again = Va(call(&k, "IoGetConfigurationInformation", &[]).await?);
        assert_eq!(k.read::<u32>(again)?, 1);
        let nothing = status(&k, "IoQueryDeviceDescription", &[0; 8]).await?;
        assert_eq!(nothing, NtStatus::OBJECT_NAME_NOT_FOUND);
        Ok(())
    });
    let at_dispatch = bugcheck_of(|k| async move {
        call_at(&k, Irql::DISPATCH, "IoIsWdmVersionAvailable", &[1, 0]).await?;
        Ok(())
    });
    assert_eq!(at_dispatch.1, 0x2_000E);
}

#[test]
fn a_thread_has_a_stack_a_top_level_irp_and_a_device_to_verify() {
    clean(|k| async move {
        let (low, high) = (buffer(&k, 8)?, buffer(&k, 8)?);
        call(&k, "IoGetStackLimits", &[low.get(), high.get()]).await?;
        let (low, high): (u64, u64) = (k.read(low)?, k.read(high)?);
        assert_eq!(high - low, crate::mm::layout::STACK_SIZE);
        assert_eq!(call(&k, "IoGetInitialStack", &[]).await?, high);
        let within = async |start: u64, length: u64| call(&k, "IoWithinStackLimits", &[start, length]).await;
        assert_eq!(within(low, high - low).await?, 1);
        assert_eq!(within(low, high - low + 1).await?, 0);
        assert_eq!(within(low - 8, 16).await?, 0);

        assert_eq!(call(&k, "IoGetTopLevelIrp", &[]).await?, 0);
        call(&k, "IoSetTopLevelIrp", &[1]).await?;
        assert_eq!(call(&k, "IoGetTopLevelIrp", &[]).await?, 1);

        let thread = k.thread_object(k.current_thread().unwrap());
        let irp = buffer(&k, irp_layout::SIZE)?;
        k.write(irp + irp_layout::THREAD, thread)?;
        call(&k, "IoSetHardErrorOrVerifyDevice", &[irp.get(), 0x10]).await?;
        assert_eq!(call(&k, "IoGetDeviceToVerify", &[thread.get()]).await?, 0x10);
        call(&k, "IoSetDeviceToVerify", &[thread.get(), 0]).await?;
        assert_eq!(call(&k, "IoGetDeviceToVerify", &[thread.get()]).await?, 0);

        assert_eq!(call(&k, "IoSetThreadHardErrorMode", &[0]).await?, 1);
        assert_eq!(call(&k, "IoSetThreadHardErrorMode", &[1]).await?, 0);
        assert_eq!(call(&k, "IoSetThreadHardErrorMode", &[1]).await?, 1);
        Ok(())
    });
}

#[test]
fn files_are_shared_as_everybody_allows() {
    const READ: u64 = 1;
    const WRITE: u64 = 2;
    clean(|k| async move {
        let counts = buffer(&k, 32)?;
        let file = || buffer(&k, file_object::SIZE);
        let (first, second, third) = (file()?, file()?, file()?);
        // The first reads, and lets others read.
        call(&k, "IoSetShareAccess", &[READ, 1, first.get(), counts.get()]).await?;
        assert_eq!(k.read::<u8>(first + file_object::READ_ACCESS)?, 1);
        let check = async |access: u64, share: u64, file: Va| {
            let arguments = [access, share, file.get(), counts.get(), 1];
            status(&k, "IoCheckShareAccess", &arguments).await
        };
        assert_eq!(check(WRITE, 3, second).await?, NtStatus::SHARING_VIOLATION);
        assert_eq!(
            check(READ, 2, second).await?,
            NtStatus::SHARING_VIOLATION,
            "it keeps the reader out"
        );
        assert_eq!(check(READ, 1, second).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(counts + share_access::OPEN_COUNT)?, 2);
        assert_eq!(check(0x80, 0, third).await?, NtStatus::SUCCESS, "attributes only");
        assert_eq!(k.read::<u32>(counts + share_access::OPEN_COUNT)?, 2);
        for file in [first, second] {
            call(&k, "IoRemoveShareAccess", &[file.get(), counts.get()]).await?;
        }
        assert_eq!(k.read_bytes(counts, share_access::SIZE)?, [0; share_access::SIZE]);
        call(&k, "IoUpdateShareAccess", &[first.get(), counts.get()]).await?;
        assert_eq!(k.read::<u32>(counts + share_access::SHARED_READ)?, 1);
        let mapping = Va(call(&k, "IoGetFileObjectGenericMapping", &[]).await?);
        assert_eq!(k.read::<u32>(mapping + 12_u64)?, 0x001F_01FF);
        Ok(())
    });
}

#[test]
fn the_lock_of_volume_parameter_blocks_is_a_spin_lock() {
    clean(|k| async move {
        let irql = buffer(&k, 1)?;
        let acquire = k.call(k.routine_address("IoAcquireVpbSpinLock"), &[irql.get()]);
        acquire.may_change_irql().await?;
        assert_eq!(k.irql(), Irql::DISPATCH);
        let release = k.call(k.routine_address("IoReleaseVpbSpinLock"), &[k.read::<u8>(irql)?.into()]);
        release.may_change_irql().await?;
        assert_eq!(k.irql(), Irql::PASSIVE);
        Ok(())
    });
    let not_held = bugcheck_of(|k| async move {
        call(&k, "IoReleaseVpbSpinLock", &[0]).await?;
        Ok(())
    });
    assert_eq!(not_held.0, Code::DRIVER_VERIFIER_DETECTED_VIOLATION);
}

#[test]
fn a_device_is_attached_to_by_name() {
    clean(|k| async move {
        let (_, devices) = driver_with_devices(&k, 1)?;
        let (name, attached) = (counted(&k, "\\Device\\Nobody")?, buffer(&k, 8)?);
        let arguments = [devices[0].get(), name.get(), attached.get()];
        let missing = status(&k, "IoAttachDevice", &arguments).await?;
        assert_eq!(missing, NtStatus::OBJECT_NAME_NOT_FOUND);
        Ok(())
    });
}

/// An IRP in a test's memory, whose current stack location is the only one.
fn irp_of(k: &Kernel, thread: Va) -> Outcome<(Va, Va)> {
    let irp = buffer(k, irp_layout::SIZE + ntlayout::io_stack_location::SIZE)?;
    let location = irp + irp_layout::SIZE;
    k.write(irp + irp_layout::CURRENT_STACK_LOCATION, location)?;
    k.write(irp + irp_layout::THREAD, thread)?;
    Ok((irp, location))
}

#[test]
fn an_irp_has_a_priority_and_an_activity() {
    clean(|k| async move {
        let (irp, _) = irp_of(&k, Va::NULL)?;
        let (get, set) = ("IoGetIoPriorityHint", "IoSetIoPriorityHint");
        assert_eq!(call(&k, get, &[irp.get()]).await?, 2, "normal");
        assert_eq!(status(&k, set, &[irp.get(), 0]).await?, NtStatus::SUCCESS);
        assert_eq!(call(&k, get, &[irp.get()]).await?, 0);
        assert_eq!(status(&k, set, &[irp.get(), 5]).await?, NtStatus::INVALID_PARAMETER);

        let id = buffer(&k, 16)?;
        let (get, set) = ("IoGetActivityIdIrp", "IoSetActivityIdIrp");
        assert_eq!(status(&k, get, &[irp.get(), id.get()]).await?, NtStatus::NOT_FOUND);
        k.write_bytes(id, &[3; 16])?;
        status(&k, set, &[irp.get(), id.get()]).await?;
        k.write_bytes(id, &[0; 16])?;
        assert_eq!(status(&k, get, &[irp.get(), id.get()]).await?, NtStatus::SUCCESS);
        assert_eq!(k.read_bytes(id, 16)?, [3; 16]);
        status(&k, set, &[irp.get(), 0]).await?;
        assert_eq!(status(&k, get, &[irp.get(), id.get()]).await?, NtStatus::NOT_FOUND);
        Ok(())
    });
}

#[test]
fn an_irp_is_asked_who_sent_it_and_how() {
    clean(|k| async move {
        let thread = k.thread_object(k.current_thread().unwrap());
        let (irp, location) = irp_of(&k, thread)?;
        let session = buffer(&k, 4)?;
        status(&k, "IoGetRequestorSessionId", &[irp.get(), session.get()]).await?;
        assert_eq!(k.read::<u32>(session)?, 0, "a thread of the system's");

        assert_eq!(call(&k, "IoIsOperationSynchronous", &[irp.get()]).await?, 0);
        let file = buffer(&k, file_object::SIZE)?;
        k.write(location + ntlayout::io_stack_location::FILE_OBJECT, file)?;
        k.write(file + file_object::FLAGS, 2_u32)?;
        assert_eq!(call(&k, "IoIsOperationSynchronous", &[irp.get()]).await?, 1);

        let validate = async |access: u64| status(&k, "IoValidateDeviceIoControlAccess", &[irp.get(), access]).await;
        assert_eq!(validate(3).await?, NtStatus::SUCCESS, "the kernel may do everything");
        assert_eq!(validate(4).await?, NtStatus::INVALID_PARAMETER);
        k.write(irp + irp_layout::REQUESTOR_MODE, 1_u8)?;
        assert_eq!(validate(1).await?, NtStatus::INVALID_PARAMETER, "no such file is open");
        Ok(())
    });
}
