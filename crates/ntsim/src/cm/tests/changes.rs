//! Waiting for changes.

use ntlayout::kevent;

use super::{KEY, KEY_READ, call, close, open_key, run};
use crate::{
    bugcheck::Outcome,
    cm::{Value, create_key, write_value},
    ke::event,
    kernel::Kernel,
    mm::Va,
    ob::{
        handle::{self, Handle, OBJ_KERNEL_HANDLE},
        object::{self, Type},
    },
    sched::ThreadSpec,
    status::NtStatus,
};

const EVENT_ALL_ACCESS: u32 = 0x001F_0003;
const CHANGE_NAME: u64 = 0x1;
const CHANGE_LAST_SET: u64 = 0x4;

/// `ZwNotifyChangeKey` for a key.
async fn notify(
    k: &Kernel,
    key: Handle,
    event: Handle,
    block: Va,
    filter: u64,
    tree: u64,
    asynchronous: u64,
) -> Outcome<NtStatus> {
    let arguments = [key.0, event.0, 0, 0, block.get(), filter, tree, 0, 0, asynchronous];
    call(k, "ZwNotifyChangeKey", &arguments).await
}

/// A notification event: its handle and its object.
fn new_event(k: &Kernel) -> Outcome<(Handle, Va)> {
    let object = object::create(k, Type::Event, kevent::SIZE)?;
    event::initialize(k, object, event::EventType::Notification, false)?;
    let handle = handle::open_object(k, object, EVENT_ALL_ACCESS, OBJ_KERNEL_HANDLE);
    Ok((handle, object))
}

#[test]
fn an_event_is_set_by_the_change_that_is_waited_for() {
    run(|k| async move {
        create_key(&k, &format!("{KEY}\\below"));
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        let (event, object) = new_event(&k)?;
        let block = k.allocate_system(16, "IO_STATUS_BLOCK")?;
        let status = notify(&k, key, event, block, CHANGE_LAST_SET, 0, 1).await?;
        assert_eq!((status, event::state(&k, object)?), (NtStatus::PENDING, 0));
        write_value(&k, &format!("{KEY}\\below"), "v", Value::Dword(1))?;
        assert_eq!(event::state(&k, object)?, 0, "another key");
        write_value(&k, KEY, "v", Value::Dword(1))?;
        assert_eq!(event::state(&k, object)?, 1);
        assert_eq!(k.read::<NtStatus>(block)?, NtStatus::NOTIFY_ENUM_DIR);

        assert_eq!(
            notify(&k, key, event, block, CHANGE_LAST_SET, 1, 1).await?,
            NtStatus::PENDING
        );
        assert_eq!(event::state(&k, object)?, 0, "reset");
        write_value(&k, &format!("{KEY}\\below"), "v", Value::Dword(2))?;
        assert_eq!(event::state(&k, object)?, 1, "the whole tree");

        assert_eq!(
            notify(&k, key, event, block, CHANGE_NAME, 0, 1).await?,
            NtStatus::PENDING
        );
        assert_eq!(
            notify(&k, key, event, block, 0x10, 0, 1).await?,
            NtStatus::INVALID_PARAMETER
        );
        close(&k, key).await?;
        assert_eq!(event::state(&k, object)?, 1, "the key's handle is closed");
        assert_eq!(k.read::<NtStatus>(block)?, NtStatus::NOTIFY_CLEANUP);
        close(&k, event).await
    });
}

#[test]
fn a_synchronous_call_comes_back_with_the_change() {
    run(|k| async move {
        create_key(&k, KEY);
        let key = open_key(&k, Handle(0), KEY, KEY_READ).await?.unwrap();
        k.spawn(ThreadSpec::system("writer"), |k| async move {
            k.delay(1_000_000).await?;
            write_value(&k, KEY, "v", Value::Dword(1))
        });
        let block = k.allocate_system(16, "IO_STATUS_BLOCK")?;
        let status = notify(&k, key, Handle(0), block, CHANGE_LAST_SET, 0, 0).await?;
        assert_eq!(status, NtStatus::NOTIFY_ENUM_DIR);
        assert!(k.now() >= 1_000_000);
        close(&k, key).await
    });
}
