//! A device in the storm: who uses it, what they have asked it for, and how that may end.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use edu::ioctl::QueueStatistics;
use ntsim::{
    NtStatus, Outcome,
    bus::DevicePower,
    io::pnp::{self, DeviceState},
    user::{Completion, Request},
};
use scenarios::{boot::Pc, program::Program};

use super::{
    request::{Ask, Queue},
    weather::{Manner, Weather},
};

/// A handle that requests are made by.
pub struct Seat {
    pub program: Program,
    pub open: Cell<bool>,
}

/// A request that was made.
pub struct Sent {
    pub ask: Ask,
    pub request: Request,
    /// Somebody has asked for it to be cancelled, or closed its handle.
    pub cancelled: Cell<bool>,
    /// Whose it is.
    pub seat: usize,
    /// When it was made surprise removal was over.
    late: bool,
}

/// A device.
pub struct Site {
    pub pc: Pc,
    weather: Weather,
    pub seats: Vec<Seat>,
    /// The script's own handle, which stays open.
    pub observer: Program,
    /// The device was pulled out, or answers nothing any more.
    pub gone: Cell<bool>,
    /// And its driver has handled that.
    pub removed: Cell<bool>,
    sent: RefCell<Vec<Rc<Sent>>>,
}

impl Site {
    /// A device that has just been started, and its programs. A byte is read first: see [`scenarios::windows::Windows`].
    pub async fn open(pc: Pc, weather: Weather) -> Outcome<Self> {
        let mut seats = Vec::new();
        for _ in 0..2 {
            seats.push(Seat {
                program: Program::open(&pc).await?,
                open: Cell::new(true),
            });
        }
        let site = Self {
            observer: Program::open(&pc).await?,
            pc,
            weather,
            seats,
            gone: Cell::default(),
            removed: Cell::default(),
            sent: RefCell::default(),
        };
        let read = site.send(0, Ask::Read { offset: 0, length: 1 }).await?;
        read.request.wait(&site.pc.k).await?;
        Ok(site)
    }

    /// Makes a request.
    pub async fn send(&self, seat: usize, ask: Ask) -> Outcome<Rc<Sent>> {
        let late = self.removed.get();
        let request = ask.send(&self.seats[seat].program).await?;
        let made = Rc::new(Sent {
            ask,
            request,
            cancelled: Cell::default(),
            seat,
            late,
        });
        self.sent.borrow_mut().push(made.clone());
        Ok(made)
    }

    /// All requests so far.
    pub fn sent(&self) -> Vec<Rc<Sent>> {
        self.sent.borrow().clone()
    }

    /// `CancelIoEx`, unless its handle is closed.
    pub async fn cancel(&self, made: &Sent) -> Outcome<()> {
        let seat = &self.seats[made.seat];
        if !seat.open.get() {
            return Ok(());
        }
        made.cancelled.set(true);
        let status = seat.program.cancel_request(&made.request).await?;
        assert!([NtStatus::SUCCESS, NtStatus::NOT_FOUND].contains(&status), "{status}");
        Ok(())
    }

    /// `CloseHandle`.
    pub async fn close(&self, seat: usize) -> Outcome<()> {
        if !self.seats[seat].open.replace(false) {
            return Ok(());
        }
        for sent in self.sent().iter().filter(|sent| sent.seat == seat) {
            sent.cancelled.set(true);
        }
        self.seats[seat].program.clone().close().await
    }

    /// It is started and has its power.
    pub fn works(&self) -> bool {
        let state = pnp::state(&self.pc.k, self.pc.pdo);
        let power = self.pc.k.bus().borrow().function(self.pc.slot).power();
        !self.gone.get() && state == Some(DeviceState::Started) && power == DevicePower::D0
    }

    /// The request has ended: rightly so.
    fn check(&self, sent: &Sent, done: &Completion) {
        let (ask, status) = (sent.ask, done.status);
        if status == NtStatus::SUCCESS {
            assert!(!sent.late, "{ask:?} succeeds without a device");
            return ask.check_answer(done);
        }
        assert!(
            done.output.is_empty() && done.information == 0,
            "{ask:?}: {status} brings something"
        );
        let right = match status {
            NtStatus::CANCELLED => sent.cancelled.get(),
            NtStatus::DEVICE_REMOVED => self.gone.get(),
            NtStatus::IO_TIMEOUT => {
                let engine = [Queue::Raise, Queue::Compute, Queue::Transfer].contains(&ask.queue());
                engine && self.weather.manner == Manner::Lossy
            }
            NtStatus::INSUFFICIENT_RESOURCES => ask.queue() == Queue::Transfer && self.weather.failing_mappings,
            _ => false,
        };
        assert!(right, "{ask:?} ends with {status}");
    }

    /// Waits for every request, each of which ends by itself.
    pub async fn check_all(&self) -> Outcome<()> {
        for sent in self.sent() {
            let done = sent.request.wait(&self.pc.k).await?;
            self.check(&sent, &done);
        }
        Ok(())
    }

    /// Each request is in one counter of its queue. After [`check_all`](Self::check_all), on a device that is there.
    pub async fn check_statistics(&self) -> Outcome<()> {
        let counted = self.observer.statistics().await?;
        for (queue, statistics) in [
            (Queue::Raise, counted.raise),
            (Queue::Compute, counted.compute),
            (Queue::Transfer, counted.transfer),
            (Queue::Doorbell, counted.doorbell),
        ] {
            let mut expected = [0; 3];
            for sent in self.sent().iter().filter(|sent| sent.ask.queue() == queue) {
                match sent.request.result().map(|done| done.status) {
                    Some(NtStatus::SUCCESS) => expected[0] += 1,
                    Some(NtStatus::CANCELLED) => expected[1] += 1,
                    _ => expected[2] += 1,
                }
            }
            let QueueStatistics {
                completed,
                cancelled,
                failed,
                ..
            } = statistics;
            assert_eq!([completed, cancelled, failed], expected, "{queue:?}");
        }
        Ok(())
    }
}
