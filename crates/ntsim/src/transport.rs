//! eductl's way to a device on a simulated machine.
//!
//! eductl is plain sequential code. It has a thread of the machine do what it asks for; the machine runs while eductl waits,
//! and not otherwise.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, VecDeque},
    rc::Rc,
};

use edu::{interface::GUID_DEVINTERFACE_EDU, ioctl::ControlCode};
use eductl::{Completed, DeviceError, RequestId, Transport};

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::Machine,
    sched::{RunEnd, ThreadSpec, WaitQueue},
    status::NtStatus,
    user::{self, FILE_READ_DATA, FILE_WRITE_DATA, Guid, Handle, Position, Request},
};

/// What the program's thread is told to do.
enum Order {
    Submit { number: u64, what: Submission },
    Cancel { number: u64 },
    Close,
}

/// A request that eductl makes.
enum Submission {
    DeviceControl {
        code: u32,
        input: Vec<u8>,
        output_length: usize,
    },
    Read {
        offset: u64,
        length: usize,
    },
    Write {
        offset: u64,
        data: Vec<u8>,
    },
}

impl Submission {
    async fn send(self, handle: &Handle, k: &Kernel) -> Outcome<Request> {
        match self {
            Self::DeviceControl {
                code,
                input,
                output_length,
            } => handle.device_io_control(k, code, &input, output_length).await,
            Self::Read { offset, length } => handle.read_file(k, length, position(offset)).await,
            Self::Write { offset, data } => handle.write_file(k, &data, position(offset)).await,
        }
    }
}

/// What eductl and the program's thread share.
#[derive(Default)]
struct Desk {
    orders: RefCell<VecDeque<Order>>,
    more: WaitQueue,
    opened: Cell<Option<Result<(), NtStatus>>>,
    requests: RefCell<BTreeMap<u64, Request>>,
    closed: Cell<bool>,
}

/// An open device on a machine.
pub struct SimulatedDevice<'m> {
    machine: &'m Machine,
    desk: Rc<Desk>,
    next: u64,
}

/// What eductl is told when the machine has stopped: the report says more than any status.
const MACHINE_STOPPED: DeviceError = DeviceError::NtStatus(NtStatus::UNSUCCESSFUL.0);

impl<'m> SimulatedDevice<'m> {
    /// Opens the edu device at `index` among those whose interface is enabled.
    ///
    /// # Errors
    /// With the status of a refused open, or when the machine stops.
    pub fn open(machine: &'m Machine, index: usize) -> Result<Self, DeviceError> {
        let desk = Rc::new(Desk::default());
        let shared = desk.clone();
        machine.spawn(ThreadSpec::user("eductl"), move |k| program(k, shared, index));
        let this = Self { machine, desk, next: 0 };
        this.run_until(|desk| desk.opened.get().is_some())?;
        match this.desk.opened.get() {
            Some(Ok(())) => Ok(this),
            Some(Err(status)) => Err(DeviceError::NtStatus(status.0)),
            None => Err(MACHINE_STOPPED),
        }
    }

    /// Closes the device.
    ///
    /// # Errors
    /// When the machine stops.
    pub fn close(self) -> Result<(), DeviceError> {
        self.order(Order::Close);
        self.run_until(|desk| desk.closed.get())
    }

    fn begin(&mut self, what: Submission) -> Result<RequestId, DeviceError> {
        let number = self.next;
        self.next += 1;
        self.order(Order::Submit { number, what });
        self.run_until(|desk| desk.requests.borrow().contains_key(&number))?;
        Ok(RequestId::new(number))
    }

    fn order(&self, order: Order) {
        self.desk.orders.borrow_mut().push_back(order);
        self.desk.more.wake_all(self.machine.kernel());
    }

    fn run_until(&self, reached: impl Fn(&Desk) -> bool) -> Result<(), DeviceError> {
        match self.machine.run_until(|_| reached(&self.desk)) {
            RunEnd::Reached => Ok(()),
            RunEnd::Idle | RunEnd::Crashed => Err(MACHINE_STOPPED),
        }
    }
}

impl Transport for SimulatedDevice<'_> {
    fn submit(&mut self, code: ControlCode, input: &[u8], output_length: usize) -> Result<RequestId, DeviceError> {
        self.begin(Submission::DeviceControl {
            code: code.raw(),
            input: input.to_vec(),
            output_length,
        })
    }

    fn submit_read(&mut self, offset: u64, length: usize) -> Result<RequestId, DeviceError> {
        self.begin(Submission::Read { offset, length })
    }

    fn submit_write(&mut self, offset: u64, data: &[u8]) -> Result<RequestId, DeviceError> {
        self.begin(Submission::Write {
            offset,
            data: data.to_vec(),
        })
    }

    fn wait(&mut self, request: RequestId) -> Result<Completed, DeviceError> {
        let number = request.number();
        let result = |desk: &Desk| desk.requests.borrow().get(&number).and_then(Request::result);
        self.run_until(|desk| result(desk).is_some())?;
        let completion = result(&self.desk).ok_or(MACHINE_STOPPED)?;
        self.desk.requests.borrow_mut().remove(&number);
        if completion.status.is_error() {
            return Err(DeviceError::NtStatus(completion.status.0));
        }
        Ok(Completed {
            transferred: usize::try_from(completion.information).unwrap_or(usize::MAX),
            output: completion.output,
        })
    }

    fn cancel(&mut self, request: &RequestId) {
        self.order(Order::Cancel {
            number: request.number(),
        });
    }
}

/// `OVERLAPPED::Offset` and `OffsetHigh`, as Win32 passes them on.
const fn position(offset: u64) -> Position {
    Position {
        offset: offset.cast_signed(),
        key: 0,
    }
}

fn interface_class() -> Guid {
    let guid = GUID_DEVINTERFACE_EDU;
    Guid::from_fields(guid.data1, guid.data2, guid.data3, guid.data4)
}

/// The program: opens the device, carries out orders, closes it.
async fn program(k: Kernel, desk: Rc<Desk>, index: usize) -> Outcome<()> {
    let links = user::device_interfaces(&k, interface_class());
    let Some(link) = links.get(index) else {
        desk.opened.set(Some(Err(NtStatus::NO_SUCH_DEVICE)));
        return Ok(());
    };
    let handle = match Handle::open(&k, link, FILE_READ_DATA | FILE_WRITE_DATA).await? {
        Ok(handle) => handle,
        Err(status) => {
            desk.opened.set(Some(Err(status)));
            return Ok(());
        }
    };
    desk.opened.set(Some(Ok(())));
    loop {
        let order = desk.orders.borrow_mut().pop_front();
        match order {
            None => desk.more.wait(&k, "eductl's next order").await?,
            Some(Order::Submit { number, what }) => {
                let request = what.send(&handle, &k).await?;
                desk.requests.borrow_mut().insert(number, request);
            }
            Some(Order::Cancel { number }) => {
                let request = desk.requests.borrow().get(&number).cloned();
                if let Some(request) = request {
                    handle.cancel_io(&k, Some(&request)).await?;
                }
            }
            Some(Order::Close) => break,
        }
    }
    handle.close(&k).await?;
    desk.closed.set(true);
    Ok(())
}
