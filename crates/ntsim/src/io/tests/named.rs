//! Devices with names, and programs that open them by name.

use ntlayout::{device_object, file_object};

use super::*;
use crate::{
    ob::{self, handle, testing},
    rtl::unicode_string,
    user::{Access, FILE_APPEND_DATA, Position},
};

/// A driver object that answers create, cleanup and close, and a named device of it.
fn named_device(k: &Kernel, name: &str, exclusive: bool) -> Outcome<(Va, Va)> {
    let nowhere = driver::LoadedImage {
        base: Va::NULL,
        size: 0,
        entry: Va::NULL,
    };
    let object = driver::create(k, "named", nowhere)?;
    for (major, function) in [
        (Major::CREATE, SUCCEED),
        (Major::CLEANUP, SUCCEED),
        (Major::CLOSE, SUCCEED),
        (Major::READ, CONTROL),
        (Major::WRITE, CONTROL),
        (Major::DEVICE_CONTROL, CONTROL),
    ] {
        let entry = object + driver_object::MAJOR_FUNCTION + usize::from(major.0) * 8;
        k.write(entry, Program::address(function))?;
    }
    let device = device::create(k, spec(object, Some(name), 0, exclusive))?.expect("the name is free");
    k.write(
        device + device_object::FLAGS,
        if exclusive { device::DO_EXCLUSIVE } else { 0 },
    )?;
    Ok((object, device))
}

fn spec(driver: Va, name: Option<&str>, characteristics: u32, exclusive: bool) -> device::Spec {
    device::Spec {
        driver,
        extension_size: 0,
        name: name.map(str::to_owned),
        device_type: 0x22,
        characteristics,
        exclusive,
    }
}

fn run_named<F>(program: &Program, script: impl FnOnce(Kernel) -> F + 'static)
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::user("program"), script);
    let _: RunEnd = machine.run();
    assert_clean(&machine);
}

#[test]
fn a_program_opens_a_device_by_name_and_asks_it() {
    run_named(&driver(invert), |k| async move {
        let (_, device) = named_device(&k, "\\Device\\Named", false)?;
        let names = [
            testing::counted(&k, "\\DosDevices\\Friend")?,
            testing::counted(&k, "\\Device\\Named")?,
        ];
        testing::call(&k, "IoCreateSymbolicLink", &names.map(Va::get)).await?;
        for name in ["\\\\.\\friend", "\\\\.\\GLOBALROOT\\Device\\Named", "\\Device\\NAMED"] {
            let handle = open(&k, name).await?;
            let request = handle.device_io_control(&k, BUFFERED, &[1, 2, 3, 4], 4).await?;
            assert_eq!(request.wait(&k).await?.output, [254, 253, 252, 251]);
            handle.close(&k).await?;
        }
        assert_eq!(k.read::<i32>(device + device_object::REFERENCE_COUNT)?, 0);
        let absent = Handle::open(&k, "\\\\.\\stranger", FILE_READ_DATA).await?;
        assert_eq!(absent.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
        let directory = Handle::open(&k, "\\Device", FILE_READ_DATA).await?;
        assert_eq!(directory.unwrap_err(), NtStatus::OBJECT_TYPE_MISMATCH);
        Ok(())
    });
}

#[test]
fn what_is_left_of_a_name_is_the_file_name_of_the_file_object() {
    run_named(&driver(invert), |k| async move {
        let (_, device) = named_device(&k, "\\Device\\Named", false)?;
        for (path, expected) in [
            ("\\Device\\Named\\a\\B", "\\a\\B"),
            ("\\Device\\Named\\", "\\"),
            ("\\Device\\Named", ""),
        ] {
            let handle = open(&k, path).await?;
            let file = handle::find_for(&k, handle::Handle(handle.value()), crate::sched::Mode::User)?.unwrap();
            let file = file.object.unwrap();
            assert_eq!(unicode_string::read(&k, file + file_object::FILE_NAME)?, expected);
            assert_eq!(k.read::<Va>(file + file_object::DEVICE_OBJECT)?, device);
            assert_eq!(ob::name::of(&k, file).unwrap(), path);
            handle.close(&k).await?;
        }
        Ok(())
    });
}

#[test]
fn a_device_interface_with_a_reference_string_gives_the_driver_that_string() {
    let machine = run(&driver(invert), 1, |k, pdo, _| async move {
        let class = k.allocate_system(guid::SIZE, "GUID")?;
        k.write_bytes(class, &CLASS)?;
        let string = k.allocate_system(ntlayout::unicode_string::SIZE, "UNICODE_STRING")?;
        let arguments = [
            pdo.get(),
            class.get(),
            testing::counted(&k, "port1")?.get(),
            string.get(),
        ];
        device_interface::register_interface(&k, &Args::of(&arguments))?;
        device_interface::set_state(&k, &Args::of(&[string.get(), 1]))?;
        let link = unicode_string::read(&k, string)?;
        let handle = open(&k, &link.to_uppercase()).await?;
        let files: Vec<Va> = k.io().borrow().files.keys().copied().collect();
        assert_eq!(unicode_string::read(&k, files[0] + file_object::FILE_NAME)?, "\\PORT1");
        handle.close(&k).await
    });
    assert_clean(&machine);
}

#[test]
fn an_exclusive_device_is_opened_once_at_a_time() {
    run_named(&driver(invert), |k| async move {
        named_device(&k, "\\Device\\Alone", true)?;
        let first = open(&k, "\\Device\\Alone").await?;
        let second = Handle::open(&k, "\\Device\\Alone", FILE_READ_DATA).await?;
        assert_eq!(second.unwrap_err(), NtStatus::ACCESS_DENIED);
        first.close(&k).await?;
        open(&k, "\\Device\\Alone").await?.close(&k).await
    });
}

#[test]
fn a_device_that_is_being_initialised_or_was_deleted_cannot_be_opened() {
    run_named(&driver(invert), |k| async move {
        let (_, device) = named_device(&k, "\\Device\\Named", false)?;
        k.write(device + device_object::FLAGS, device::DO_DEVICE_INITIALIZING)?;
        let early = Handle::open(&k, "\\Device\\Named", FILE_READ_DATA).await?;
        assert_eq!(early.unwrap_err(), NtStatus::NO_SUCH_DEVICE);
        k.write(device + device_object::FLAGS, 0_u32)?;
        let handle = open(&k, "\\Device\\Named").await?;
        device::delete(&k, device)?;
        let late = Handle::open(&k, "\\Device\\Named", FILE_READ_DATA).await?;
        assert_eq!(late.unwrap_err(), NtStatus::OBJECT_NAME_NOT_FOUND);
        assert!(k.io().borrow().devices.exists(device), "a handle is open on it");
        handle.close(&k).await?;
        assert!(!k.io().borrow().devices.exists(device));
        Ok(())
    });
}

#[test]
fn names_of_devices_are_unique_or_made_by_the_system() {
    run_named(&driver(invert), |k| async move {
        let (driver, device) = named_device(&k, "\\Device\\Named", false)?;
        let taken = device::create(&k, spec(driver, Some("\\device\\NAMED"), 0, false))?;
        assert_eq!(taken, Err(NtStatus::OBJECT_NAME_COLLISION));
        let relative = device::create(&k, spec(driver, Some("Named"), 0, false))?;
        assert_eq!(relative, Err(NtStatus::OBJECT_PATH_SYNTAX_BAD));
        device::delete(&k, device)?;
        let again = device::create(&k, spec(driver, Some("\\Device\\Named"), 0, false))?.unwrap();
        let made = device::create(&k, spec(driver, None, 0x80, false))?.unwrap();
        let flags: u32 = k.read(made + device_object::FLAGS)?;
        assert_ne!(flags & 0x40, 0, "DO_DEVICE_HAS_NAME");
        assert_eq!(ob::name::of(&k, made).as_deref(), Some("\\Device\\00000001"));
        assert_eq!(ob::name::of(&k, again).as_deref(), Some("\\Device\\Named"));
        assert_eq!(ob::name::of(&k, driver).as_deref(), Some("\\Driver\\named"));
        device::delete(&k, again)?;
        device::delete(&k, made)
    });
}

#[test]
fn a_synchronous_handle_waits_for_each_request_and_has_a_position() {
    let program = driver(|f| {
        // Completes with the low half of the byte offset as the number of bytes.
        f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
        f.asm.mov(rax, qword_ptr(rax + stack::READ_WRITE_BYTE_OFFSET)).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    run_named(&program, |k| async move {
        named_device(&k, "\\Device\\Named", false)?;
        let access = Access {
            rights: FILE_READ_DATA,
            synchronous: true,
        };
        let handle = Handle::open_with(&k, "\\Device\\Named", access).await?.unwrap();
        let file = *k.io().borrow().files.keys().next().unwrap();
        assert_eq!(k.read::<u32>(file + file_object::FLAGS)? & 2, 2, "FO_SYNCHRONOUS_IO");
        k.write(file + file_object::CURRENT_BYTE_OFFSET, 3_i64)?;
        let read = handle.read_file(&k, 8, Position::CURRENT).await?;
        assert_eq!(read.result().unwrap().information, 3);
        handle.close(&k).await?;
        let overlapped = open(&k, "\\Device\\Named").await?;
        let read = overlapped.read_file(&k, 8, Position::CURRENT).await?;
        assert_eq!(read.result().unwrap().status, NtStatus::INVALID_PARAMETER);
        overlapped.close(&k).await
    });
}

/// What the driver got as byte offset when a file was written that was opened with `rights`.
fn offset_of_write(rights: u32) -> u64 {
    let program = driver(|f| {
        f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
        f.asm.mov(rax, qword_ptr(rax + stack::READ_WRITE_BYTE_OFFSET)).unwrap();
        f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
        f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
        complete(f);
        answer(f, NtStatus::SUCCESS);
    });
    let seen = Rc::new(RefCell::new(0));
    let offset = seen.clone();
    run_named(&program, move |k| async move {
        named_device(&k, "\\Device\\Named", false)?;
        let handle = Handle::open(&k, "\\Device\\Named", rights).await?.unwrap();
        let write = handle.write_file(&k, &[1], Position { offset: 5, key: 0 }).await?;
        *seen.borrow_mut() = write.wait(&k).await?.information;
        handle.close(&k).await
    });
    *offset.borrow()
}

#[test]
fn a_file_that_may_only_be_appended_to_is_written_at_its_end() {
    assert_eq!(offset_of_write(FILE_WRITE_DATA), 5);
    assert_eq!(offset_of_write(FILE_WRITE_DATA | FILE_APPEND_DATA), 5);
    assert_eq!(offset_of_write(FILE_APPEND_DATA), u64::MAX);
}
