//! Permanent objects and temporary ones: `ZwMakeTemporaryObject`, `ObMakeTemporaryObject`.
//!
//! A permanent object keeps its name when nobody has it open; a temporary one loses it with the last handle.

use super::{
    handle::{self, Handle, ZW_CONTRACT},
    namespace,
    object::{self, Objects},
    reference,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    for name in ["ZwMakeTemporaryObject", "NtMakeTemporaryObject"] {
        ddi.function(name, 1, ZW_CONTRACT, |k, a| {
            let Some(found) = handle::find(k, Handle(a.u64(0)))? else {
                return Ok(NtStatus::INVALID_HANDLE);
            };
            if let Some(object) = found.object {
                make_temporary(k, object)?;
            }
            Ok(NtStatus::SUCCESS)
        });
    }
    let contract = Contract::exactly(Irql::PASSIVE);
    ddi.function("ObMakeTemporaryObject", 1, contract, |k, a| make_temporary(k, a.va(0)));
}

/// Makes an object temporary. Its name goes now when nobody has it open, and so does the object when nobody refers to it.
pub(crate) fn make_temporary(k: &Kernel, object: Va) -> Outcome<()> {
    let owned = {
        let objects = k.state::<Objects>();
        let mut objects = objects.borrow_mut();
        let Some(record) = objects.by_address.get_mut(&object) else {
            return Ok(());
        };
        record.permanent = false;
        record.owned
    };
    if handle::count(k, object) > 0 {
        return Ok(());
    }
    namespace::remove(k, object);
    if owned && reference::count(k, object) == 0 {
        object::destroy(k, object)?;
    }
    Ok(())
}
