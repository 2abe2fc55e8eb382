//! `IoAttachDevice`: to a device that is known by its name.

use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Contract, Registry},
    io::{
        device, file,
        open::{self, FILE_NON_DIRECTORY_FILE},
    },
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::unicode_string,
    sched::Mode,
    status::NtStatus,
};

/// `FILE_READ_ATTRIBUTES`.
const READ_ATTRIBUTES: u32 = 0x0080;

pub(super) fn register(ddi: &mut Registry) {
    let contract = Contract::exactly(Irql::PASSIVE).by_rule(VerifierRule::IRQL_IO_PASSIVE_1);
    ddi.flow("IoAttachDevice", 3, contract, |k, a| async move {
        attach(&k, a.va(0), a.va(1), a.va(2)).await
    });
}

/// `(SourceDevice, TargetDevice, AttachedDevice)`: opens the target, attaches to the top of its stack, and closes it again.
async fn attach(k: &Kernel, source: Va, target: Va, attached: Va) -> Outcome<NtStatus> {
    let name = unicode_string::read(k, target)?;
    let mut spec = open::Spec::existing(&name, READ_ATTRIBUTES, Mode::Kernel);
    spec.options = FILE_NON_DIRECTORY_FILE;
    let file = match open::open(k, &spec).await? {
        Ok((file, _)) => file,
        Err(status) => return Ok(status),
    };
    file::handle_created(k, &file)?;
    let below = device::attach(k, source, file.device())?;
    file::last_handle_closed(k, &file).await?;
    k.write(attached, below)?;
    Ok(if below.is_null() {
        NtStatus::NO_SUCH_DEVICE
    } else {
        NtStatus::SUCCESS
    })
}
