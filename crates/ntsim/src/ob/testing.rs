//! Calling exports from tests, with the strings and structures that they take.

use ntlayout::{object_attributes as attributes, unicode_string};

use super::handle::Handle;
pub(crate) use crate::ddi::testing::{
    buffer as memory, bugcheck_of, call as value, clean as run, counted, status as call,
};
use crate::{bugcheck::Outcome, kernel::Kernel, mm::Va, status::NtStatus};

/// An empty `UNICODE_STRING` with room for `bytes`.
pub(crate) fn room(k: &Kernel, bytes: u16) -> Outcome<Va> {
    let string = memory(k, unicode_string::SIZE)?;
    k.write(string + unicode_string::MAXIMUM_LENGTH, bytes)?;
    k.write(string + unicode_string::BUFFER, memory(k, usize::from(bytes).max(1))?)?;
    Ok(string)
}

/// An `OBJECT_ATTRIBUTES`.
pub(crate) fn attributes_of(k: &Kernel, root: Handle, name: &str, flags: u32) -> Outcome<Va> {
    let at = memory(k, attributes::SIZE)?;
    k.write(at + attributes::LENGTH, 48_u32)?;
    k.write(at + attributes::ROOT_DIRECTORY, root)?;
    if !name.is_empty() {
        k.write(at + attributes::OBJECT_NAME, counted(k, name)?)?;
    }
    k.write(at + attributes::ATTRIBUTES, flags)?;
    Ok(at)
}

/// Calls an export that opens a handle: handle, access and attributes first, then `more`.
pub(crate) async fn open(k: &Kernel, routine: &str, name: &str, more: &[u64]) -> Outcome<Result<Handle, NtStatus>> {
    let attributes = attributes_of(k, Handle(0), name, 0x240)?;
    open_by(k, routine, attributes, more).await
}

/// The same, with attributes.
pub(crate) async fn open_by(
    k: &Kernel,
    routine: &str,
    attributes: Va,
    more: &[u64],
) -> Outcome<Result<Handle, NtStatus>> {
    let variable = memory(k, 8)?;
    let mut arguments = vec![variable.get(), 0x001F_01FF, attributes.get()];
    arguments.extend(more);
    let status = call(k, routine, &arguments).await?;
    Ok(if status.is_success() {
        Ok(k.read(variable)?)
    } else {
        Err(status)
    })
}

/// `ZwClose`.
pub(crate) async fn close(k: &Kernel, handle: Handle) -> Outcome<()> {
    assert_eq!(call(k, "ZwClose", &[handle.0]).await?, NtStatus::SUCCESS);
    Ok(())
}
