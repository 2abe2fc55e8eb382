//! What is done to both devices.

use std::ops::Range;

use ntsim::bus::Width;
use proptest::{collection::vec, prelude::*, sample::select};

/// The memory that the device can reach.
pub(crate) const MEMORY: Range<u64> = 0x20_0000..0x20_8000;
/// The device's internal buffer, but for its last byte, which QEMU 7.2 aborts at.
pub(crate) const BUFFER: Range<u64> = 0x4_0000..0x4_0FFF;

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// A processor reads the device's memory.
    Read { offset: u64, width: Width },
    /// A processor writes the device's memory.
    Write { offset: u64, width: Width, value: u64 },
    /// The registers of the DMA engine are written, the command last.
    Transfer {
        to_memory: bool,
        inside: u64,
        memory: u64,
        count: u64,
        interrupt: bool,
    },
    /// The transfer that runs ends.
    Finish,
    /// Time passes, nanoseconds.
    Wait(u64),
    /// A processor fills memory.
    Fill { at: u64, length: u64, byte: u8 },
    /// The command register is written.
    Command(u16),
    /// MSI is switched on or off.
    Messages(bool),
    /// Four bytes of configuration space are read.
    ReadConfig(u8),
    /// The machine is reset.
    Reset,
}

/// The bits of the command register.
pub(crate) const COMMAND_MEMORY: u16 = 0x0002;
pub(crate) const COMMAND_MASTER: u16 = 0x0004;
const COMMAND_INTERRUPT_DISABLE: u16 = 0x0400;

const FACTORIAL: u64 = 0x08;
const RAISE: u64 = 0x60;
const ACKNOWLEDGE: u64 = 0x64;
/// All its bits are ones.
const LARGEST_FACTORIAL: u32 = 0xFFF;

/// The registers, and places without one.
const OFFSETS: [u64; 14] = [
    0x00, 0x04, 0x08, 0x0C, 0x20, 0x24, 0x60, 0x64, 0x80, 0x88, 0x90, 0x98, 0xA0, 0x7C,
];
/// Configuration space: identity, command and status, revision and class, BAR, subsystem, capabilities pointer, message control.
const CONFIG: [u8; 7] = [0x00, 0x04, 0x08, 0x10, 0x2C, 0x34, 0x40];

fn width() -> impl Strategy<Value = Width> {
    prop_oneof![
        6 => Just(Width::Dword),
        2 => Just(Width::Qword),
        1 => Just(Width::Word),
        1 => Just(Width::Byte),
    ]
}

fn offset() -> impl Strategy<Value = u64> {
    prop_oneof![
        12 => select(&OFFSETS[..]),
        2 => 0x00..0xA8_u64,
        1 => 0x00..0xF_FFF8_u64,
    ]
}

/// Bits that mean something, small numbers, single bits, and anything.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        4 => select(&[0x00, 0x01, 0x80, 0x81, 0x100, 0x101, 0xFFFF_FFFF][..]),
        4 => 0..64_u64,
        2 => (0..64_u32).prop_map(|bit| 1 << bit),
        2 => any::<u64>(),
    ]
}

/// A write. The argument of a factorial stays small: QEMU counts down from it.
fn write(offset: u64, width: Width, value: u64) -> Operation {
    let large = (u32::MAX - LARGEST_FACTORIAL).to_le_bytes();
    let mut bytes = value.to_le_bytes();
    for (at, byte) in (offset..).zip(&mut bytes) {
        let index = at.checked_sub(FACTORIAL).and_then(|index| usize::try_from(index).ok());
        if let Some(cleared) = index.and_then(|index| large.get(index)) {
            *byte &= !cleared;
        }
    }
    let value = u64::from_le_bytes(bytes);
    Operation::Write { offset, width, value }
}

/// Causes are raised one above the other, and acknowledged one by one or all at once.
fn cause() -> impl Strategy<Value = Operation> {
    let offset = select(&[RAISE, ACKNOWLEDGE, ACKNOWLEDGE][..]);
    let causes = select(&[0x001, 0x100, 0x101, 0x010, 0x8000_0010, 0xFFFF_FFFF][..]);
    (offset, causes).prop_map(|(offset, value)| Operation::Write {
        offset,
        width: Width::Dword,
        value,
    })
}

fn transfer() -> impl Strategy<Value = Operation> {
    let count = prop_oneof![1..64_u64, 1..4096_u64];
    // Of the address, the device drives 28 bits.
    let beyond = prop_oneof![4 => Just(0), 1 => 0..16_u64];
    (count, any::<(bool, bool)>(), any::<(u64, u64)>(), beyond).prop_map(
        |(count, (to_memory, interrupt), (inside, memory), beyond)| Operation::Transfer {
            to_memory,
            inside: place(&BUFFER, count, inside),
            memory: place(&MEMORY, count, memory) | beyond << 28,
            count,
            interrupt,
        },
    )
}

/// A place for `count` bytes in `range`.
fn place(range: &Range<u64>, count: u64, choice: u64) -> u64 {
    range.start + choice % (range.end - range.start - count + 1)
}

fn fill() -> impl Strategy<Value = Operation> {
    (1..4096_u64, any::<u64>(), any::<u8>()).prop_map(|(length, at, byte)| Operation::Fill {
        at: place(&MEMORY, length, at),
        length,
        byte,
    })
}

/// Mostly decoding and mastering.
fn command() -> impl Strategy<Value = u16> {
    let bit = |bit: u16, weight| prop_oneof![weight => Just(bit), 1 => Just(0)];
    (
        bit(COMMAND_MEMORY, 5),
        bit(COMMAND_MASTER, 5),
        bit(COMMAND_INTERRUPT_DISABLE, 1),
    )
        .prop_map(|(memory, master, interrupt)| memory | master | interrupt)
}

/// The most operations of a part of a sequence, and the most parts.
const PART: usize = 50;
const PARTS: usize = 80;

/// Operations for a pairing with QEMU itself, or (`waits`) with a device whose time is virtual. A sequence that differs is shortened by parts
/// first, and then by single operations: that takes fewer tries.
pub(crate) fn operations(waits: bool) -> impl Strategy<Value = Vec<Operation>> {
    let read = (offset(), width()).prop_map(|(offset, width)| Operation::Read { offset, width });
    let write = (offset(), width(), value()).prop_map(|(offset, width, value)| write(offset, width, value));
    let time = if waits {
        (0..6000_u64).prop_map(Operation::Wait).boxed()
    } else {
        cause().boxed()
    };
    let operation = prop_oneof![
        30 => read,
        30 => write,
        20 => cause(),
        6 => transfer(),
        6 => Just(Operation::Finish),
        2 => fill(),
        4 => command().prop_map(Operation::Command),
        4 => any::<bool>().prop_map(Operation::Messages),
        3 => select(&CONFIG[..]).prop_map(Operation::ReadConfig),
        1 => Just(Operation::Reset),
        20 => time,
    ];
    vec(vec(operation, 0..=PART), 0..=PARTS).prop_map(|parts| parts.concat())
}
