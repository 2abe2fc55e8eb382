//! `in`, `out` and their string forms: I/O ports of devices, and the two ports of PCI configuration.

use iced_x86::{Instruction, Mnemonic, OpKind, Register};

use super::{super::execute::with_guest, operand};
use crate::{
    bugcheck::Outcome,
    bus::{DeviceFault, Width},
    cpu::Gpr,
    hal, ke,
    kernel::Kernel,
    mm::Va,
    trace::{Counter, Event},
    verifier::SyncObject,
};

/// What an access to a port costs, in virtual nanoseconds: a trip over the bus and back.
const PORT_ACCESS_TIME: u64 = 500;

/// The direction flag.
const DIRECTION: u64 = 1 << 10;

/// `in` and `ins`.
pub(super) fn input(k: &Kernel, instruction: &Instruction) -> Outcome<()> {
    if instruction.mnemonic() == Mnemonic::In {
        let register = instruction.op0_register();
        let port = port(k, instruction, 1);
        let value = read(k, port, width_of(register.size()))?;
        with_guest(k, |guest| operand::set_register(guest, register, value));
        return Ok(());
    }
    let (width, port) = (string_width(instruction), dx(k));
    string(k, instruction, width, Gpr::Rdi, |at| {
        let bytes = read(k, port, width)?.to_le_bytes();
        k.write_bytes(at, &bytes[..bytes_of(width)])
    })
}

/// `out` and `outs`.
pub(super) fn output(k: &Kernel, instruction: &Instruction) -> Outcome<()> {
    if instruction.mnemonic() == Mnemonic::Out {
        let register = instruction.op1_register();
        let port = port(k, instruction, 0);
        let value = with_guest(k, |guest| operand::register(guest, register));
        return write(k, port, width_of(register.size()), value);
    }
    let (width, port) = (string_width(instruction), dx(k));
    string(k, instruction, width, Gpr::Rsi, |at| {
        let mut bytes = [0; 8];
        k.read_into(at, &mut bytes[..bytes_of(width)])?;
        write(k, port, width, u64::from_le_bytes(bytes))
    })
}

/// One step of a string instruction, or rcx steps with a `rep` prefix.
fn string(
    k: &Kernel,
    instruction: &Instruction,
    width: Width,
    pointer: Gpr,
    step: impl Fn(Va) -> Outcome<()>,
) -> Outcome<()> {
    let repeated = instruction.has_rep_prefix() || instruction.has_repne_prefix();
    loop {
        let (count, at, flags) = with_guest(k, |guest| (guest.get(Gpr::Rcx), guest.get(pointer), guest.flags()));
        if repeated && count == 0 {
            return Ok(());
        }
        step(Va(at))?;
        let next = if flags & DIRECTION == 0 {
            at.wrapping_add(width.bytes())
        } else {
            at.wrapping_sub(width.bytes())
        };
        with_guest(k, |guest| {
            guest.set(pointer, next);
            if repeated {
                guest.set(Gpr::Rcx, count - 1);
            }
        });
        if !repeated {
            return Ok(());
        }
    }
}

fn byte_count(width: Width) -> u8 {
    u8::try_from(width.bytes()).expect("at most 8")
}

fn bytes_of(width: Width) -> usize {
    usize::try_from(width.bytes()).expect("at most 8")
}

fn width_of(bytes: usize) -> Width {
    Width::from_bytes(bytes).unwrap_or(Width::Dword)
}

fn string_width(instruction: &Instruction) -> Width {
    match instruction.mnemonic() {
        Mnemonic::Insb | Mnemonic::Outsb => Width::Byte,
        Mnemonic::Insw | Mnemonic::Outsw => Width::Word,
        _ => Width::Dword,
    }
}

fn dx(k: &Kernel) -> u16 {
    (with_guest(k, |guest| operand::register(guest, Register::DX)) & 0xFFFF) as u16
}

/// The port: an immediate byte, or dx.
fn port(k: &Kernel, instruction: &Instruction, operand: u32) -> u16 {
    if instruction.op_kind(operand) == OpKind::Register {
        dx(k)
    } else {
        u16::from(instruction.immediate8())
    }
}

fn read(k: &Kernel, port: u16, width: Width) -> Outcome<u64> {
    accessed(k);
    let answer = k.watch().hardware.borrow_mut().read_port(port, width, k.now());
    let value = answered(k, port, width, "read", answer)?;
    k.count(Counter::RegisterReads);
    k.trace(Event::PortRead {
        port,
        width: byte_count(width),
        value,
    });
    Ok(value)
}

fn write(k: &Kernel, port: u16, width: Width, value: u64) -> Outcome<()> {
    accessed(k);
    if let Some((slot, ..)) = k.bus().borrow().decode_port(port) {
        k.sync_release(SyncObject::Device(slot.0.into()));
    }
    let answer = k.watch().hardware.borrow_mut().write_port(port, width, value, k.now());
    answered(k, port, width, "written", answer)?;
    k.count(Counter::RegisterWrites);
    k.trace(Event::PortWritten {
        port,
        width: byte_count(width),
        value,
    });
    Ok(())
}

fn accessed(k: &Kernel) {
    ke::interrupt::note_device_access(k);
    k.watch().clock.set(k.now() + PORT_ACCESS_TIME);
}

/// The outer result is what a device forbids; none inside means that nobody is known to be there.
fn answered<T>(k: &Kernel, port: u16, width: Width, verb: &str, answer: Result<Option<T>, DeviceFault>) -> Outcome<T> {
    let pc = with_guest(k, |guest| guest.program_counter());
    match answer {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(k.not_modelled(format!(
            "the {width} port {port:#x} was {verb} at {pc}, which is no port of a device in this machine: a PC's own ports are not modelled"
        ))),
        Err(fault) => {
            let place = format!("port {port:#x} by {pc}");
            Err(hal::fault::refused(k, port.into(), &place, &fault))
        }
    }
}
