//! The registry by one call: `RtlWriteRegistryValue`, `RtlDeleteRegistryValue`, `RtlCreateRegistryKey`, `RtlCheckRegistryKey`.

use super::{
    counted::PASSIVE,
    query_registry::{REGISTRY_HANDLE, top_path},
    unicode_string::read_terminated,
};
use crate::{
    bugcheck::Outcome,
    cm::{self, Value},
    ddi::{Args, Registry},
    kernel::Kernel,
    ob::handle::Handle,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlWriteRegistryValue", 6, PASSIVE, |k, a| {
        let path = match made(k, a)? {
            Ok(path) => path,
            Err(status) => return Ok(status),
        };
        let name = read_terminated(k, a.va(2))?;
        let data = super::counted::read_bytes(k, a.va(4), usize::try_from(a.u32(5)).expect("32 bits fit"))?;
        cm::write_value(k, &path, &name, Value::Raw { kind: a.u32(3), data })?;
        Ok(NtStatus::SUCCESS)
    });
    ddi.function("RtlDeleteRegistryValue", 3, PASSIVE, |k, a| {
        let path = match top_path(k, a.u32(0), a)? {
            Ok(path) => cm::canonical(&path),
            Err(status) => return Ok(status),
        };
        let deleted = cm::exists(k, &path) && cm::delete(k, &path, &read_terminated(k, a.va(2))?);
        Ok(if deleted {
            NtStatus::SUCCESS
        } else {
            NtStatus::OBJECT_NAME_NOT_FOUND
        })
    });
    ddi.function("RtlCreateRegistryKey", 2, PASSIVE, |k, a| {
        Ok(made(k, a)?.err().unwrap_or(NtStatus::SUCCESS))
    });
    ddi.flow("RtlCheckRegistryKey", 2, PASSIVE, |k, a| async move {
        let path = match top_path(&k, a.u32(0), &a)? {
            Ok(path) => path,
            Err(status) => return Ok(status),
        };
        if a.u32(0) & REGISTRY_HANDLE != 0 {
            // As documented, the handle is closed.
            let closed = k.call(k.routine_address("ZwClose"), &[Handle(a.u64(1)).0]).await?;
            return Ok(NtStatus((closed & 0xFFFF_FFFF) as u32));
        }
        Ok(if cm::exists(&k, &cm::canonical(&path)) {
            NtStatus::SUCCESS
        } else {
            NtStatus::OBJECT_NAME_NOT_FOUND
        })
    });
}

/// The key that a call names, which is made when the one above it exists.
fn made(k: &Kernel, a: &Args) -> Outcome<Result<String, NtStatus>> {
    let path = match top_path(k, a.u32(0), a)? {
        Ok(path) => path,
        Err(status) => return Ok(Err(status)),
    };
    Ok(cm::make_last(k, &path, "", false)?.map(|_| path))
}
