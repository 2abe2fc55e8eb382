//! What an administrator can set for a device: values of its hardware key in the registry. IRQL: PASSIVE to load, any to look.

use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicU32, Ordering};

use edu::transfer::PieceSize;
use wdm::{HardwareKey, Irql, Resources, TimeSpan, UnicodeString, irql::Passive, unicode_string};

/// One parameter, a `REG_DWORD`. One that is missing, or of another type, has the default value; one out of range the nearest that is not.
struct Parameter {
    name: UnicodeString<'static>,
    default: u32,
    range: RangeInclusive<u32>,
}

/// How long the device may take for one piece of work before it is looked at, in milliseconds. The device's longest, a DMA
/// command, takes 100.
const TIMEOUT_MS: Parameter = Parameter {
    name: unicode_string!("TimeoutMs"),
    default: 2_000,
    range: 1..=3_600_000,
};

/// How often a piece whose time is up is waited for, or tried, again.
const RETRIES: Parameter = Parameter {
    name: unicode_string!("Retries"),
    default: 3,
    range: 0..=100,
};

/// The most bytes that one DMA command moves.
const MAX_TRANSFER_SIZE: Parameter = Parameter {
    name: unicode_string!("MaxTransferSize"),
    default: LONGEST_PIECE,
    range: 1..=LONGEST_PIECE,
};

#[expect(clippy::cast_possible_truncation, reason = "a page at most")]
const LONGEST_PIECE: u32 = PieceSize::MAX.get() as u32;

/// The parameters that are in force: those of the last start.
pub struct Parameters {
    timeout_ms: AtomicU32,
    retries: AtomicU32,
    max_transfer_size: AtomicU32,
}

impl Parameters {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            timeout_ms: AtomicU32::new(TIMEOUT_MS.default),
            retries: AtomicU32::new(RETRIES.default),
            max_transfer_size: AtomicU32::new(MAX_TRANSFER_SIZE.default),
        }
    }

    /// Looks them up.
    pub fn load(&self, key: &HardwareKey, resources: &Resources<'_>, irql: &mut Irql<Passive>) {
        self.timeout_ms
            .store(TIMEOUT_MS.read(key, resources, irql), Ordering::Relaxed);
        self.retries
            .store(RETRIES.read(key, resources, irql), Ordering::Relaxed);
        let size = MAX_TRANSFER_SIZE.read(key, resources, irql);
        self.max_transfer_size.store(size, Ordering::Relaxed);
    }

    /// How long a piece may take before the device is looked at.
    pub fn timeout(&self) -> TimeSpan {
        TimeSpan::from_millis(self.timeout_ms.load(Ordering::Relaxed))
    }

    /// The most bytes that one DMA command moves.
    pub fn piece_size(&self) -> PieceSize {
        let bytes = self.max_transfer_size.load(Ordering::Relaxed);
        PieceSize::new(bytes as usize).unwrap_or_default()
    }

    /// How often a piece is waited for, or tried, again.
    pub fn retries(&self) -> u32 {
        self.retries.load(Ordering::Relaxed)
    }
}

impl Parameter {
    fn read(&self, key: &HardwareKey, resources: &Resources<'_>, irql: &mut Irql<Passive>) -> u32 {
        let value = key.dword(self.name, resources, irql).unwrap_or(self.default);
        value.max(*self.range.start()).min(*self.range.end())
    }
}
