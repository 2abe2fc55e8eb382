//! File objects: what an open device or file is, and how it is closed again. The module `open` makes them.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use ntlayout::{device_object, file_object as layout, unicode_string};

use super::{
    call::call_driver,
    device,
    irp::{self, IoStatus, Major, Record},
    pnp,
};
use crate::{
    bugcheck::Outcome,
    ke::Irql,
    kernel::Kernel,
    mm::{Va, mdl},
    ob,
    sched::{Mode, ThreadSpec, WaitQueue},
    trace::Event,
};

/// `FO_SYNCHRONOUS_IO`.
pub(crate) const FO_SYNCHRONOUS_IO: u32 = 0x0000_0002;
/// `FO_CLEANUP_COMPLETE`.
const FO_CLEANUP_COMPLETE: u32 = 0x0000_4000;
/// `FO_HANDLE_CREATED`.
const FO_HANDLE_CREATED: u32 = 0x0004_0000;

/// What a handle allows: `FILE_READ_DATA`.
pub const FILE_READ_DATA: u32 = 0x0001;
/// What a handle allows: `FILE_WRITE_DATA`.
pub const FILE_WRITE_DATA: u32 = 0x0002;
/// What a handle allows: `FILE_APPEND_DATA`.
pub const FILE_APPEND_DATA: u32 = 0x0004;

/// An open device, or a file on one.
#[derive(Debug)]
pub struct File {
    pub(super) object: Va,
    pub(super) device: Va,
    /// The physical device object whose node counts the open, when the device belongs to a stack of the PnP manager's.
    pub(super) pdo: Option<Va>,
    /// Where its IRPs go instead of the top of the stack: the device that the opener named.
    pub(super) hint: Option<Va>,
    /// What is left of the name for the device.
    pub(super) name: String,
    pub(super) access: u32,
    /// Who opened it.
    pub(super) mode: Mode,
    /// One request at a time, and the system keeps the position.
    pub(super) synchronous: bool,
    /// A synchronous request is under way.
    pub(super) busy: Cell<bool>,
    pub(super) queue: WaitQueue,
    pub(super) handle_open: Cell<bool>,
    /// `IRP_MJ_CLOSE` was sent.
    pub(super) closed: Cell<bool>,
    /// IRPs that have been sent for it and have not ended. `IRP_MJ_CLOSE` follows the last of them.
    pub(super) outstanding: Cell<u32>,
}

/// All file objects.
pub(crate) type Files = BTreeMap<Va, Rc<File>>;

impl File {
    /// The `FILE_OBJECT`.
    #[must_use]
    pub fn object(&self) -> Va {
        self.object
    }

    /// The device that was opened: the one that has the name, which others may be attached to.
    #[must_use]
    pub fn device(&self) -> Va {
        self.device
    }

    /// What was left of the name for the device: empty, or from a `\` on.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the handle was opened for all of `access`.
    #[must_use]
    pub fn allows(&self, access: u32) -> bool {
        self.access & access == access
    }

    /// Whether the handle has not been closed.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.handle_open.get()
    }

    /// Whether it was opened for synchronous I/O.
    #[must_use]
    pub fn is_synchronous(&self) -> bool {
        self.synchronous
    }

    /// The device that its IRPs go to.
    pub(crate) fn related_device(&self, k: &Kernel) -> Outcome<Va> {
        match self.hint {
            Some(device) => Ok(device),
            None => device::top_of_stack(k, self.device),
        }
    }

    /// Counts an IRP that is about to be sent.
    pub(crate) fn begin_request(&self) {
        self.outstanding.set(self.outstanding.get() + 1);
    }

    /// An IRP has ended. Where that was the last one of a file that nobody has or refers to, the file object goes.
    pub(crate) fn end_request(self: &Rc<Self>, k: &Kernel) {
        let left = self.outstanding.get() - 1;
        self.outstanding.set(left);
        if self.is_unused(k) {
            // Completion may be at DISPATCH_LEVEL; IRP_MJ_CLOSE is sent at PASSIVE_LEVEL.
            self.close_later(k);
        }
    }

    /// Waits until no other synchronous request is under way, and begins one.
    pub(crate) async fn lock(&self, k: &Kernel) -> Outcome<()> {
        while self.busy.replace(true) {
            self.queue
                .wait(k, "the end of another request of a synchronous file")
                .await?;
        }
        Ok(())
    }

    /// Ends what [`lock`](Self::lock) began.
    pub(crate) fn unlock(&self, k: &Kernel) {
        self.busy.set(false);
        self.queue.wake_one(k);
    }

    fn is_unused(&self, k: &Kernel) -> bool {
        self.outstanding.get() == 0 && !self.is_open() && ob::reference::count(k, self.object) == 0
    }

    fn close_later(self: &Rc<Self>, k: &Kernel) {
        let file = self.clone();
        k.spawn(ThreadSpec::system("deferred close"), |k| async move {
            send_close(&k, &file).await
        });
    }

    fn add_flags(&self, k: &Kernel, flags: u32) -> Outcome<()> {
        let before: u32 = k.read(self.object + layout::FLAGS)?;
        k.write(self.object + layout::FLAGS, before | flags)
    }
}

/// A handle of the file has been made.
pub(crate) fn handle_created(k: &Kernel, file: &File) -> Outcome<()> {
    file.handle_open.set(true);
    file.add_flags(k, FO_HANDLE_CREATED)
}

/// The last handle was closed: `IRP_MJ_CLEANUP` now. `IRP_MJ_CLOSE` follows when no IRP of it is under way and nobody refers to it.
pub(crate) async fn last_handle_closed(k: &Kernel, file: &Rc<File>) -> Outcome<()> {
    if file.handle_open.replace(false) {
        clean_up(k, file).await?;
    }
    Ok(())
}

/// Sends `IRP_MJ_CLEANUP`.
pub(super) async fn clean_up(k: &Kernel, file: &Rc<File>) -> Outcome<()> {
    // While it is under way, cleanup itself keeps the file object.
    file.begin_request();
    let top = file.related_device(k)?;
    let record = request(k, top, file, Major::CLEANUP)?;
    send_and_wait(k, top, &record).await?;
    file.add_flags(k, FO_CLEANUP_COMPLETE)?;
    k.trace(Event::Note("handle closed".to_owned()));
    file.outstanding.set(file.outstanding.get() - 1);
    Ok(())
}

/// Closes the file if nobody has it or refers to it any more.
pub(crate) async fn close_unused(k: &Kernel, file: &Rc<File>) -> Outcome<()> {
    if !file.is_unused(k) || file.closed.get() {
        return Ok(());
    }
    if k.irql() > Irql::PASSIVE {
        file.close_later(k);
        return Ok(());
    }
    send_close(k, file).await
}

async fn send_close(k: &Kernel, file: &File) -> Outcome<()> {
    if file.closed.replace(true) {
        return Ok(());
    }
    let top = file.related_device(k)?;
    let record = request(k, top, file, Major::CLOSE)?;
    send_and_wait(k, top, &record).await?;
    k.io().borrow_mut().files.remove(&file.object);
    free(k, file)?;
    // Programs close what they have open when they end at the latest, and then no page of theirs may be locked.
    if k.io().borrow().files.is_empty() {
        mdl::check_process_end(k)?;
    }
    Ok(())
}

/// Frees a file object, and lets its device go.
pub(super) fn free(k: &Kernel, file: &File) -> Outcome<()> {
    let name: Va = k.read(file.object + layout::FILE_NAME + unicode_string::BUFFER)?;
    if !name.is_null() {
        k.free_system(name)?;
    }
    k.free_system(file.object)?;
    device::dereference(k, file.device)?;
    if let Some(pdo) = file.pdo {
        pnp::file_closed(k, pdo);
    }
    Ok(())
}

/// An IRP of a file's.
pub(super) fn request(k: &Kernel, top: Va, file: &File, major: Major) -> Outcome<Rc<Record>> {
    irp::allocate(
        k,
        irp::Spec {
            major,
            minor: 0,
            stack_size: k.read(top + device_object::STACK_SIZE)?,
            file: Some(file.object),
            status: None,
            mode: if major == Major::CREATE { file.mode } else { Mode::User },
            finish: None,
        },
    )
}

/// Sends an IRP to the top of a stack and waits for its end.
pub(crate) async fn send_and_wait(k: &Kernel, top: Va, record: &Record) -> Outcome<IoStatus> {
    call_driver(k, top, record.irp()).await?;
    record.wait(k).await
}
