//! Waiting for changes of keys: `ZwNotifyChangeKey`.

use super::key::key_of;
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    ke::event,
    kernel::Kernel,
    mm::Va,
    ob::{
        handle::{self, Handle, ZW_CONTRACT},
        object::Type,
    },
    sched::ThreadId,
    status::NtStatus,
};

/// `REG_NOTIFY_CHANGE_NAME`: a subkey is made or deleted.
pub(super) const CHANGE_NAME: u32 = 0x1;
/// `REG_NOTIFY_CHANGE_LAST_SET`: a value is set or deleted.
pub(super) const CHANGE_LAST_SET: u32 = 0x4;
/// All that can be waited for.
const LEGAL: u32 = 0xF;

/// Whom a change is told.
#[derive(Clone, Copy, Debug)]
enum Waiter {
    Event(Va),
    Thread(ThreadId),
    Nobody,
}

/// One call that waits for a change.
#[derive(Debug)]
struct Watch {
    handle: Handle,
    key: String,
    filter: u32,
    tree: bool,
    /// The driver's `IO_STATUS_BLOCK`.
    status_block: Va,
    waiter: Waiter,
}

#[derive(Default)]
struct Watches(Vec<Watch>);

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwNotifyChangeKey", "NtNotifyChangeKey"] {
        ddi.flow(
            name,
            10,
            ZW_CONTRACT,
            move |k, a| async move { notify(&k, &a, name).await },
        );
    }
}

/// `ZwNotifyChangeKey(KeyHandle, Event, ApcRoutine, ApcContext, IoStatusBlock, CompletionFilter, WatchTree, Buffer, BufferSize,
/// Asynchronous)`.
async fn notify(k: &Kernel, a: &Args, routine: &str) -> Outcome<NtStatus> {
    let handle = Handle(a.u64(0));
    let key = match key_of(k, handle)? {
        Ok(key) => key,
        Err(status) => return Ok(status),
    };
    let (event, filter) = (Handle(a.u64(1)), a.u32(5));
    if filter == 0 || filter & !LEGAL != 0 {
        return Ok(NtStatus::INVALID_PARAMETER);
    }
    if !a.va(2).is_null() {
        return Err(k.not_modelled(format!("{routine} with a work item is not modelled: give it an event")));
    }
    let asynchronous = a.bool(9);
    let waiter = if asynchronous && event.0 != 0 {
        match handle::object_of(k, event, Type::Event)? {
            Ok(object) => {
                event::reset(k, object)?;
                Waiter::Event(object)
            }
            Err(status) => return Ok(status),
        }
    } else if asynchronous {
        Waiter::Nobody
    } else {
        k.current_thread().map_or(Waiter::Nobody, Waiter::Thread)
    };
    let watch = Watch {
        handle,
        key: key.clone(),
        filter,
        tree: a.bool(6),
        status_block: a.va(4),
        waiter,
    };
    k.state::<Watches>().borrow_mut().0.push(watch);
    if asynchronous {
        return Ok(NtStatus::PENDING);
    }
    while is_waiting(k, a.va(4)) {
        k.block(format!("a change of the key {key}"), None).await?;
    }
    k.read(a.va(4))
}

fn is_waiting(k: &Kernel, status_block: Va) -> bool {
    let watches = k.state::<Watches>();
    let watches = watches.borrow();
    watches.0.iter().any(|watch| watch.status_block == status_block)
}

/// A key has changed: those who wait for that are told, once.
pub(super) fn changed(k: &Kernel, key: &str, what: u32) -> Outcome<()> {
    let concerned = |watch: &Watch| {
        let below = watch.tree && key.strip_prefix(&watch.key).is_some_and(|rest| rest.starts_with('\\'));
        watch.filter & what != 0 && (watch.key == key || below)
    };
    end(k, concerned, NtStatus::NOTIFY_ENUM_DIR)
}

/// A handle has been closed: what waits by it ends.
pub(crate) fn handle_closed(k: &Kernel, handle: Handle) -> Outcome<()> {
    end(k, |watch| watch.handle == handle, NtStatus::NOTIFY_CLEANUP)
}

fn end(k: &Kernel, concerned: impl Fn(&Watch) -> bool, status: NtStatus) -> Outcome<()> {
    let ended: Vec<Watch> = {
        let watches = k.state::<Watches>();
        let mut watches = watches.borrow_mut();
        watches.0.extract_if(.., |watch| concerned(watch)).collect()
    };
    for watch in ended {
        k.write(watch.status_block, status)?;
        k.write(watch.status_block + 8_u64, 0_u64)?;
        match watch.waiter {
            Waiter::Event(event) => {
                event::set(k, event)?;
            }
            Waiter::Thread(thread) => k.wake(thread),
            Waiter::Nobody => {}
        }
    }
    Ok(())
}
