//! Whether others use the device during the test. What a check finds may then be their doing: one buffer and one set of interrupts
//! are there for everybody.
//!
//! The driver counts the requests of all. A transport that counts those of the test alone tells the difference.

use std::collections::BTreeMap;
use std::fmt;

use edu::ioctl::{
    ControlCode, IOCTL_EDU_DMA_ECHO, IOCTL_EDU_FACTORIAL, IOCTL_EDU_RAISE_INTERRUPT, IOCTL_EDU_WAIT_INTERRUPT,
    QueryStatistics, Statistics,
};
use serde::Serialize;

use crate::request::call;
use crate::status::DeviceError;
use crate::transport::{Completed, RequestId, Transport};

/// Requests that ended with success, by the queue that they were in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Served {
    raise: u64,
    compute: u64,
    transfer: u64,
    doorbell: u64,
}

impl Served {
    fn counted_in(statistics: &Statistics) -> Self {
        Self {
            raise: statistics.raise.completed,
            compute: statistics.compute.completed,
            transfer: statistics.transfer.completed,
            doorbell: statistics.doorbell.completed,
        }
    }

    /// Each counter with `change` made by that of `other`.
    fn with(self, other: Self, change: fn(u64, u64) -> u64) -> Self {
        Self {
            raise: change(self.raise, other.raise),
            compute: change(self.compute, other.compute),
            transfer: change(self.transfer, other.transfer),
            doorbell: change(self.doorbell, other.doorbell),
        }
    }

    /// Its counters, in the words of whoever made the requests.
    const fn named(&self) -> [(u64, &'static str); 4] {
        [
            (self.raise, "raised interrupts"),
            (self.compute, "factorials"),
            (self.transfer, "reads, writes and echoes"),
            (self.doorbell, "waits"),
        ]
    }
}

/// What others did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Others {
    /// They had this many requests served, at the least.
    Served(Served),
    /// They set the counters to 0.
    ResetCounters,
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("others used the device meanwhile (")?;
        match self {
            Self::Served(served) => {
                let named = served.named();
                let listed: Vec<String> = named
                    .iter()
                    .filter(|(count, _)| *count > 0)
                    .map(|(count, what)| format!("{count} {what}"))
                    .collect();
                f.write_str(&listed.join(", "))?;
            }
            Self::ResetCounters => f.write_str("the counters were set to 0")?,
        }
        f.write_str("); what failed may be their doing")
    }
}

/// A transport that counts.
pub(super) struct Observer<'t> {
    transport: &'t mut dyn Transport,
    /// What the driver had counted at the start, if it said so.
    before: Option<Served>,
    /// Which counter a request under way belongs to.
    under_way: BTreeMap<u64, fn(&mut Served) -> &mut u64>,
    own: Served,
}

impl<'t> Observer<'t> {
    pub(super) fn new(transport: &'t mut dyn Transport) -> Self {
        Self {
            before: counted(transport),
            transport,
            under_way: BTreeMap::new(),
            own: Served::default(),
        }
    }

    /// What others have done since. Nothing when the driver does not say what it has counted.
    pub(super) fn others(self) -> Option<Others> {
        let (before, after) = (self.before?, counted(self.transport)?);
        // Requests that are served without getting into a queue, such as reads of nothing, are among the own.
        let others = after.with(before, u64::wrapping_sub);
        if others.named().iter().any(|(count, _)| *count > u64::MAX / 2) {
            return Some(Others::ResetCounters);
        }
        let others = others.with(self.own, u64::saturating_sub);
        (others != Served::default()).then_some(Others::Served(others))
    }

    fn note(&mut self, request: &RequestId, counter: fn(&mut Served) -> &mut u64) {
        self.under_way.insert(request.number(), counter);
    }
}

fn counted(transport: &mut dyn Transport) -> Option<Served> {
    let statistics = call::<QueryStatistics>(transport, &()).ok()?;
    Some(Served::counted_in(&statistics))
}

impl Transport for Observer<'_> {
    fn submit(&mut self, code: ControlCode, input: &[u8], output_len: usize) -> Result<RequestId, DeviceError> {
        let request = self.transport.submit(code, input, output_len)?;
        match code {
            IOCTL_EDU_RAISE_INTERRUPT => self.note(&request, |served| &mut served.raise),
            IOCTL_EDU_FACTORIAL => self.note(&request, |served| &mut served.compute),
            IOCTL_EDU_DMA_ECHO => self.note(&request, |served| &mut served.transfer),
            IOCTL_EDU_WAIT_INTERRUPT => self.note(&request, |served| &mut served.doorbell),
            _ => {}
        }
        Ok(request)
    }

    fn submit_read(&mut self, offset: u64, len: usize) -> Result<RequestId, DeviceError> {
        let request = self.transport.submit_read(offset, len)?;
        self.note(&request, |served| &mut served.transfer);
        Ok(request)
    }

    fn submit_write(&mut self, offset: u64, data: &[u8]) -> Result<RequestId, DeviceError> {
        let request = self.transport.submit_write(offset, data)?;
        self.note(&request, |served| &mut served.transfer);
        Ok(request)
    }

    fn wait(&mut self, request: RequestId) -> Result<Completed, DeviceError> {
        let counter = self.under_way.remove(&request.number());
        let completed = self.transport.wait(request)?;
        if let Some(counter) = counter {
            *counter(&mut self.own) += 1;
        }
        Ok(completed)
    }

    fn cancel(&mut self, request: &RequestId) {
        self.transport.cancel(request);
    }
}
