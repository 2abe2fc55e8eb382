//! The DMA engine: what a transfer's pieces are, and how far it has come. IRQL: at most DISPATCH.

use core::ops::ControlFlow;

use edu::{
    engine::Activity,
    transfer::{Direction, Piece, Progress},
};
use wdm::{Irp, Result};

use super::{custom_dpc::TransferDpc, transfer_of, watchdog::TransferWatchdog};
use crate::{
    device::EduDevice,
    registers::Registers,
    serial_queue::{DeviceEngine, NEW},
};

/// The part of the device that moves bytes.
///
/// How many of an IRP's bytes are done with is what the IRP says to have transferred. The note with it says of which run of the device its
/// buffer holds the next piece of an echo, sent and not fetched yet, or what was written so far.
pub enum DmaEngine {}

impl DeviceEngine for DmaEngine {
    type Dpc = TransferDpc;
    type WatchdogDpc = TransferWatchdog;
    type Piece = Piece;
    type Answer = ();

    fn prepare(device: &EduDevice, irp: &mut Irp<'_>, resumed: u64) -> ControlFlow<Result<()>, Piece> {
        match next_piece(device, irp, resumed) {
            Ok(Some(piece)) => ControlFlow::Continue(piece),
            Ok(None) => ControlFlow::Break(Ok(())),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }

    fn start(device: &EduDevice, registers: &Registers, piece: Piece) -> bool {
        let Some(address) = device.dma_buffer.address() else {
            return false;
        };
        registers.start_transfer(piece, address);
        true
    }

    fn activity(registers: &Registers) -> Activity {
        registers.dma_activity()
    }

    fn answer(registers: &Registers, _piece: Piece) -> Option<()> {
        (registers.dma_activity() == Activity::Idle).then_some(())
    }

    fn settle(
        device: &EduDevice,
        irp: &mut Irp<'_>,
        piece: Piece,
        _answer: (),
        resumed: u64,
    ) -> ControlFlow<Result<()>> {
        match take(device, irp, piece, resumed) {
            Ok(true) => ControlFlow::Continue(()),
            Ok(false) => ControlFlow::Break(Ok(())),
            Err(error) => ControlFlow::Break(Err(error)),
        }
    }
}

/// The IRP's next piece, with its bytes in the common buffer. `None` if there is none. A write that was stopped in the middle begins anew.
fn next_piece(device: &EduDevice, irp: &mut Irp<'_>, resumed: u64) -> Result<Option<Piece>> {
    if !is_of_this_run(irp, resumed) {
        irp.forget_written();
    }
    let transfer = transfer_of(irp)?;
    let piece = transfer.next_piece(progress(irp, resumed), device.parameters.piece_size());
    if let Some(piece) = piece {
        device.dma_buffer.load(irp, piece)?;
    }
    Ok(piece)
}

/// Takes what a finished piece has brought; whether the IRP has more pieces.
fn take(device: &EduDevice, irp: &mut Irp<'_>, piece: Piece, resumed: u64) -> Result<bool> {
    let transfer = transfer_of(irp)?;
    let progress = transfer.progress_after(progress(irp, resumed), piece);
    device.dma_buffer.unload(irp, piece)?;
    let is_write = irp.read_write().is_some() && piece.direction == Direction::ToDevice;
    irp.set_note(if progress.sent || is_write { [resumed, 0] } else { NEW });
    if is_write {
        irp.add_written(piece.length)?;
    }
    let next = transfer.next_piece(progress, device.parameters.piece_size());
    Ok(next.is_some())
}

/// How far a request has come. What the device was sent before it was stopped does not count: it may have forgotten it.
fn progress(irp: &Irp<'_>, resumed: u64) -> Progress {
    Progress {
        done: irp.transferred(),
        sent: is_of_this_run(irp, resumed),
    }
}

/// Whether the device has something of the request since it was last resumed.
fn is_of_this_run(irp: &Irp<'_>, resumed: u64) -> bool {
    let [run, _] = irp.note();
    run != 0 && run == resumed
}
