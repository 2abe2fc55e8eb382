//! Event objects with handles and names.

use ntlayout::object_attributes as attributes;

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::script::{beside, export, holding, idle, memory, run},
    mm::Va,
    rtl::unicode_string,
    status::NtStatus,
};

const NAME: &str = "\\BaseNamedObjects\\TestEvent";
const OBJ_OPENIF: u32 = 0x80;
const OBJ_KERNEL_HANDLE: u32 = 0x200;

fn counted(k: &Kernel, text: &str) -> Outcome<Va> {
    let string = memory(k, ntlayout::unicode_string::SIZE)?;
    unicode_string::write_new(k, string, text)?;
    Ok(string)
}

fn object_attributes(k: &Kernel, name: &str, flags: u32) -> Outcome<Va> {
    let block = memory(k, attributes::SIZE)?;
    k.fill(block, 0, attributes::SIZE)?;
    k.write(block + attributes::LENGTH, u32::try_from(attributes::SIZE).unwrap())?;
    k.write(block + attributes::ATTRIBUTES, flags | OBJ_KERNEL_HANDLE)?;
    k.write(block + attributes::OBJECT_NAME, counted(k, name)?)?;
    Ok(block)
}

async fn status(k: &Kernel, name: &str, arguments: &[u64]) -> Outcome<NtStatus> {
    let returned = export(k, name, arguments).await?;
    Ok(NtStatus(u32::try_from(returned).unwrap()))
}

#[test]
fn a_named_event_is_created_signalled_and_opened_by_the_second_caller() {
    run(&idle(), 1, |k| async move {
        let (name, handles) = (counted(&k, NAME)?, memory(&k, 16)?);
        let first = export(&k, "IoCreateSynchronizationEvent", &[name.get(), handles.get()]).await?;
        assert_eq!(export(&k, "KeReadStateEvent", &[first]).await?, 1);
        let second = export(&k, "IoCreateSynchronizationEvent", &[name.get(), handles.get() + 8]).await?;
        assert_eq!(first, second);
        let poll = holding(&k, 0)?.get();
        assert_eq!(export(&k, "KeWaitForSingleObject", &[first, 0, 0, 0, poll]).await?, 0);
        assert_eq!(
            export(&k, "KeWaitForSingleObject", &[first, 0, 0, 0, poll]).await?,
            0x102
        );
        for index in 0..2_u64 {
            let handle: u64 = k.read(handles + index * 8)?;
            assert_eq!(status(&k, "ZwClose", &[handle]).await?, NtStatus::SUCCESS);
        }
        let device = counted(&k, "\\Device")?;
        assert_eq!(
            export(&k, "IoCreateNotificationEvent", &[device.get(), handles.get()]).await?,
            0
        );
        let notification = export(&k, "IoCreateNotificationEvent", &[name.get(), handles.get()]).await?;
        assert_ne!(notification, 0);
        assert_eq!(k.read::<u8>(Va(notification))?, 0, "a notification event");
        status(&k, "ZwClose", &[k.read(handles)?]).await.map(|_| ())
    });
}

#[test]
fn events_are_set_and_reset_by_handle() {
    run(&idle(), 1, |k| async move {
        let (handle, previous) = (memory(&k, 8)?, memory(&k, 4)?);
        let attributes = object_attributes(&k, NAME, 0)?;
        let arguments = [handle.get(), 0x1F_0003, attributes.get(), 0, 0];
        assert_eq!(status(&k, "ZwCreateEvent", &arguments).await?, NtStatus::SUCCESS);
        let event: u64 = k.read(handle)?;
        assert_eq!(
            status(&k, "ZwCreateEvent", &arguments).await?,
            NtStatus::OBJECT_NAME_COLLISION
        );
        let open_if = object_attributes(&k, NAME, OBJ_OPENIF)?;
        let again = [handle.get(), 0x1F_0003, open_if.get(), 0, 0];
        assert_eq!(status(&k, "ZwCreateEvent", &again).await?, NtStatus::OBJECT_NAME_EXISTS);
        let second: u64 = k.read(handle)?;
        for (name, before) in [
            ("ZwSetEvent", 0),
            ("ZwSetEvent", 1),
            ("ZwResetEvent", 1),
            ("ZwPulseEvent", 0),
        ] {
            assert_eq!(status(&k, name, &[second, previous.get()]).await?, NtStatus::SUCCESS);
            assert_eq!(k.read::<i32>(previous)?, before, "{name}");
        }
        assert_eq!(status(&k, "ZwSetEvent", &[event, 0]).await?, NtStatus::SUCCESS);
        assert_eq!(status(&k, "ZwClearEvent", &[second]).await?, NtStatus::SUCCESS);
        let poll = holding(&k, 0)?.get();
        assert_eq!(
            status(&k, "ZwWaitForSingleObject", &[event, 0, poll]).await?,
            NtStatus::TIMEOUT
        );
        assert_eq!(
            status(&k, "ZwOpenEvent", &[handle.get(), 1, attributes.get()]).await?,
            NtStatus::SUCCESS
        );
        for opened in [event, second, k.read(handle)?] {
            status(&k, "ZwClose", &[opened]).await?;
        }
        let gone = status(&k, "ZwOpenEvent", &[handle.get(), 1, attributes.get()]).await?;
        assert_eq!(
            gone,
            NtStatus::OBJECT_NAME_NOT_FOUND,
            "the name went with the last handle"
        );
        Ok(())
    });
}

#[test]
fn threads_and_events_are_waited_for_by_handle() {
    run(&idle(), 1, |k| async move {
        let handles = memory(&k, 16)?;
        let none = object_attributes(&k, "", 0)?;
        status(&k, "ZwCreateEvent", &[handles.get(), 0x1F_0003, none.get(), 1, 0]).await?;
        status(&k, "ZwCreateEvent", &[handles.get() + 8, 0x1F_0003, none.get(), 1, 0]).await?;
        let (a, b): (u64, u64) = (k.read(handles)?, k.read(handles + 8_u64)?);
        let setter = beside(&k, "setter", move |k| async move {
            k.delay(10_000).await?;
            status(&k, "ZwSetEvent", &[b, 0]).await?;
            k.delay(10_000).await?;
            status(&k, "ZwSetEvent", &[a, 0]).await.map(|_| ())
        });
        assert_eq!(
            status(&k, "ZwWaitForMultipleObjects", &[2, handles.get(), 1, 0, 0]).await?,
            NtStatus(1)
        );
        assert_eq!(
            status(&k, "ZwWaitForSingleObject", &[a, 0, 0]).await?,
            NtStatus::SUCCESS
        );
        k.join(setter).await?;
        let poll = holding(&k, 0)?.get();
        let wait_all = [2, handles.get(), 0, 0, poll];
        assert_eq!(
            status(&k, "ZwWaitForMultipleObjects", &wait_all).await?,
            NtStatus::TIMEOUT
        );
        assert_eq!(
            status(&k, "ZwWaitForMultipleObjects", &[65, handles.get(), 0, 0, 0]).await?,
            NtStatus::INVALID_PARAMETER_1
        );
        let bad = status(&k, "ZwWaitForSingleObject", &[0x7777_0000, 0, poll]).await?;
        assert_eq!(bad, NtStatus::INVALID_HANDLE);
        for opened in [a, b] {
            status(&k, "ZwClose", &[opened]).await?;
        }
        Ok(())
    });
}
