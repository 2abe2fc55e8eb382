//! `IRP_MJ_READ` and `IRP_MJ_WRITE`.

use ntlayout::{file_object, io_stack_location as stack};

use super::{
    dispatch::{Request, done, failed},
    with,
};
use crate::{
    bugcheck::Outcome,
    io::{file::FO_SYNCHRONOUS_IO, irp::IoStatus},
    kernel::Kernel,
    status::NtStatus,
};

/// The largest file that the model keeps.
pub(super) const LARGEST: u64 = 1 << 30;

/// Where a transfer takes place: the node's path, the offset, the length.
fn place(k: &Kernel, request: &Request) -> Outcome<Result<(String, i64, usize), NtStatus>> {
    let path = with(k, |fs| fs.open.get(&request.file).map(|open| open.path.clone()));
    let path = match path {
        Some(Some(path)) => path,
        Some(None) => return Err(k.not_modelled("reading and writing the volume itself is not modelled")),
        None => return Ok(Err(NtStatus::INVALID_PARAMETER)),
    };
    if with(k, |fs| fs.nodes.get(&path).is_none_or(super::Node::is_directory)) {
        return Ok(Err(NtStatus::INVALID_DEVICE_REQUEST));
    }
    let length: u32 = k.read(request.location + stack::READ_WRITE_LENGTH)?;
    let offset: i64 = k.read(request.location + stack::READ_WRITE_BYTE_OFFSET)?;
    Ok(Ok((path, offset, length as usize)))
}

pub(super) fn read(k: &Kernel, request: &Request) -> Outcome<IoStatus> {
    let (path, offset, length) = match place(k, request)? {
        Ok(place) => place,
        Err(status) => return Ok(failed(status)),
    };
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let bytes = with(k, |fs| {
        let data = fs.nodes.get(&path)?.data.as_ref()?;
        let rest = data.get(start..).filter(|rest| !rest.is_empty())?;
        Some(rest[..rest.len().min(length)].to_vec())
    });
    if length == 0 {
        return Ok(done(0));
    }
    let Some(bytes) = bytes else {
        return Ok(failed(NtStatus::END_OF_FILE));
    };
    let buffer = request.user_buffer(k)?;
    k.write_bytes(buffer, &bytes)?;
    move_position(k, request, start + bytes.len())?;
    Ok(done(bytes.len() as u64))
}

pub(super) fn write(k: &Kernel, request: &Request) -> Outcome<IoStatus> {
    let (path, offset, length) = match place(k, request)? {
        Ok(place) => place,
        Err(status) => return Ok(failed(status)),
    };
    let end = with(k, |fs| fs.nodes.get(&path).map_or(0, super::Node::length));
    // An offset of -1 writes to the end of the file.
    let start = u64::try_from(offset).unwrap_or(end);
    if start.saturating_add(length as u64) > LARGEST {
        return Ok(failed(NtStatus::DISK_FULL));
    }
    let start = usize::try_from(start).expect("files are small");
    if length == 0 {
        return Ok(done(0));
    }
    let buffer = request.user_buffer(k)?;
    let bytes = k.read_bytes(buffer, length)?;
    let now = k.now();
    with(k, |fs| {
        if let Some(node) = fs.nodes.get_mut(&path) {
            let data = node.data.get_or_insert_default();
            if data.len() < start + length {
                data.resize(start + length, 0);
            }
            data[start..start + length].copy_from_slice(&bytes);
            node.written = now;
        }
    });
    move_position(k, request, start + length)?;
    Ok(done(length as u64))
}

/// The position of a synchronous file is behind what was transferred.
fn move_position(k: &Kernel, request: &Request, end: usize) -> Outcome<()> {
    let flags: u32 = k.read(request.file + file_object::FLAGS)?;
    if flags & FO_SYNCHRONOUS_IO != 0 {
        k.write(request.file + file_object::CURRENT_BYTE_OFFSET, end as u64)?;
    }
    Ok(())
}
