//! Handles, references and types.

use super::super::{
    handle::{self, Handle},
    object::{self, Type},
    testing::*,
    types,
};
use crate::{
    bugcheck::{BugCheckCode as Code, Outcome},
    kernel::Kernel,
    mm::Va,
    ob, ps,
    rtl::unicode_string,
    sched::ThreadSpec,
    status::NtStatus,
};

const ALL: u64 = 0x001F_0003;

/// An event object with a kernel handle of it.
fn event(k: &Kernel, access: u32) -> Outcome<(Va, Handle)> {
    let object = object::create(k, Type::Event, ntlayout::kevent::SIZE)?;
    crate::ke::event::initialize(k, object, crate::ke::event::EventType::Notification, false)?;
    Ok((
        object,
        handle::open_object(k, object, access, handle::OBJ_KERNEL_HANDLE),
    ))
}

/// `ObReferenceObjectByHandle`: its status, the object, and the handle's information.
async fn by_handle(k: &Kernel, handle: u64, kind: Option<Type>, user: bool) -> Outcome<(NtStatus, Va, u64)> {
    let (variable, information) = (memory(k, 8)?, memory(k, 8)?);
    let kind = match kind {
        Some(kind) => types::object_of(k, kind)?,
        None => Va::NULL,
    };
    let arguments = [
        handle,
        ALL,
        kind.get(),
        u64::from(user),
        variable.get(),
        information.get(),
    ];
    let status = call(k, "ObReferenceObjectByHandle", &arguments).await?;
    Ok((status, k.read(variable)?, k.read(information)?))
}

#[test]
fn a_handle_leads_to_its_object_when_the_type_fits() {
    run(|k| async move {
        let (object, handle) = event(&k, 0x0010_0000)?;
        let (status, found, information) = by_handle(&k, handle.0, Some(Type::Event), false).await?;
        assert_eq!((status, found), (NtStatus::SUCCESS, object));
        assert_eq!(
            information,
            0x0010_0000 << 32,
            "no attributes, and the access that was granted"
        );
        let wrong = by_handle(&k, handle.0, Some(Type::File), false).await?;
        assert_eq!((wrong.0, wrong.1), (NtStatus::OBJECT_TYPE_MISMATCH, Va::NULL));
        assert_eq!(
            by_handle(&k, 0x7777_7777, None, false).await?.0,
            NtStatus::INVALID_HANDLE
        );
        // A program cannot use the kernel's handles.
        assert_eq!(by_handle(&k, handle.0, None, true).await?.0, NtStatus::INVALID_HANDLE);
        // The reference keeps the object.
        close(&k, handle).await?;
        assert_eq!(object::type_of(&k, object), Some(Type::Event));
        value(&k, "ObfDereferenceObject", &[object.get()]).await?;
        assert_eq!(object::type_of(&k, object), None);
        Ok(())
    });
}

#[test]
fn a_programs_handle_gives_a_driver_what_the_program_may_do() {
    let machine = crate::machine::Machine::new(crate::kernel::Config::default()).unwrap();
    machine.spawn(ThreadSpec::user("program"), |k| async move {
        let object = object::create(&k, Type::Event, ntlayout::kevent::SIZE)?;
        let weak = handle::open_for_program(&k, object, 0x0010_0000);
        let strong = handle::open_for_program(&k, object, 0x001F_0003);
        assert_eq!(
            by_handle(&k, weak.0, Some(Type::Event), true).await?.0,
            NtStatus::ACCESS_DENIED
        );
        let (status, found, _) = by_handle(&k, strong.0, Some(Type::Event), true).await?;
        assert_eq!((status, found), (NtStatus::SUCCESS, object));
        value(&k, "ObfDereferenceObject", &[object.get()]).await?;
        by_handle(&k, strong.0, Some(Type::Event), false).await.map(|_| ())
    });
    let _ = machine.run();
    let crash = machine.kernel().crash().expect("the handle is the program's");
    assert_eq!(crash.bugcheck.parameters[0], 0xF6);
}

#[test]
fn the_current_process_and_thread_have_handles_of_their_own() {
    run(|k| async move {
        let (status, process, _) = by_handle(&k, u64::MAX, Some(Type::Process), false).await?;
        assert_eq!(status, NtStatus::SUCCESS);
        assert_eq!(process, ps::object(&k, ps::ProcessId::SYSTEM)?);
        let (status, thread, _) = by_handle(&k, u64::MAX - 1, Some(Type::Thread), false).await?;
        assert_eq!((status, thread), (NtStatus::SUCCESS, ps::current_thread_object(&k)));
        for object in [process, thread] {
            value(&k, "ObfDereferenceObject", &[object.get()]).await?;
        }
        Ok(())
    });
}

#[test]
fn references_by_pointer_check_the_type_and_are_given_back() {
    run(|k| async move {
        let (object, handle) = event(&k, 3)?;
        let kind = types::object_of(&k, Type::Event)?;
        let other = types::object_of(&k, Type::Semaphore)?;
        let wrong = [object.get(), 3, other.get(), 0];
        assert_eq!(
            call(&k, "ObReferenceObjectByPointer", &wrong).await?,
            NtStatus::OBJECT_TYPE_MISMATCH
        );
        let right = [object.get(), 3, kind.get(), 0];
        assert_eq!(call(&k, "ObReferenceObjectByPointer", &right).await?, NtStatus::SUCCESS);
        assert_eq!(value(&k, "ObGetObjectType", &[object.get()]).await?, kind.get());
        value(&k, "ObfReferenceObjectWithTag", &[object.get(), 0x6761_7420]).await?;
        assert_eq!(value(&k, "ObfDereferenceObjectWithTag", &[object.get(), 0]).await?, 1);
        close(&k, handle).await?;
        value(&k, "ObDereferenceObjectDeferDelete", &[object.get()]).await?;
        k.delay(1_000_000).await?;
        assert_eq!(object::type_of(&k, object), None);
        Ok(())
    });
}

#[test]
fn an_object_is_found_by_name_and_opened_by_pointer() {
    run(|k| async move {
        let nowhere = crate::io::driver::LoadedImage {
            base: Va::NULL,
            size: 0,
            entry: Va::NULL,
        };
        let driver = crate::io::driver::create(&k, "Found", nowhere)?;
        let kind = types::object_of(&k, Type::Driver)?;
        let variable = memory(&k, 8)?;
        let name = counted(&k, "\\driver\\FOUND")?;
        let arguments = [name.get(), 0x40, 0, 0, kind.get(), 0, 0, variable.get()];
        assert_eq!(
            call(&k, "ObReferenceObjectByName", &arguments).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<Va>(variable)?, driver);
        value(&k, "ObfDereferenceObject", &[driver.get()]).await?;
        let absent = [
            counted(&k, "\\Driver\\Lost")?.get(),
            0x40,
            0,
            0,
            kind.get(),
            0,
            0,
            variable.get(),
        ];
        assert_eq!(
            call(&k, "ObReferenceObjectByName", &absent).await?,
            NtStatus::OBJECT_NAME_NOT_FOUND
        );
        let open = [driver.get(), 0x200, 0, 1, kind.get(), 0, variable.get()];
        assert_eq!(call(&k, "ObOpenObjectByPointer", &open).await?, NtStatus::SUCCESS);
        let handle: Handle = k.read(variable)?;
        assert_eq!(value(&k, "ObIsKernelHandle", &[handle.0]).await?, 1);
        let left = ob::leftovers(&k);
        assert!(left[0].to_string().contains("\\Driver\\Found"), "{left:?}");
        assert_eq!(call(&k, "ObCloseHandle", &[handle.0, 0]).await?, NtStatus::SUCCESS);
        let by_name = attributes_of(&k, Handle(0), "\\KernelObjects", 0x240)?;
        let arguments = [by_name.get(), 0, 0, 0, 1, 0, variable.get()];
        assert_eq!(call(&k, "ObOpenObjectByName", &arguments).await?, NtStatus::SUCCESS);
        close(&k, k.read(variable)?).await
    });
}

#[test]
fn a_handle_is_duplicated_asked_about_and_protected() {
    run(|k| async move {
        let (object, handle) = event(&k, 3)?;
        let variable = memory(&k, 8)?;
        let arguments = [u64::MAX, handle.0, u64::MAX, variable.get(), 0, 0x200, 2];
        assert_eq!(call(&k, "ZwDuplicateObject", &arguments).await?, NtStatus::SUCCESS);
        let copy: Handle = k.read(variable)?;
        assert_ne!(copy, handle);
        let information = memory(&k, 128)?;
        let query = |class: u64, length: u64| [copy.0, class, information.get(), length, 0];
        assert_eq!(call(&k, "ZwQueryObject", &query(0, 56)).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(information + 4_u64)?, 3, "granted access");
        assert_eq!(k.read::<u32>(information + 8_u64)?, 2, "handles");
        assert_eq!(call(&k, "ZwQueryObject", &query(2, 128)).await?, NtStatus::SUCCESS);
        assert_eq!(unicode_string::read(&k, information)?, "Event");
        assert_eq!(
            call(&k, "ZwQueryObject", &query(1, 15)).await?,
            NtStatus::INFO_LENGTH_MISMATCH
        );
        let flags = memory(&k, 2)?;
        k.write(flags + 1_u64, 1_u8)?;
        let set = [copy.0, 4, flags.get(), 2];
        assert_eq!(call(&k, "ZwSetInformationObject", &set).await?, NtStatus::SUCCESS);
        assert!(handle::with(&k, copy, |found| found.protected).unwrap());
        k.write(flags + 1_u64, 0_u8)?;
        call(&k, "ZwSetInformationObject", &set).await?;
        // DUPLICATE_CLOSE_SOURCE without a target closes.
        let source = [u64::MAX, copy.0, 0, 0, 0, 0, 1];
        assert_eq!(call(&k, "ZwDuplicateObject", &source).await?, NtStatus::SUCCESS);
        assert_eq!(handle::count(&k, object), 1);
        close(&k, handle).await
    });
}

#[test]
fn a_protected_handle_is_not_closed() {
    let (code, ..) = bugcheck_of(|k| async move {
        let (_, handle) = event(&k, 3)?;
        handle::with(&k, handle, |found| found.protected = true);
        close(&k, handle).await
    });
    assert_eq!(code, Code::INVALID_KERNEL_HANDLE);
}

#[test]
fn a_handle_that_a_system_thread_opens_without_the_flag_is_of_the_system_process_alone() {
    run(|k| async move {
        let (object, kernel) = event(&k, 3)?;
        let handle = handle::open_object(&k, object, 3, 0);
        assert!(handle::find(&k, handle)?.is_some());
        let program = k.spawn(ThreadSpec::user("program"), move |k| async move {
            assert!(handle::find(&k, handle)?.is_none());
            assert!(handle::find(&k, kernel)?.is_some());
            Ok(())
        });
        k.join(program).await?;
        close(&k, handle).await?;
        close(&k, kernel).await
    });
}

#[test]
fn object_callbacks_are_registered_once_for_an_altitude() {
    run(|k| async move {
        let (registration, operation, pointer) = (memory(&k, 40)?, memory(&k, 32)?, memory(&k, 8)?);
        k.write(pointer, types::object_of(&k, Type::Process)?)?;
        k.write(operation, pointer)?;
        k.write(operation + 8_u64, 1_u32)?;
        // A routine that does no harm.
        k.write(operation + 16_u64, k.routine_address("ObGetFilterVersion"))?;
        k.write(registration, 0x0100_u16)?;
        k.write(registration + 2_u64, 1_u16)?;
        unicode_string::write_new(&k, registration + 8_u64, "321000")?;
        k.write(registration + 32_u64, operation)?;
        let variable = memory(&k, 8)?;
        let arguments = [registration.get(), variable.get()];
        assert_eq!(call(&k, "ObRegisterCallbacks", &arguments).await?, NtStatus::SUCCESS);
        let again = call(&k, "ObRegisterCallbacks", &arguments).await?;
        assert_eq!(again, NtStatus::FLT_INSTANCE_ALTITUDE_COLLISION);
        assert_eq!(value(&k, "ObGetFilterVersion", &[]).await?, 0x100);
        assert!(
            ob::leftovers(&k)[0]
                .to_string()
                .contains("object callbacks for Process handles")
        );
        let client = memory(&k, 16)?;
        k.write(client, 4_u64)?;
        let process = open(&k, "ZwOpenProcess", "", &[client.get()]).await?.unwrap();
        close(&k, process).await?;
        value(&k, "ObUnRegisterCallbacks", &[k.read(variable)?]).await?;
        assert!(ob::leftovers(&k).is_empty());
        Ok(())
    });
}
