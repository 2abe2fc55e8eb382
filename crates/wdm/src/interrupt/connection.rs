//! The connection of an interrupt, without the types of its ISR.

use core::ffi::c_void;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use wdk_sys::{
    _IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS__bindgen_ty_1 as ConnectionContext,
    _IO_CONNECT_INTERRUPT_PARAMETERS__bindgen_ty_1 as ConnectUnion,
    _IO_DISCONNECT_INTERRUPT_PARAMETERS__bindgen_ty_1 as DisconnectUnion, _KINTERRUPT, _KINTERRUPT_MODE, BOOLEAN,
    CONNECT_MESSAGE_BASED, DEVICE_OBJECT, IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS,
    IO_CONNECT_INTERRUPT_PARAMETERS, IO_DISCONNECT_INTERRUPT_PARAMETERS, IO_INTERRUPT_MESSAGE_INFO, KSPIN_LOCK,
    PKINTERRUPT, ULONG,
    ntddk::{IoConnectInterrupt, IoConnectInterruptEx, IoDisconnectInterrupt, IoDisconnectInterruptEx},
};

use crate::{
    error::{Error, Result},
    irql::{Irql, Passive},
    resources::InterruptResource,
    revocable::Revocable,
    status::Status,
};

/// A `KSERVICE_ROUTINE`.
type LineService = unsafe extern "C" fn(PKINTERRUPT, *mut c_void) -> BOOLEAN;
/// A `KMESSAGE_SERVICE_ROUTINE`.
type MessageService = unsafe extern "C" fn(PKINTERRUPT, *mut c_void, ULONG) -> BOOLEAN;

/// What the system gave for a connection.
#[derive(Clone, Copy)]
pub(super) enum Connected {
    /// By `IoConnectInterrupt`.
    Line(NonNull<_KINTERRUPT>),
    /// By `IoConnectInterruptEx` with `CONNECT_MESSAGE_BASED`.
    Messages {
        table: NonNull<IO_INTERRUPT_MESSAGE_INFO>,
        /// The interrupt object of the first message. All have the same lock and IRQL.
        first: NonNull<_KINTERRUPT>,
    },
}

// SAFETY: interrupt objects, and the table of them, belong to no thread or processor.
unsafe impl Send for Connected {}
// SAFETY: the DDIs that take them synchronise.
unsafe impl Sync for Connected {}

/// The connection of an interrupt.
pub(crate) struct Connection {
    /// Set from before the first ISR can run until after the last one: who sets it may write the state.
    in_use: AtomicBool,
    connected: Revocable<Connected>,
}

impl Connection {
    pub(super) const fn new() -> Self {
        Self {
            in_use: AtomicBool::new(false),
            connected: Revocable::new(),
        }
    }

    /// `true`: nothing is connected, and the caller alone may connect, then call [`finish`](Self::finish).
    pub(super) fn begin(&self) -> bool {
        !self.in_use.swap(true, Ordering::AcqRel)
    }

    /// Tells the outcome of connecting, which it returns.
    pub(super) fn finish(&self, connected: Result<Connected>, irql: &mut Irql<Passive>) -> Result<()> {
        let connected = connected.inspect_err(|_| self.in_use.store(false, Ordering::Release))?;
        self.connected.publish(connected, irql).map_err(|connected| {
            // Cannot be: `in_use` lets one in at a time. Undone all the same.
            disconnect(connected);
            Error::INVALID_DEVICE_STATE
        })
    }

    /// Calls `f` with the interrupt object, which stays connected meanwhile; `None` if there is none.
    pub(super) fn with_object<R>(&self, f: impl FnOnce(NonNull<_KINTERRUPT>) -> R) -> Option<R> {
        self.connected.with(|connected| match *connected {
            Connected::Line(object) | Connected::Messages { first: object, .. } => f(object),
        })
    }

    /// Disconnects, if connected; no ISR runs when it returns.
    pub(crate) fn disconnect(&self, irql: &mut Irql<Passive>) {
        if let Some(connected) = self.connected.revoke(irql) {
            disconnect(connected);
            self.in_use.store(false, Ordering::Release);
        }
    }
}

/// `IoConnectInterrupt`.
///
/// # Safety
/// The routine must fit the context, and both stay until the interrupt is disconnected. `PASSIVE_LEVEL`.
pub(super) unsafe fn connect_line(
    resource: &InterruptResource<'_>,
    routine: LineService,
    context: *mut c_void,
) -> Result<Connected> {
    let mode = if resource.latched {
        _KINTERRUPT_MODE::Latched
    } else {
        _KINTERRUPT_MODE::LevelSensitive
    };
    let mut object: PKINTERRUPT = core::ptr::null_mut();
    // SAFETY: promised by the caller. The system's own spin lock is used, at the interrupt's own IRQL.
    let status = unsafe {
        IoConnectInterrupt(
            &raw mut object,
            Some(routine),
            context,
            core::ptr::null_mut(),
            resource.vector,
            resource.level,
            resource.level,
            mode,
            BOOLEAN::from(resource.shared),
            resource.affinity,
            0,
        )
    };
    Status::from_raw(status).into_result()?;
    let object = NonNull::new(object).ok_or(Error::INSUFFICIENT_RESOURCES)?;
    Ok(Connected::Line(object))
}

/// `IoConnectInterruptEx` with `CONNECT_MESSAGE_BASED`, for all messages of the device. There is no fallback routine: a device that was given a
/// line is connected by [`connect_line`].
///
/// # Safety
/// As [`connect_line`]; `pdo` must be the physical device object of the device, and the lock be free and in nonpaged memory.
pub(super) unsafe fn connect_messages(
    pdo: NonNull<DEVICE_OBJECT>,
    routine: MessageService,
    context: *mut c_void,
    lock: *mut KSPIN_LOCK,
) -> Result<Connected> {
    let mut table: *mut IO_INTERRUPT_MESSAGE_INFO = core::ptr::null_mut();
    let mut parameters = IO_CONNECT_INTERRUPT_PARAMETERS {
        Version: CONNECT_MESSAGE_BASED,
        __bindgen_anon_1: ConnectUnion {
            MessageBased: IO_CONNECT_INTERRUPT_MESSAGE_BASED_PARAMETERS {
                PhysicalDeviceObject: pdo.as_ptr(),
                ConnectionContext: ConnectionContext {
                    InterruptMessageTable: &raw mut table,
                },
                MessageServiceRoutine: Some(routine),
                ServiceContext: context,
                SpinLock: lock,
                // The system chooses: the highest of the messages' own.
                SynchronizeIrql: 0,
                FloatingSave: 0,
                FallBackServiceRoutine: None,
            },
        },
    };
    // SAFETY: promised by the caller.
    let status = unsafe { IoConnectInterruptEx(&raw mut parameters) };
    Status::from_raw(status).into_result()?;
    let table = NonNull::new(table).ok_or(Error::INSUFFICIENT_RESOURCES)?;
    // SAFETY: the system has filled in the table, which has one entry at least and stays until the interrupt is disconnected.
    let first = unsafe { (*table.as_ptr()).MessageInfo[0].InterruptObject };
    let Some(first) = NonNull::new(first) else {
        disconnect_messages(table);
        return Err(Error::INSUFFICIENT_RESOURCES);
    };
    Ok(Connected::Messages { table, first })
}

/// By the routine that belongs to how it was connected. To be called once, at `PASSIVE_LEVEL`, by who has taken `connected` out of its only place.
fn disconnect(connected: Connected) {
    match connected {
        // SAFETY: the object came from IoConnectInterrupt, and this is the end of it.
        Connected::Line(object) => unsafe { IoDisconnectInterrupt(object.as_ptr()) },
        Connected::Messages { table, .. } => disconnect_messages(table),
    }
}

/// As [`disconnect`].
fn disconnect_messages(table: NonNull<IO_INTERRUPT_MESSAGE_INFO>) {
    let mut parameters = IO_DISCONNECT_INTERRUPT_PARAMETERS {
        Version: CONNECT_MESSAGE_BASED,
        ConnectionContext: DisconnectUnion {
            InterruptMessageTable: table.as_ptr(),
        },
    };
    // SAFETY: the table came from IoConnectInterruptEx with this version, and this is the end of it.
    unsafe { IoDisconnectInterruptEx(&raw mut parameters) };
}
