//! What the device does, register by register.

use super::*;
use crate::bus::iommu::{DmaFault, DmaFaultKind, Transfer};
use crate::bus::{Slot, testing::with_context};

/// The lowest latency of the default profile: what dice that always give 0 make of it.
const LATENCY: u64 = 500;

fn edu() -> Edu {
    Edu::new(EduProfile::default())
}

fn read(edu: &mut Edu, offset: u64) -> u64 {
    with_context(0, |cx| edu.read(cx, 0, offset, Width::Dword)).unwrap()
}

fn write(edu: &mut Edu, now: u64, offset: u64, value: u64) {
    with_context(now, |cx| edu.write(cx, 0, offset, Width::Dword, value)).unwrap();
}

fn advance(edu: &mut Edu, now: u64) {
    with_context(now, |cx| edu.advance(cx, &mut Zeroes)).unwrap();
}

/// Memory that holds nothing, up to address 0x1000.
struct Zeroes;

impl Zeroes {
    fn check(transfer: Transfer, address: u64, length: usize) -> Result<(), DmaFault> {
        let length = length as u64;
        if address + length <= 0x1000 {
            return Ok(());
        }
        Err(DmaFault {
            slot: Slot(3),
            transfer,
            address,
            length,
            kind: DmaFaultKind::NeverMapped,
        })
    }
}

impl BusMaster for Zeroes {
    fn read(&mut self, address: u64, buffer: &mut [u8]) -> Result<(), DmaFault> {
        buffer.fill(0);
        Self::check(Transfer::Read, address, buffer.len())
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), DmaFault> {
        Self::check(Transfer::Write, address, bytes.len())
    }
}

#[test]
fn identification_and_liveness() {
    let mut edu = edu();
    assert_eq!(read(&mut edu, 0x00), 0x0100_00ED);
    write(&mut edu, 0, 0x04, 0x1234_5678);
    assert_eq!(read(&mut edu, 0x04), 0xEDCB_A987);
}

#[test]
fn factorials_are_modulo_two_to_the_32() {
    assert_eq!(factorial(0), 1);
    assert_eq!(factorial(5), 120);
    assert_eq!(factorial(13), 1_932_053_504);
    let by_definition = |n: u32| (1..=u64::from(n)).fold(1, |a, b| a * b % (1 << 32));
    for n in 0..50 {
        assert_eq!(u64::from(factorial(n)), by_definition(n), "{n}!");
    }
}

#[test]
fn a_factorial_takes_its_time_and_ignores_writes_meanwhile() {
    let mut edu = edu();
    write(&mut edu, 0, 0x08, 5);
    assert_eq!((read(&mut edu, 0x20), read(&mut edu, 0x08)), (1, 5));
    write(&mut edu, 1, 0x08, 9);
    assert_eq!(edu.next_event(), Some(LATENCY + 5));
    advance(&mut edu, LATENCY + 4);
    assert_eq!((read(&mut edu, 0x20), read(&mut edu, 0x08)), (1, 5));
    advance(&mut edu, LATENCY + 5);
    assert_eq!((read(&mut edu, 0x20), read(&mut edu, 0x08)), (0, 120));
    assert!(!edu.line_asserted(), "no interrupt was asked for");
    assert_eq!(edu.next_event(), None);
}

#[test]
fn the_interrupt_is_raised_and_acknowledged() {
    let mut edu = edu();
    write(&mut edu, 0, 0x20, 0xFF);
    assert_eq!(read(&mut edu, 0x20), 0x80, "only the enable bit can be written");
    write(&mut edu, 0, 0x08, 3);
    advance(&mut edu, 10_000);
    assert_eq!((read(&mut edu, 0x24), edu.line_asserted()), (1, true));
    write(&mut edu, 0, 0x64, 2);
    assert!(edu.line_asserted());
    write(&mut edu, 0, 0x64, 1);
    assert_eq!((read(&mut edu, 0x24), edu.line_asserted()), (0, false));
}

#[test]
fn a_factorial_started_before_the_last_ones_interrupt_waits_for_it() {
    let mut edu = Edu::new(EduProfile {
        step_latency: 100..=100,
        ..EduProfile::default()
    });
    write(&mut edu, 0, 0x20, 0x80);
    write(&mut edu, 0, 0x08, 3);
    let stored = LATENCY + 3;
    advance(&mut edu, stored);
    assert_eq!((read(&mut edu, 0x20), read(&mut edu, 0x08)), (0x81, 6));
    advance(&mut edu, stored + 100);
    assert_eq!((read(&mut edu, 0x20), edu.line_asserted()), (0x80, false));
    write(&mut edu, stored + 150, 0x08, 4);
    advance(&mut edu, stored + 200);
    assert_eq!((read(&mut edu, 0x20), edu.line_asserted()), (0x81, true));
    assert_eq!(edu.next_event(), Some(stored + 200 + LATENCY + 4));
}

#[test]
fn raising_works_for_any_bits_but_not_for_none() {
    let mut edu = edu();
    write(&mut edu, 0, 0x60, 0);
    assert!(!edu.line_asserted());
    write(&mut edu, 0, 0x60, 0x8000_0100);
    assert_eq!(read(&mut edu, 0x24), 0x8000_0100);
    assert!(edu.line_asserted());
}

#[test]
fn messages_take_the_place_of_the_line() {
    let mut edu = edu();
    edu.set_message_signalled(true);
    write(&mut edu, 0, 0x60, 1);
    write(&mut edu, 0, 0x60, 1);
    assert!(!edu.line_asserted());
    assert_eq!((edu.take_messages(), edu.take_messages()), (vec![0, 0], vec![]));
}

#[test]
fn a_wrong_width_is_a_fault() {
    let mut edu = edu();
    let mut attempt = |offset, width| with_context(0, |cx| edu.read(cx, 0, offset, width).is_ok());
    assert!(attempt(0x00, Width::Dword));
    assert!(!attempt(0x00, Width::Qword));
    assert!(!attempt(0x08, Width::Byte));
    assert!(!attempt(0x22, Width::Dword));
    assert!(attempt(0x80, Width::Qword));
    assert!(!attempt(0x84, Width::Qword));
    assert!(!attempt(0x80, Width::Word));
}

#[test]
fn registers_that_are_none_read_as_ones() {
    assert_eq!(read(&mut edu(), 0x0C), 0xFFFF_FFFF);
    assert_eq!(read(&mut edu(), 0x60), 0xFFFF_FFFF);
    assert_eq!(read(&mut edu(), 0x84), 0xFFFF_FFFF);
}

fn transfer(edu: &mut Edu, now: u64, source: u64, destination: u64, count: u64, command: u64) {
    for (offset, value) in [(0x80, source), (0x88, destination), (0x90, count), (0x98, command)] {
        write(edu, now, offset, value);
    }
}

#[test]
fn the_end_of_a_transfer_raises_an_interrupt_if_asked_to() {
    let mut edu = edu();
    transfer(&mut edu, 0, 0x100, 0x4_0000, 4, 0x5);
    assert_eq!(edu.next_event(), Some(100_000_000));
    advance(&mut edu, 99_999_999);
    assert_eq!((read(&mut edu, 0x98), edu.line_asserted()), (5, false));
    advance(&mut edu, 100_000_000);
    assert_eq!((read(&mut edu, 0x98), read(&mut edu, 0x24)), (4, 0x100));
    write(&mut edu, 100_000_000, 0x64, 0x100);
    transfer(&mut edu, 100_000_000, 0x4_0000, 0x180, 4, 0x3);
    advance(&mut edu, 200_000_000);
    assert_eq!((read(&mut edu, 0x98), edu.line_asserted()), (2, false));
}

#[test]
fn dma_registers_take_four_or_eight_bytes() {
    let mut edu = edu();
    let wide = 0x1_2345_6789;
    with_context(0, |cx| edu.write(cx, 0, 0x80, Width::Qword, wide)).unwrap();
    let whole = with_context(0, |cx| edu.read(cx, 0, 0x80, Width::Qword)).unwrap();
    assert_eq!(whole, wide);
    write(&mut edu, 0, 0x80, 0x11);
    let whole = with_context(0, |cx| edu.read(cx, 0, 0x80, Width::Qword)).unwrap();
    assert_eq!(whole, 0x11, "a narrow write is the whole value");
}

#[test]
fn an_access_that_memory_refuses_is_the_devices_fault() {
    let mut edu = edu();
    transfer(&mut edu, 0, 0x1000, 0x4_0000, 4, 1);
    let refused = with_context(100_000_000, |cx| edu.advance(cx, &mut Zeroes));
    assert!(matches!(
        refused,
        Err(DeviceFault::Dma { fault, .. }) if fault.kind == DmaFaultKind::NeverMapped
    ));
}

#[test]
fn dma_faults_do_what_they_say() {
    let mut edu = edu();
    edu.faults_mut().lose_dma_interrupts = 1;
    edu.faults_mut().extra_dma_latency = 50;
    transfer(&mut edu, 0, 0x100, 0x4_0000, 4, 0x5);
    assert_eq!(edu.next_event(), Some(100_000_050));
    advance(&mut edu, 100_000_050);
    assert_eq!((read(&mut edu, 0x98), read(&mut edu, 0x24)), (4, 0));
    edu.faults_mut().dma_stuck = true;
    transfer(&mut edu, 0, 0x100, 0x4_0000, 4, 0x5);
    advance(&mut edu, 900_000_000);
    assert_eq!((edu.next_event(), read(&mut edu, 0x98)), (None, 5));
    edu.faults_mut().dma_stuck = false;
    advance(&mut edu, 900_000_000);
    assert_eq!((read(&mut edu, 0x98), read(&mut edu, 0x24)), (4, 0x100));
}

#[test]
fn faults_do_what_they_say() {
    let mut edu = edu();
    write(&mut edu, 0, 0x20, 0x80);
    edu.faults_mut().lose_factorial_interrupts = 1;
    edu.faults_mut().extra_latency = 1_000_000;
    write(&mut edu, 0, 0x08, 3);
    assert_eq!(edu.next_event(), Some(1_000_000 + LATENCY + 3));
    advance(&mut edu, 2_000_000);
    assert_eq!((read(&mut edu, 0x08), read(&mut edu, 0x24)), (6, 0));
    edu.faults_mut().stuck = true;
    write(&mut edu, 0, 0x08, 4);
    advance(&mut edu, 9_000_000);
    assert_eq!((edu.next_event(), read(&mut edu, 0x20)), (None, 0x81));
    edu.faults_mut().stuck = false;
    advance(&mut edu, 9_000_000);
    assert_eq!((read(&mut edu, 0x08), read(&mut edu, 0x24)), (24, 1));
    edu.faults_mut().lose_raised_interrupts = 1;
    write(&mut edu, 0, 0x60, 0x20);
    write(&mut edu, 0, 0x60, 0x10);
    assert_eq!(read(&mut edu, 0x24), 0x11);
    write(&mut edu, 0, 0x64, 0x11);
    edu.faults_mut().extra_latency = 0;
    edu.faults_mut().interrupt_delay = 5_000_000;
    write(&mut edu, 9_000_000, 0x08, 3);
    advance(&mut edu, 10_000_000);
    assert_eq!(
        (read(&mut edu, 0x20), read(&mut edu, 0x24)),
        (0x80, 0),
        "idle, and silent"
    );
    advance(&mut edu, 15_000_000);
    assert_eq!(read(&mut edu, 0x24), 1, "late");
    edu.faults_mut().dead = true;
    assert_eq!(read(&mut edu, 0x24), 0xFFFF_FFFF);
}

fn as_qemu() -> Edu {
    Edu::new(EduProfile::as_qemu())
}

#[test]
fn the_line_falls_with_messages_and_rises_with_the_next_cause_only() {
    let mut edu = edu();
    write(&mut edu, 0, 0x60, 1);
    assert!(edu.line_asserted());
    edu.set_message_signalled(true);
    assert!(!edu.line_asserted());
    edu.set_message_signalled(false);
    assert_eq!(
        (read(&mut edu, 0x24), edu.line_asserted()),
        (1, false),
        "pending, and silent"
    );
    write(&mut edu, 0, 0x60, 2);
    assert!(edu.line_asserted());
    write(&mut edu, 0, 0x64, 1);
    assert!(edu.line_asserted(), "2 is left");
    write(&mut edu, 0, 0x64, 2);
    assert!(!edu.line_asserted());
}

#[test]
fn a_reset_as_qemus_drops_the_line_and_nothing_else() {
    let mut edu = as_qemu();
    write(&mut edu, 0, 0x04, 0);
    write(&mut edu, 0, 0x60, 0x10);
    write(&mut edu, 0, 0x08, 5);
    transfer(&mut edu, 0, 0x100, 0x4_0000, 4, 0x5);
    edu.reset();
    assert!(!edu.line_asserted());
    let registers = [0x04, 0x08, 0x20, 0x24, 0x80, 0x98].map(|offset| read(&mut edu, offset));
    assert_eq!(registers, [0xFFFF_FFFF, 5, 1, 0x10, 0x100, 5]);
    advance(&mut edu, 100_000_000);
    assert_eq!(
        (read(&mut edu, 0x08), read(&mut edu, 0x24)),
        (120, 0x110),
        "both went on"
    );
    assert!(edu.line_asserted());
}

/// What QEMU answers to accesses that the device does not take.
#[test]
fn forgiven_accesses_read_as_qemus() {
    let mut edu = as_qemu();
    let mut access = |offset, width, value| {
        with_context(0, |cx| edu.write(cx, 0, offset, width, value)).unwrap();
        with_context(0, |cx| edu.read(cx, 0, offset, width)).unwrap()
    };
    assert_eq!(access(0x04, Width::Byte, 1), 0);
    assert_eq!(access(0x22, Width::Dword, 1), 0, "two words");
    assert_eq!(access(0x00, Width::Qword, 1), u64::MAX);
    assert_eq!(access(0x04, Width::Dword, 0), 0xFFFF_FFFF);
    let halves = 0x1122_3344_5566_7788;
    assert_eq!(
        access(0x84, Width::Qword, halves),
        0x1122_3344_FFFF_FFFF,
        "one register in its upper half"
    );
    assert_eq!(access(0x88, Width::Dword, 7), 7);
}
