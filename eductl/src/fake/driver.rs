//! A driver without faults, for a device without faults.

use std::collections::BTreeMap;

use edu::dma::BUFFER_USABLE;
use edu::ioctl::{
    ABI_VERSION, BufferError, DeviceInfo, Factorial, IOCTL_EDU_DMA_ECHO, IOCTL_EDU_FACTORIAL, IOCTL_EDU_LIVENESS,
    IOCTL_EDU_QUERY_INFO, IOCTL_EDU_QUERY_STATISTICS, IOCTL_EDU_RAISE_INTERRUPT, IOCTL_EDU_RESET_STATISTICS,
    IOCTL_EDU_WAIT_INTERRUPT, Liveness, MAX_ECHO, QueryInfo, QueryStatistics, RaiseInterrupt, Request, ResetStatistics,
    Statistics, WaitInterrupt, WaitOutput,
};
use edu::registers::Identification;
use zerocopy::{FromBytes, IntoBytes};

use super::{Answer, Submitted, Transfer, TransferAnswer};
use crate::status::DeviceError;
use crate::transport::Completed;

const STATUS_INVALID_PARAMETER: DeviceError = DeviceError::NtStatus(0xC000_000D);
const STATUS_INVALID_DEVICE_REQUEST: DeviceError = DeviceError::NtStatus(0xC000_0010);
const STATUS_END_OF_FILE: DeviceError = DeviceError::NtStatus(0xC000_0011);
const STATUS_BUFFER_TOO_SMALL: DeviceError = DeviceError::NtStatus(0xC000_0023);
const STATUS_DISK_FULL: DeviceError = DeviceError::NtStatus(0xC000_007F);
const STATUS_CANCELLED: DeviceError = DeviceError::NtStatus(0xC000_0120);

/// How long it takes until the next interrupt, in units of 100 ns.
const INTERVAL: u64 = 10_000;

pub(super) struct SoundDriver {
    /// The device's buffer.
    buffer: [u8; BUFFER_USABLE],
    sequence: u64,
    statistics: Statistics,
    /// The masks of the waits that pend, by the numbers of their requests.
    waits: BTreeMap<u64, u32>,
}

impl Default for SoundDriver {
    fn default() -> Self {
        Self {
            buffer: [0; BUFFER_USABLE],
            sequence: 0,
            statistics: Statistics::default(),
            waits: BTreeMap::new(),
        }
    }
}

impl SoundDriver {
    /// A read or a write of the device's buffer.
    pub(super) fn transfer(&mut self, transfer: &Transfer<'_>) -> TransferAnswer {
        let completed = match *transfer {
            Transfer::Read { len: 0, .. } | Transfer::Write { data: [], .. } => Completed::default(),
            Transfer::Read { offset, len } => {
                let rest = usize::try_from(offset)
                    .ok()
                    .and_then(|offset| self.buffer.get(offset..))
                    .filter(|rest| !rest.is_empty())
                    .ok_or(STATUS_END_OF_FILE)?;
                Completed::with_output(rest[..len.min(rest.len())].to_vec())
            }
            Transfer::Write { offset, data } => {
                let place = usize::try_from(offset)
                    .ok()
                    .and_then(|offset| self.buffer.get_mut(offset..))
                    .and_then(|rest| rest.get_mut(..data.len()))
                    .ok_or(STATUS_DISK_FULL)?;
                place.copy_from_slice(data);
                Completed::written(data.len())
            }
        };
        self.count_transfer();
        Ok(completed)
    }

    fn count_transfer(&mut self) {
        self.statistics.interrupts_claimed += 1;
        self.statistics.transfer.dpcs_run += 1;
        self.statistics.transfer.completed += 1;
    }

    /// Takes the request with this number; returns the answers of all requests that it completes.
    pub(super) fn submit(&mut self, number: u64, request: &Submitted<'_>) -> Vec<(u64, Answer)> {
        match self.serve(number, request) {
            Ok(completed) => completed,
            Err(refused) => vec![(number, Err(refused))],
        }
    }

    /// Keeps the request with this number until it is cancelled; returns that it completes none.
    pub(super) fn keep(&mut self, number: u64) -> Vec<(u64, Answer)> {
        // A wait for no cause at all.
        self.waits.insert(number, 0);
        Vec::new()
    }

    /// Cancels the request with this number; returns its answer if it pended.
    pub(super) fn cancel(&mut self, number: u64) -> Option<Answer> {
        self.waits.remove(&number)?;
        self.statistics.doorbell.cancelled += 1;
        Some(Err(STATUS_CANCELLED))
    }

    fn serve(&mut self, number: u64, request: &Submitted<'_>) -> Result<Vec<(u64, Answer)>, DeviceError> {
        let mut completed = Vec::new();
        let output = match request.code {
            IOCTL_EDU_QUERY_INFO => {
                checked::<QueryInfo>(request)?;
                bytes(&DeviceInfo {
                    abi_version: ABI_VERSION,
                    identification: Identification::new(1, 0).bits(),
                    driver_version: edu::VERSION,
                })
            }
            IOCTL_EDU_LIVENESS => bytes(&checked::<Liveness>(request)?.expected()),
            IOCTL_EDU_FACTORIAL => {
                let input = checked::<Factorial>(request)?;
                self.statistics.factorials_started += 1;
                self.statistics.interrupts_claimed += 1;
                self.statistics.compute.dpcs_run += 1;
                self.statistics.compute.completed += 1;
                bytes(&input.expected())
            }
            IOCTL_EDU_RAISE_INTERRUPT => {
                let input = checked::<RaiseInterrupt>(request)?;
                if !input.is_valid() {
                    return Err(STATUS_INVALID_PARAMETER);
                }
                self.statistics.interrupts_claimed += 1;
                self.statistics.raise.dpcs_run += 1;
                self.statistics.raise.completed += 1;
                completed = self.ring(input.causes);
                Vec::new()
            }
            IOCTL_EDU_WAIT_INTERRUPT => {
                let input = checked::<WaitInterrupt>(request)?;
                if !input.is_valid() {
                    return Err(STATUS_INVALID_PARAMETER);
                }
                self.waits.insert(number, input.mask);
                return Ok(Vec::new());
            }
            IOCTL_EDU_DMA_ECHO => {
                if !(1..=MAX_ECHO).contains(&request.input.len()) {
                    return Err(STATUS_INVALID_PARAMETER);
                }
                if request.output_len < request.input.len() {
                    return Err(STATUS_BUFFER_TOO_SMALL);
                }
                self.count_transfer();
                request.input.to_vec()
            }
            IOCTL_EDU_QUERY_STATISTICS => {
                checked::<QueryStatistics>(request)?;
                bytes(&self.statistics)
            }
            IOCTL_EDU_RESET_STATISTICS => {
                checked::<ResetStatistics>(request)?;
                self.statistics = Statistics::default();
                Vec::new()
            }
            _ => return Err(STATUS_INVALID_DEVICE_REQUEST),
        };
        completed.push((number, Ok(output)));
        Ok(completed)
    }

    /// The doorbell's DPC: completes every wait that an interrupt with `causes` ends.
    fn ring(&mut self, causes: u32) -> Vec<(u64, Answer)> {
        self.sequence += 1;
        self.statistics.doorbell.dpcs_run += 1;
        let ended: Vec<_> = self.waits.extract_if(.., |_, mask| *mask & causes != 0).collect();
        self.statistics.doorbell.completed += ended.len() as u64;
        let answer = |mask| WaitOutput {
            causes: causes & mask,
            reserved: 0,
            sequence: self.sequence,
            interrupt_time: self.sequence * INTERVAL,
        };
        ended
            .into_iter()
            .map(|(number, mask)| (number, Ok(bytes(&answer(mask)))))
            .collect()
    }
}

/// The request's input, if its buffers have the right lengths.
fn checked<R: Request>(request: &Submitted<'_>) -> Result<R::Input, DeviceError> {
    R::check_lengths(request.input.len(), request.output_len).map_err(|error| match error {
        BufferError::InputLength => STATUS_INVALID_PARAMETER,
        BufferError::OutputTooShort => STATUS_BUFFER_TOO_SMALL,
    })?;
    Ok(R::Input::read_from_bytes(request.input).expect("the length was checked"))
}

fn bytes(output: &(impl IntoBytes + zerocopy::Immutable)) -> Vec<u8> {
    output.as_bytes().to_vec()
}
