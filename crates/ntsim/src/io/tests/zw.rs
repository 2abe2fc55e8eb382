//! The Zw routines on a device.

use ntlayout::{file_object, io_status_block as iosb};

use super::*;
use crate::ob::{
    handle::Handle,
    object::Type,
    reference,
    testing::{call, close, counted, memory, open, value},
};

/// Completes any request with the low half of its parameters' third word as `Information`; buffered requests get their first four bytes
/// inverted.
fn program() -> Program {
    driver(|f| {
        f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
        f.asm.mov(eax, dword_ptr(rax + stack::PARAMETERS)).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
        f.asm.mov(rax, qword_ptr(rbx + layout::SYSTEM_BUFFER)).unwrap();
        f.asm.not(dword_ptr(rax)).unwrap();
        complete(f);
        answer(f, NtStatus::SUCCESS);
    })
}

/// A device called `\Device\Zw` with buffered I/O, whose driver answers every request.
fn device(k: &Kernel) -> Outcome<Va> {
    let nowhere = driver::LoadedImage {
        base: Va::NULL,
        size: 0,
        entry: Va::NULL,
    };
    let object = driver::create(k, "zw", nowhere)?;
    for major in 0..Major::COUNT {
        let function = if [0, 2, 0x12].contains(&major) {
            SUCCEED
        } else {
            CONTROL
        };
        let entry = object + driver_object::MAJOR_FUNCTION + usize::from(major) * 8;
        k.write(entry, Program::address(function))?;
    }
    let spec = device::Spec {
        driver: object,
        extension_size: 0,
        name: Some("\\Device\\Zw".to_owned()),
        device_type: 0x22,
        characteristics: 0x100,
        exclusive: false,
    };
    let device = device::create(k, spec)?.expect("the name is free");
    k.write(device + ntlayout::device_object::FLAGS, device::DO_BUFFERED_IO)?;
    Ok(device)
}

fn run_zw<F>(script: impl FnOnce(Kernel, Va) -> F + 'static)
where
    F: std::future::Future<Output = Outcome<()>> + 'static,
{
    let machine = program().machine(1);
    machine.spawn(ThreadSpec::system("test"), move |k| async move {
        let device = device(&k)?;
        script(k, device).await
    });
    let _: RunEnd = machine.run();
    assert_clean(&machine);
}

/// `ZwCreateFile` of the device with create options: the handle.
async fn create(k: &Kernel, options: u64) -> Outcome<Result<Handle, NtStatus>> {
    let block = memory(k, iosb::SIZE)?;
    open(
        k,
        "ZwCreateFile",
        "\\Device\\Zw\\file",
        &[block.get(), 0, 0, 7, 1, options, 0, 0],
    )
    .await
}

const SYNCHRONOUS: u64 = 0x20;

#[test]
fn a_driver_opens_a_device_and_moves_data() {
    run_zw(|k, device| async move {
        let handle = create(&k, SYNCHRONOUS).await?.unwrap();
        let (block, buffer, offset) = (memory(&k, iosb::SIZE)?, memory(&k, 8)?, memory(&k, 8)?);
        let transfer = [handle.0, 0, 0, 0, block.get(), buffer.get(), 4, offset.get(), 0];
        assert_eq!(call(&k, "ZwReadFile", &transfer).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u64>(block + iosb::INFORMATION)?, 4);
        // The system buffer held stale bytes, which the driver has inverted.
        assert_eq!(k.read::<u32>(buffer)?, !0xA5A5_A5A5);
        assert_eq!(call(&k, "ZwWriteFile", &transfer).await?, NtStatus::SUCCESS);
        k.write(buffer, 0x0102_0304_u32)?;
        // CTL_CODE with METHOD_BUFFERED and any access: 4 bytes each way.
        let control = [
            handle.0,
            0,
            0,
            0,
            block.get(),
            0x0022_2000,
            buffer.get(),
            4,
            buffer.get(),
            4,
        ];
        assert_eq!(call(&k, "ZwDeviceIoControlFile", &control).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(buffer)?, !0x0102_0304);
        let volume = [handle.0, block.get(), buffer.get(), 8, 4];
        assert_eq!(
            call(&k, "ZwQueryVolumeInformationFile", &volume).await?,
            NtStatus::SUCCESS
        );
        assert_eq!((k.read::<u32>(buffer)?, k.read::<u32>(buffer + 4_u64)?), (0x22, 0x100));
        close(&k, handle).await?;
        assert_eq!(k.read::<i32>(device + ntlayout::device_object::REFERENCE_COUNT)?, 0);
        Ok(())
    });
}

#[test]
fn a_synchronous_file_has_a_position_and_others_need_an_offset() {
    run_zw(|k, _| async move {
        let handle = create(&k, SYNCHRONOUS).await?.unwrap();
        let (block, buffer) = (memory(&k, iosb::SIZE)?, memory(&k, 8)?);
        k.write(buffer, 0x1000_u64)?;
        let position = [handle.0, block.get(), buffer.get(), 8, 14];
        assert_eq!(call(&k, "ZwSetInformationFile", &position).await?, NtStatus::SUCCESS);
        let files: Vec<Va> = k.io().borrow().files.keys().copied().collect();
        assert_eq!(k.read::<u64>(files[0] + file_object::CURRENT_BYTE_OFFSET)?, 0x1000);
        k.write(buffer, 0_u64)?;
        assert_eq!(call(&k, "ZwQueryInformationFile", &position).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u64>(buffer)?, 0x1000);
        let short = [handle.0, block.get(), buffer.get(), 7, 14];
        assert_eq!(
            call(&k, "ZwQueryInformationFile", &short).await?,
            NtStatus::INFO_LENGTH_MISMATCH
        );
        let unknown = [handle.0, block.get(), buffer.get(), 8, 500];
        assert_eq!(
            call(&k, "ZwQueryInformationFile", &unknown).await?,
            NtStatus::INVALID_INFO_CLASS
        );
        close(&k, handle).await?;
        let handle = create(&k, 0).await?.unwrap();
        let read = [handle.0, 0, 0, 0, block.get(), buffer.get(), 4, 0, 0];
        assert_eq!(call(&k, "ZwReadFile", &read).await?, NtStatus::INVALID_PARAMETER);
        close(&k, handle).await
    });
}

#[test]
fn opens_are_checked() {
    run_zw(|k, _| async move {
        // Both kinds of synchronous I/O, a directory that is none, options that do not exist.
        for options in [0x30, 0x41, 0x0100_0000] {
            assert_eq!(
                create(&k, options).await?,
                Err(NtStatus::INVALID_PARAMETER),
                "{options:#x}"
            );
        }
        let block = memory(&k, iosb::SIZE)?;
        let absent = open(&k, "ZwOpenFile", "\\Device\\Nothing", &[block.get(), 7, 0]).await?;
        assert_eq!(absent, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        let handle = open(&k, "ZwOpenFile", "\\Device\\Zw", &[block.get(), 7, 0])
            .await?
            .unwrap();
        assert_eq!(k.read::<u64>(block + iosb::INFORMATION)?, 0);
        close(&k, handle).await?;
        let io = [block.get(), 0, 0, 7, 1, 0, 0, 0, 0, 0, 0];
        let handle = open(&k, "IoCreateFile", "\\Device\\Zw", &io).await?.unwrap();
        close(&k, handle).await
    });
}

#[test]
fn an_event_is_set_when_the_request_has_ended() {
    run_zw(|k, _| async move {
        use crate::ob::{handle, object};
        let event = object::create(&k, Type::Event, ntlayout::kevent::SIZE)?;
        crate::ke::event::initialize(&k, event, crate::ke::event::EventType::Notification, false)?;
        let event_handle = handle::open_object(&k, event, 3, handle::OBJ_KERNEL_HANDLE);
        let file = create(&k, 0).await?.unwrap();
        let (block, buffer, offset) = (memory(&k, iosb::SIZE)?, memory(&k, 8)?, memory(&k, 8)?);
        let read = [
            file.0,
            event_handle.0,
            0,
            0,
            block.get(),
            buffer.get(),
            4,
            offset.get(),
            0,
        ];
        assert_eq!(call(&k, "ZwReadFile", &read).await?, NtStatus::SUCCESS);
        assert_eq!(crate::ke::event::state(&k, event)?, 1);
        let wrong = [file.0, file.0, 0, 0, block.get(), buffer.get(), 4, offset.get(), 0];
        assert_eq!(call(&k, "ZwReadFile", &wrong).await?, NtStatus::OBJECT_TYPE_MISMATCH);
        close(&k, event_handle).await?;
        close(&k, file).await
    });
}

#[test]
fn a_device_object_pointer_keeps_the_device_until_the_file_object_is_given_back() {
    run_zw(|k, device| async move {
        let (file, found) = (memory(&k, 8)?, memory(&k, 8)?);
        let name = counted(&k, "\\Device\\Zw")?;
        let arguments = [name.get(), 0x80, file.get(), found.get()];
        assert_eq!(
            call(&k, "IoGetDeviceObjectPointer", &arguments).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<Va>(found)?, device);
        let file: Va = k.read(file)?;
        assert_eq!(
            value(&k, "IoGetRelatedDeviceObject", &[file.get()]).await?,
            device.get()
        );
        assert_eq!(
            value(&k, "IoGetBaseFileSystemDeviceObject", &[file.get()]).await?,
            device.get()
        );
        assert_eq!(reference::count(&k, file), 1);
        assert_eq!(k.read::<i32>(device + ntlayout::device_object::REFERENCE_COUNT)?, 1);
        value(&k, "ObfDereferenceObject", &[file.get()]).await?;
        assert_eq!(k.read::<i32>(device + ntlayout::device_object::REFERENCE_COUNT)?, 0);
        assert!(k.io().borrow().files.is_empty());
        let absent = [counted(&k, "\\Device\\Nothing")?.get(), 0x80, found.get(), found.get()];
        let status = call(&k, "IoGetDeviceObjectPointer", &absent).await?;
        assert_eq!(status, NtStatus::OBJECT_NAME_NOT_FOUND);
        Ok(())
    });
}
