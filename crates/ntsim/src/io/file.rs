//! File objects: how a program opens a device and closes it again.

use std::{cell::Cell, collections::BTreeMap, rc::Rc};

use ntlayout::{device_object, file_object as layout, io_stack_location as stack};

use super::{
    call::call_driver,
    device,
    irp::{self, IoStatus, Major, Record},
    pnp,
};
use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    mm::{Va, mdl},
    sched::{Mode, ThreadSpec},
    status::NtStatus,
    trace::Event,
};

/// `IO_TYPE_FILE`.
const IO_TYPE_FILE: u16 = 5;
/// `FO_HANDLE_CREATED`.
const FO_HANDLE_CREATED: u32 = 0x0004_0000;
/// `FO_CLEANUP_COMPLETE`.
const FO_CLEANUP_COMPLETE: u32 = 0x0000_4000;
/// `FILE_OPEN`, the create disposition of a device, where `Parameters.Create.Options` has it.
const OPTIONS_FILE_OPEN: u32 = 1 << 24;
/// Bytes of an `IO_SECURITY_CONTEXT`.
const SECURITY_CONTEXT_SIZE: usize = 24;
/// Its `DesiredAccess`.
const SECURITY_CONTEXT_DESIRED_ACCESS: usize = 16;

/// What a handle allows: `FILE_READ_DATA`.
pub const FILE_READ_DATA: u32 = 0x0001;
/// What a handle allows: `FILE_WRITE_DATA`.
pub const FILE_WRITE_DATA: u32 = 0x0002;
/// What a handle allows: `FILE_APPEND_DATA`.
pub const FILE_APPEND_DATA: u32 = 0x0004;

/// An open device.
#[derive(Debug)]
pub struct File {
    object: Va,
    pdo: Va,
    access: u32,
    handle_open: Cell<bool>,
    /// IRPs that have been sent for it and have not ended. `IRP_MJ_CLOSE` follows the last of them.
    outstanding: Cell<u32>,
}

/// All file objects.
pub(crate) type Files = BTreeMap<Va, Rc<File>>;

impl File {
    /// The `FILE_OBJECT`.
    #[must_use]
    pub fn object(&self) -> Va {
        self.object
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

    /// The device that its IRPs go to.
    pub(crate) fn related_device(&self, k: &Kernel) -> Outcome<Va> {
        device::top_of_stack(k, self.pdo)
    }

    /// Counts an IRP that is about to be sent.
    pub(crate) fn begin_request(&self) {
        self.outstanding.set(self.outstanding.get() + 1);
    }

    /// An IRP has ended. Where that was the last one of a closed handle, the file object goes.
    pub(crate) fn end_request(self: &Rc<Self>, k: &Kernel) {
        let left = self.outstanding.get() - 1;
        self.outstanding.set(left);
        if left == 0 && !self.is_open() {
            // Completion may be at DISPATCH_LEVEL; IRP_MJ_CLOSE is sent at PASSIVE_LEVEL.
            let file = self.clone();
            k.spawn(ThreadSpec::system("deferred close"), |k| async move {
                send_close(&k, &file).await
            });
        }
    }
}

/// Opens the device that the symbolic link `link` names; the status with which the system or the driver refuses.
///
/// # Errors
/// When the driver breaks a rule.
pub async fn open(k: &Kernel, link: &str, access: u32) -> Outcome<Result<Rc<File>, NtStatus>> {
    let pdo = match pnp::open_target(k, link) {
        Ok(pdo) => pdo,
        Err(status) => return Ok(Err(status)),
    };
    let top = device::top_of_stack(k, pdo)?;
    let flags: u32 = k.read(top + device_object::FLAGS)?;
    if flags & device::DO_DEVICE_INITIALIZING != 0 {
        return Ok(Err(NtStatus::NO_SUCH_DEVICE));
    }
    device::reference(k, pdo)?;
    let file = Rc::new(make(k, pdo, access)?);
    let io_status = send_create(k, top, &file).await?;
    if !io_status.status.is_success() {
        k.free_system(file.object)?;
        release_device(k, pdo)?;
        return Ok(Err(io_status.status));
    }
    k.write(file.object + layout::FLAGS, FO_HANDLE_CREATED)?;
    file.handle_open.set(true);
    k.io().borrow_mut().files.insert(file.object, file.clone());
    k.trace(Event::Note(format!("{link} opened")));
    Ok(Ok(file))
}

fn make(k: &Kernel, pdo: Va, access: u32) -> Outcome<File> {
    let object = k.allocate_system(layout::SIZE, "FILE_OBJECT")?;
    k.write(object + layout::TYPE, IO_TYPE_FILE)?;
    k.write(object + layout::SIZE_FIELD, u16::try_from(layout::SIZE).expect("216"))?;
    k.write(object + layout::DEVICE_OBJECT, pdo)?;
    k.write(object + layout::READ_ACCESS, u8::from(access & FILE_READ_DATA != 0))?;
    k.write(object + layout::WRITE_ACCESS, u8::from(access & FILE_WRITE_DATA != 0))?;
    k.write(object + layout::IRP_LIST, object + layout::IRP_LIST)?;
    k.write(object + layout::IRP_LIST + 8_u64, object + layout::IRP_LIST)?;
    Ok(File {
        object,
        pdo,
        access,
        handle_open: Cell::new(false),
        outstanding: Cell::new(0),
    })
}

async fn send_create(k: &Kernel, top: Va, file: &File) -> Outcome<IoStatus> {
    let security = k.allocate_system(SECURITY_CONTEXT_SIZE, "IO_SECURITY_CONTEXT")?;
    k.write(security + SECURITY_CONTEXT_DESIRED_ACCESS, file.access)?;
    let record = request(k, top, file, Major::CREATE)?;
    let location = irp::next_location(k, record.irp())?;
    k.write(location + stack::CREATE_SECURITY_CONTEXT, security)?;
    k.write(location + stack::CREATE_OPTIONS, OPTIONS_FILE_OPEN)?;
    let io_status = send_and_wait(k, top, &record).await?;
    k.free_system(security)?;
    Ok(io_status)
}

/// Closes the handle: `IRP_MJ_CLEANUP` now, `IRP_MJ_CLOSE` when no IRP of it is under way any more.
///
/// # Errors
/// When the driver breaks a rule.
///
/// # Panics
/// When it was closed before.
pub async fn close(k: &Kernel, file: &Rc<File>) -> Outcome<()> {
    assert!(file.handle_open.replace(false), "a handle is closed once");
    // While it is under way, cleanup itself keeps the file object.
    file.begin_request();
    let top = file.related_device(k)?;
    let record = request(k, top, file, Major::CLEANUP)?;
    send_and_wait(k, top, &record).await?;
    k.write(file.object + layout::FLAGS, FO_HANDLE_CREATED | FO_CLEANUP_COMPLETE)?;
    k.trace(Event::Note("handle closed".to_owned()));
    file.outstanding.set(file.outstanding.get() - 1);
    if file.outstanding.get() == 0 {
        send_close(k, file).await?;
    }
    Ok(())
}

async fn send_close(k: &Kernel, file: &File) -> Outcome<()> {
    let top = file.related_device(k)?;
    let record = request(k, top, file, Major::CLOSE)?;
    send_and_wait(k, top, &record).await?;
    k.io().borrow_mut().files.remove(&file.object);
    k.free_system(file.object)?;
    // Programs close what they have open when they end at the latest, and then no page of theirs may be locked.
    if k.io().borrow().files.is_empty() {
        mdl::check_process_end(k)?;
    }
    release_device(k, file.pdo)
}

fn release_device(k: &Kernel, pdo: Va) -> Outcome<()> {
    device::dereference(k, pdo)?;
    pnp::file_closed(k, pdo);
    Ok(())
}

fn request(k: &Kernel, top: Va, file: &File, major: Major) -> Outcome<Rc<Record>> {
    irp::allocate(
        k,
        irp::Spec {
            major,
            minor: 0,
            stack_size: k.read(top + device_object::STACK_SIZE)?,
            file: Some(file.object),
            status: None,
            mode: Mode::User,
            finish: None,
        },
    )
}

/// Sends an IRP to the top of a stack and waits for its end.
pub(crate) async fn send_and_wait(k: &Kernel, top: Va, record: &Record) -> Outcome<IoStatus> {
    call_driver(k, top, record.irp()).await?;
    record.wait(k).await
}
