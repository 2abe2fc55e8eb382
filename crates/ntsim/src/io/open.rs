//! How a file object is made: the name is looked up, `IRP_MJ_CREATE` goes to the device.

use std::{cell::Cell, rc::Rc};

use ntlayout::{device_object, file_object as layout, io_stack_location as stack};

use super::{
    device,
    file::{self, FILE_APPEND_DATA, FILE_READ_DATA, FILE_WRITE_DATA, FO_SYNCHRONOUS_IO, File, send_and_wait},
    irp::{self, IoStatus, Major},
    pnp,
};
use crate::{
    bugcheck::Outcome,
    ke::event::{self, EventType},
    kernel::Kernel,
    mm::Va,
    ob::namespace::{self, Found, Start},
    rtl::unicode_string,
    sched::{Mode, WaitQueue},
    status::NtStatus,
    trace::Event,
};

/// `IO_TYPE_FILE`.
const IO_TYPE_FILE: u16 = 5;
/// Bytes of an `IO_SECURITY_CONTEXT`.
const SECURITY_CONTEXT_SIZE: usize = 24;
/// Its `DesiredAccess`.
const SECURITY_CONTEXT_DESIRED_ACCESS: usize = 16;

/// `FILE_OPEN`, a create disposition.
pub(crate) const FILE_OPEN: u32 = 1;
/// `FILE_OVERWRITE_IF`: the highest create disposition.
const FILE_MAXIMUM_DISPOSITION: u32 = 5;
/// `FILE_DIRECTORY_FILE`.
pub(crate) const FILE_DIRECTORY_FILE: u32 = 0x0000_0001;
/// `FILE_SYNCHRONOUS_IO_ALERT`.
pub(crate) const FILE_SYNCHRONOUS_IO_ALERT: u32 = 0x0000_0010;
/// `FILE_SYNCHRONOUS_IO_NONALERT`.
pub(crate) const FILE_SYNCHRONOUS_IO_NONALERT: u32 = 0x0000_0020;
/// `FILE_NON_DIRECTORY_FILE`.
pub(crate) const FILE_NON_DIRECTORY_FILE: u32 = 0x0000_0040;
/// `FILE_DELETE_ON_CLOSE`.
pub(crate) const FILE_DELETE_ON_CLOSE: u32 = 0x0000_1000;
/// All create options.
const FILE_VALID_OPTION_FLAGS: u32 = 0x00FF_FFFF;

/// `SYNCHRONIZE`.
pub(crate) const SYNCHRONIZE: u32 = 0x0010_0000;
/// `DELETE`.
pub(crate) const DELETE: u32 = 0x0001_0000;

/// `FILE_SHARE_READ`, `FILE_SHARE_WRITE`, `FILE_SHARE_DELETE`.
const SHARE: [u32; 3] = [1, 2, 4];

/// `FO_ALERTABLE_IO`.
const FO_ALERTABLE_IO: u32 = 0x0000_0004;
/// Create options and the file object flags that they set.
const FLAGS_OF_OPTIONS: [(u32, u32); 6] = [
    (FILE_SYNCHRONOUS_IO_ALERT, FO_SYNCHRONOUS_IO | FO_ALERTABLE_IO),
    (FILE_SYNCHRONOUS_IO_NONALERT, FO_SYNCHRONOUS_IO),
    // FILE_WRITE_THROUGH, FILE_SEQUENTIAL_ONLY, FILE_NO_INTERMEDIATE_BUFFERING, FILE_DELETE_ON_CLOSE.
    (0x0000_0002, 0x0000_0010),
    (0x0000_0004, 0x0000_0020),
    (0x0000_0008, 0x0000_0008),
    (FILE_DELETE_ON_CLOSE, 0x0001_0000),
];

/// The generic rights and what they mean for a file: `FILE_GENERIC_READ` and the like.
const GENERIC_RIGHTS: [(u32, u32); 5] = [
    (0x8000_0000, 0x0012_0089),
    (0x4000_0000, 0x0012_0116),
    (0x2000_0000, 0x0012_00A0),
    (0x1000_0000, 0x001F_01FF),
    // MAXIMUM_ALLOWED: there is nobody here who may not do everything.
    (0x0200_0000, 0x001F_01FF),
];

/// What is to be opened, and how.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    /// Where the name starts.
    pub start: Start,
    /// The file that the name is relative to.
    pub related: Option<Rc<File>>,
    /// The name.
    pub name: String,
    /// The access rights asked for.
    pub access: u32,
    /// `FILE_ATTRIBUTE_xxx`.
    pub attributes: u32,
    /// `FILE_SHARE_xxx`.
    pub share: u32,
    /// The create disposition.
    pub disposition: u32,
    /// `FILE_xxx` create options.
    pub options: u32,
    /// Who opens it.
    pub mode: Mode,
    /// The device of the stack that the IRPs are to go to.
    pub hint: Option<Va>,
}

impl Spec {
    /// The existing device or file at an absolute path.
    pub(crate) fn existing(name: &str, access: u32, mode: Mode) -> Self {
        Self {
            start: Start::Root,
            related: None,
            name: name.to_owned(),
            access,
            attributes: 0,
            share: 0,
            disposition: FILE_OPEN,
            options: 0,
            mode,
            hint: None,
        }
    }

    fn is_synchronous(&self) -> bool {
        self.options & (FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT) != 0
    }

    /// What the I/O manager looks at before it looks for the device.
    fn check(&self) -> Result<(), NtStatus> {
        let both = |flags: u32| self.options & flags == flags;
        let wrong = self.options & !FILE_VALID_OPTION_FLAGS != 0
            || self.disposition > FILE_MAXIMUM_DISPOSITION
            || both(FILE_SYNCHRONOUS_IO_ALERT | FILE_SYNCHRONOUS_IO_NONALERT)
            || both(FILE_DIRECTORY_FILE | FILE_NON_DIRECTORY_FILE)
            || (self.is_synchronous() && self.access & SYNCHRONIZE == 0)
            || (self.options & FILE_DELETE_ON_CLOSE != 0 && self.access & DELETE == 0);
        if wrong {
            Err(NtStatus::INVALID_PARAMETER)
        } else {
            Ok(())
        }
    }
}

/// The rights of a file that `access` asks for.
pub(crate) fn map_rights(access: u32) -> u32 {
    let meant = |access, &(generic, rights): &(u32, u32)| {
        if access & generic == 0 {
            access
        } else {
            access & !generic | rights
        }
    };
    GENERIC_RIGHTS.iter().fold(access, meant)
}

/// A device that is about to be opened.
struct Target {
    device: Va,
    /// What is left of the name for it.
    rest: String,
    /// The physical device object whose node has counted the open.
    pdo: Option<Va>,
}

/// Opens a device, or a file on one: the file object, and what `IoStatus.Information` says of the open. The caller makes a handle of it.
///
/// # Errors
/// When a driver breaks a rule.
pub(crate) async fn open(k: &Kernel, spec: &Spec) -> Outcome<Result<(Rc<File>, u64), NtStatus>> {
    let spec = Spec {
        access: map_rights(spec.access),
        ..spec.clone()
    };
    if let Err(status) = spec.check() {
        return Ok(Err(status));
    }
    let target = match find(k, &spec)? {
        Ok(target) => target,
        Err(status) => return Ok(Err(status)),
    };
    device::reference(k, target.device)?;
    let file = Rc::new(make(k, &spec, target)?);
    // The device may look at its file object in its create routine; it is known to the system from here on.
    k.io().borrow_mut().files.insert(file.object(), file.clone());
    let io_status = send_create(k, &spec, &file).await?;
    if !io_status.status.is_success() {
        k.io().borrow_mut().files.remove(&file.object());
        file.closed.set(true);
        file::free(k, &file)?;
        return Ok(Err(io_status.status));
    }
    k.trace(Event::Note(format!("{} opened", spec.name)));
    Ok(Ok((file, io_status.information)))
}

/// Finds the device, which may be opened, and counts the open.
fn find(k: &Kernel, spec: &Spec) -> Outcome<Result<Target, NtStatus>> {
    let (device, rest, pdo) = match &spec.related {
        Some(related) => {
            let bottom = device::bottom_of_stack(k, related.device());
            (
                related.device(),
                spec.name.clone(),
                pnp::state(k, bottom).map(|_| bottom),
            )
        }
        None => match namespace::find_from(k, spec.start, &spec.name, false)? {
            Ok(Found::Device { device, rest }) => {
                let bottom = device::bottom_of_stack(k, device);
                (device, rest, pnp::state(k, bottom).map(|_| bottom))
            }
            Ok(Found::Interface { link, rest }) => match pnp::interface_target(k, &link) {
                Ok(pdo) => (pdo, rest, Some(pdo)),
                Err(status) => return Ok(Err(status)),
            },
            // Other objects have no files.
            Ok(_) => return Ok(Err(NtStatus::OBJECT_TYPE_MISMATCH)),
            Err(status) => return Ok(Err(status)),
        },
    };
    if let Err(status) = may_open(k, device, spec.related.is_some())? {
        return Ok(Err(status));
    }
    if let Some(pdo) = pdo
        && let Err(status) = pnp::count_open(k, pdo)
    {
        return Ok(Err(status));
    }
    Ok(Ok(Target { device, rest, pdo }))
}

/// Whether a device can be opened: one that is being initialised or was deleted cannot, and an exclusive one only once.
fn may_open(k: &Kernel, device: Va, related: bool) -> Outcome<Result<(), NtStatus>> {
    if k.io().borrow().devices.is_deleted(device) {
        return Ok(Err(NtStatus::NO_SUCH_DEVICE));
    }
    let top = device::top_of_stack(k, device)?;
    for device in [device, top] {
        let flags: u32 = k.read(device + device_object::FLAGS)?;
        if flags & device::DO_DEVICE_INITIALIZING != 0 {
            return Ok(Err(NtStatus::NO_SUCH_DEVICE));
        }
    }
    let flags: u32 = k.read(device + device_object::FLAGS)?;
    let references: i32 = k.read(device + device_object::REFERENCE_COUNT)?;
    if flags & device::DO_EXCLUSIVE != 0 && references > 0 && !related {
        return Ok(Err(NtStatus::ACCESS_DENIED));
    }
    Ok(Ok(()))
}

fn make(k: &Kernel, spec: &Spec, target: Target) -> Outcome<File> {
    let object = k.allocate_system(layout::SIZE, "FILE_OBJECT")?;
    k.write(object + layout::TYPE, IO_TYPE_FILE)?;
    k.write(object + layout::SIZE_FIELD, u16::try_from(layout::SIZE).expect("216"))?;
    k.write(object + layout::DEVICE_OBJECT, target.device)?;
    let write = FILE_WRITE_DATA | FILE_APPEND_DATA;
    for (field, rights) in [
        (layout::READ_ACCESS, FILE_READ_DATA),
        (layout::WRITE_ACCESS, write),
        (layout::DELETE_ACCESS, DELETE),
    ] {
        k.write(object + field, u8::from(spec.access & rights != 0))?;
    }
    for (field, share) in [layout::SHARED_READ, layout::SHARED_WRITE, layout::SHARED_DELETE]
        .into_iter()
        .zip(SHARE)
    {
        k.write(object + field, u8::from(spec.share & share != 0))?;
    }
    let flags = FLAGS_OF_OPTIONS
        .iter()
        .filter(|(option, _)| spec.options & option != 0)
        .fold(0, |flags, (_, flag)| flags | flag);
    k.write(object + layout::FLAGS, flags)?;
    if let Some(related) = &spec.related {
        k.write(object + layout::RELATED_FILE_OBJECT, related.object())?;
    }
    if !target.rest.is_empty() {
        unicode_string::write_new(k, object + layout::FILE_NAME, &target.rest)?;
    }
    event::initialize(k, object + layout::EVENT, EventType::Notification, false)?;
    event::initialize(k, object + layout::LOCK, EventType::Synchronization, false)?;
    k.write(object + layout::IRP_LIST, object + layout::IRP_LIST)?;
    k.write(object + layout::IRP_LIST + 8_u64, object + layout::IRP_LIST)?;
    Ok(File {
        object,
        device: target.device,
        pdo: target.pdo,
        hint: spec.hint,
        name: target.rest,
        access: spec.access,
        mode: spec.mode,
        synchronous: spec.is_synchronous(),
        busy: Cell::new(false),
        queue: WaitQueue::default(),
        handle_open: Cell::new(false),
        closed: Cell::new(false),
        outstanding: Cell::new(0),
    })
}

async fn send_create(k: &Kernel, spec: &Spec, file: &File) -> Outcome<IoStatus> {
    let security = k.allocate_system(SECURITY_CONTEXT_SIZE, "IO_SECURITY_CONTEXT")?;
    k.write(security + SECURITY_CONTEXT_DESIRED_ACCESS, spec.access)?;
    let top = file.related_device(k)?;
    let record = file::request(k, top, file, Major::CREATE)?;
    let location = irp::next_location(k, record.irp())?;
    k.write(location + stack::CREATE_SECURITY_CONTEXT, security)?;
    k.write(location + stack::CREATE_OPTIONS, spec.disposition << 24 | spec.options)?;
    let attributes = u16::try_from(spec.attributes & 0xFFFF).expect("16 bits");
    k.write(location + stack::CREATE_FILE_ATTRIBUTES, attributes)?;
    let share = u16::try_from(spec.share & 0xFFFF).expect("16 bits");
    k.write(location + stack::CREATE_SHARE_ACCESS, share)?;
    let io_status = send_and_wait(k, top, &record).await?;
    k.free_system(security)?;
    Ok(io_status)
}
