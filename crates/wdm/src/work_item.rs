//! Work items: doing something at `PASSIVE_LEVEL` that was found necessary above it.

use core::cell::Cell;
use core::ffi::c_void;
use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use pinned_init::PinInit;
use wdk_sys::{
    _WORK_QUEUE_TYPE::DelayedWorkQueue,
    DEVICE_OBJECT, PDEVICE_OBJECT, PIO_WORKITEM,
    ntddk::{IoAllocateWorkItem, IoFreeWorkItem, IoQueueWorkItem},
};

use crate::{
    device::{DeviceInit, Extension, Handle, Header, KernelObject, Object},
    error::{Error, Result},
    irql::{AtMostDispatch, Irql, Passive},
};

/// What a [`WorkItem`] does when it runs: an `IO_WORKITEM_ROUTINE`.
pub trait WorkRoutine: 'static {
    /// The device that the work item belongs to.
    type Device: Send + Sync + 'static;

    /// Runs at `PASSIVE_LEVEL` in a system thread, which other drivers' work items wait for: it should be short.
    ///
    /// It may run again in a second thread while it runs in a first, if it was queued meanwhile.
    fn run(device: &Self::Device, irql: &mut Irql<Passive>);
}

/// A work item (`IO_WORKITEM`) of the device: what a DPC, or a dispatch routine, leaves to a system thread that may wait.
///
/// While it is queued or runs it holds the device's remove lock, so that the device is there. The system's structure is allocated when the
/// extension is initialised, since its size is the system's own business; queueing it allocates nothing.
///
/// ```no_run
/// use core::time::Duration;
///
/// # mod device { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/device.rs")); }
/// # use device::Device;
/// use wdm::{Irql, WorkItem, WorkRoutine, irql::{Dispatch, Passive}};
///
/// /// Waits for something, which no DPC may.
/// enum Calm {}
///
/// impl WorkRoutine for Calm {
///     type Device = Device;
///
///     fn run(device: &Device, irql: &mut Irql<Passive>) {
///         device.idle.wait(Duration::from_millis(100), irql);
///     }
/// }
///
/// /// In a DPC.
/// fn calm_down(work: &WorkItem<Calm>, irql: &mut Irql<Dispatch>) {
///     work.queue(irql);
/// }
/// # fn main() {}
/// ```
///
/// See [System Worker Threads](https://learn.microsoft.com/windows-hardware/drivers/kernel/system-worker-threads).
pub struct WorkItem<R> {
    core: Handle<WorkItemCore>,
    routine: PhantomData<fn(R)>,
}

/// The work item, without its type.
struct WorkItemCore {
    item: IoWorkItem,
    /// It is queued, and has not begun to run.
    queued: AtomicBool,
    header: NonNull<Header>,
}

// SAFETY: the flag is atomic, and decides who uses the system's structure. The header is `Sync`.
unsafe impl Sync for WorkItemCore {}

impl KernelObject for WorkItemCore {
    fn object(&self) -> Object {
        Object::WorkItem(NonNull::from(&self.item))
    }
}

impl<R: WorkRoutine> WorkItem<R> {
    /// A work item that is not queued. DDI: `IoAllocateWorkItem`.
    ///
    /// # Errors
    /// `STATUS_INVALID_PARAMETER` outside the device extension; `STATUS_INSUFFICIENT_RESOURCES`.
    pub fn new(device: &DeviceInit<'_, R::Device>) -> impl PinInit<Self, Error> {
        let unqueued = WorkItemCore {
            item: IoWorkItem::none(),
            queued: AtomicBool::new(false),
            header: device.header(),
        };
        let wrap = |core| Self {
            core,
            routine: PhantomData,
        };
        device.object(unqueued, wrap, move |core, irql| {
            // SAFETY: the header is initialised before the initialiser of the driver's value runs.
            let device_object = unsafe { device.header().as_ref() }.device();
            // SAFETY: the device object is that of the extension, and this is the first use.
            unsafe { core.item.allocate(device_object, irql) }
        })
    }

    /// Queues it: it runs soon. `false` if it is queued already (it runs once then), or if the device is being removed.
    ///
    /// What the routine is to see must be written before: one that is queued already may just be about to look.
    ///
    /// IRQL: at most `DISPATCH_LEVEL`. DDI: `IoQueueWorkItem`, with `DelayedWorkQueue`.
    pub fn queue<L: AtMostDispatch>(&self, irql: &mut Irql<L>) -> bool {
        let core: &WorkItemCore = &self.core;
        // SAFETY: the header outlives the device's kernel objects.
        let header = unsafe { core.header.as_ref() };
        if !header.is_open() || core.queued.swap(true, Ordering::AcqRel) {
            return false;
        }
        let context: *mut c_void = core::ptr::from_ref(core).cast_mut().cast();
        if header.remove_lock.acquire(context, irql).is_err() {
            core.queued.store(false, Ordering::Release);
            return false;
        }
        // SAFETY: the flag lets one caller in until the routine has begun, so it is not queued; the routine fits the context, which the remove
        // lock keeps.
        unsafe { core.item.queue(run::<R>, context, irql) };
        true
    }
}

/// # Safety
/// To be called by the I/O manager only, with the [`WorkItemCore`] of a [`WorkItem<R>`] as context that holds the remove lock.
unsafe extern "C" fn run<R: WorkRoutine>(_device: PDEVICE_OBJECT, context: *mut c_void) {
    // SAFETY: the remove lock keeps the device, and with it the work item.
    let this = unsafe { &*context.cast::<WorkItemCore>() };
    // Before the routine looks at anything: who comes later queues it again.
    this.queued.swap(false, Ordering::AcqRel);
    let header = this.header;
    // SAFETY: the extension was initialised before anybody could queue, and the remove lock keeps it.
    let device = unsafe { Extension::data(header.cast::<Extension<R::Device>>()) };
    // SAFETY: the I/O manager calls in a system thread, at PASSIVE_LEVEL.
    let mut irql = unsafe { Irql::<Passive>::assume() };
    R::run(device, &mut irql);
    // SAFETY: the remove lock keeps the header until it is released.
    let remove_lock = unsafe { &(*header.as_ptr()).remove_lock };
    // SAFETY: acquired when it was queued, with this tag. Nothing of the device is used below. The I/O manager keeps the device object, and so the
    // image, until this has returned.
    unsafe { remove_lock.release(context) };
}

/// An `IO_WORKITEM_ROUTINE`.
pub(crate) type WorkItemRoutine = unsafe extern "C" fn(PDEVICE_OBJECT, *mut c_void);

/// The system's structure, or none.
pub(crate) struct IoWorkItem(Cell<PIO_WORKITEM>);

impl IoWorkItem {
    pub(crate) const fn none() -> Self {
        Self(Cell::new(core::ptr::null_mut()))
    }

    /// `IoAllocateWorkItem`.
    ///
    /// # Errors
    /// `STATUS_INSUFFICIENT_RESOURCES`.
    ///
    /// # Safety
    /// Once, before any other use and with no other thread about; `device` must be a device object of this driver.
    pub(crate) unsafe fn allocate(&self, device: NonNull<DEVICE_OBJECT>, _irql: &mut Irql<Passive>) -> Result<()> {
        // SAFETY: promised by the caller.
        let item = unsafe { IoAllocateWorkItem(device.as_ptr()) };
        self.0.set(item);
        if item.is_null() {
            Err(Error::INSUFFICIENT_RESOURCES)
        } else {
            Ok(())
        }
    }

    /// `IoQueueWorkItem`.
    ///
    /// # Safety
    /// It must be allocated and not queued; the routine must fit the context, and both stay until it has run.
    pub(crate) unsafe fn queue<L: AtMostDispatch>(
        &self,
        routine: WorkItemRoutine,
        context: *mut c_void,
        _irql: &mut Irql<L>,
    ) {
        // SAFETY: promised by the caller.
        unsafe { IoQueueWorkItem(self.0.get(), Some(routine), DelayedWorkQueue, context) };
    }

    /// `IoFreeWorkItem`, if it is allocated.
    ///
    /// # Safety
    /// It must not be queued, nor be queued any more.
    pub(crate) unsafe fn free(&self, _irql: &mut Irql<Passive>) {
        let item = self.0.replace(core::ptr::null_mut());
        if !item.is_null() {
            // SAFETY: promised by the caller.
            unsafe { IoFreeWorkItem(item) };
        }
    }
}

impl<R> fmt::Debug for WorkItem<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkItem").finish_non_exhaustive()
    }
}
