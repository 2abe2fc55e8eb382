//! `IRP_MN_READ_CONFIG` and `IRP_MN_WRITE_CONFIG`, as the PCI bus driver answers them.

use ntlayout::io_stack_location as stack;

use crate::{bugcheck::Outcome, bus::Slot, hal::bus_data, io::irp::IoStatus, kernel::Kernel, mm::Va, status::NtStatus};

/// `PCI_WHICHSPACE_CONFIG`.
pub(super) const CONFIG: u32 = 0;

/// What the request in `location` ends with: the bytes that were transferred.
pub(super) fn answer(k: &Kernel, slot: Slot, location: Va, write: bool) -> Outcome<IoStatus> {
    let space: u32 = k.read(location + stack::CONFIG_WHICH_SPACE)?;
    let failed = |status| Ok(IoStatus { status, information: 0 });
    if space != CONFIG {
        // No device here has an expansion ROM.
        return failed(NtStatus::INVALID_PARAMETER_1);
    }
    if !k.bus().borrow().function(slot).present() {
        return failed(NtStatus::NO_SUCH_DEVICE);
    }
    let buffer: Va = k.read(location + stack::CONFIG_BUFFER)?;
    let offset: u32 = k.read(location + stack::CONFIG_OFFSET)?;
    let length: u32 = k.read(location + stack::CONFIG_LENGTH)?;
    let transfer = if write { bus_data::write } else { bus_data::read };
    let count = transfer(k, slot, buffer, offset, length)?;
    Ok(IoStatus {
        status: NtStatus::SUCCESS,
        information: count.into(),
    })
}
