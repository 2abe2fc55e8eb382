//! What QEMU's device shows while it computes, and how long its transfers take: the random sequences do not see it.

use ntsim::bus::Width::Dword;

use crate::qemu;

const FACTORIAL: u64 = 0x08;
const STATUS: u64 = 0x20;

/// Its factorial keeps QEMU busy for a good part of a second. It is 0: 32 factors of two and more are in it.
const LARGE: u64 = 400_000_000;

/// As the model does: COMPUTING is set, the register holds n, and another n is ignored.
#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn a_running_factorial_ignores_writes_and_shows_its_argument() {
    let mut qemu = qemu();
    qemu.write(FACTORIAL, Dword, LARGE).unwrap();
    let mut read = |offset| qemu.read(offset, Dword).unwrap();
    assert_eq!((read(STATUS), read(FACTORIAL)), (1, LARGE));
    qemu.write_and_compute(FACTORIAL, Dword, 5).unwrap();
    assert_eq!(qemu.read(FACTORIAL, Dword).unwrap(), 0, "of the first, not of 5");
    qemu.write_and_compute(FACTORIAL, Dword, 5).unwrap();
    assert_eq!(qemu.read(FACTORIAL, Dword).unwrap(), 120);
}

/// The interrupt is asked for when the factorial ends, not when it starts.
#[test]
#[ignore = "starts QEMU: cargo xtask test QEMU"]
fn the_interrupt_can_be_asked_for_while_it_computes() {
    let mut qemu = qemu();
    qemu.write(FACTORIAL, Dword, LARGE).unwrap();
    qemu.write(STATUS, Dword, 0x80).unwrap();
    assert_eq!(qemu.read(STATUS, Dword).unwrap(), 0x81);
    assert!(!qemu.line());
    qemu.write_and_compute(FACTORIAL, Dword, 5).unwrap();
    assert!(qemu.line());
}
