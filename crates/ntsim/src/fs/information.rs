//! `IRP_MJ_QUERY_INFORMATION` and `IRP_MJ_SET_INFORMATION`.

use ntlayout::{file_object, io_stack_location as stack};

use super::{
    ARCHIVE, Node, READ_ONLY, SETTABLE,
    dispatch::{Request, done, failed},
    transfer::LARGEST,
    with,
};
use crate::{
    bugcheck::Outcome,
    io::{irp::IoStatus, open::DELETE},
    ke::time,
    kernel::Kernel,
    rtl::unicode_string,
    status::NtStatus,
};

const BASIC: u32 = 4;
const STANDARD: u32 = 5;
const INTERNAL: u32 = 6;
const EA: u32 = 7;
const NAME: u32 = 9;
const DISPOSITION: u32 = 13;
const POSITION: u32 = 14;
const ALLOCATION: u32 = 19;
const END_OF_FILE: u32 = 20;
const NETWORK_OPEN: u32 = 34;
const ATTRIBUTE_TAG: u32 = 35;

/// Bytes of a cluster.
const CLUSTER: u64 = 4096;

/// Creation, last access, last write and change time.
pub(super) fn times(node: &Node) -> Vec<u8> {
    let times = [node.created, node.written, node.written, node.written];
    times
        .into_iter()
        .flat_map(|at| time::as_system_time(at).to_le_bytes())
        .collect()
}

/// The bytes on the disk that a file takes.
pub(super) fn allocation(node: &Node) -> u64 {
    node.length().div_ceil(CLUSTER) * CLUSTER
}

/// A number for a path that stays the same in a run.
pub(super) fn identity(path: &str) -> u64 {
    path.bytes().fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn class_and_length(k: &Kernel, request: &Request) -> Outcome<(u32, usize)> {
    let length: u32 = k.read(request.location + stack::PARAMETERS)?;
    Ok((k.read(request.location + stack::PARAMETERS + 8_u64)?, length as usize))
}

pub(super) fn query(k: &Kernel, request: &Request) -> Outcome<IoStatus> {
    let (class, length) = class_and_length(k, request)?;
    let found = with(k, |fs| {
        let path = fs.open.get(&request.file)?.path.clone()?;
        Some((path.clone(), fs.nodes.get(&path)?.clone()))
    });
    let Some((path, node)) = found else {
        return Ok(failed(NtStatus::INVALID_PARAMETER));
    };
    let attributes = u64::from(node.attributes()).to_le_bytes();
    let (allocated, size) = (allocation(&node).to_le_bytes(), node.length().to_le_bytes());
    let mut bytes = Vec::new();
    match class {
        BASIC => {
            bytes.extend(times(&node));
            bytes.extend(attributes);
        }
        STANDARD => {
            bytes.extend(allocated);
            bytes.extend(size);
            bytes.extend(1_u32.to_le_bytes());
            bytes.extend([u8::from(node.deleted), u8::from(node.is_directory()), 0, 0]);
        }
        INTERNAL => bytes.extend(identity(&path).to_le_bytes()),
        EA => bytes.extend(0_u32.to_le_bytes()),
        NAME => {
            let name = unicode_string::read(k, request.file + file_object::FILE_NAME)?;
            let text = unicode_string::encode(&name);
            bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend(text);
        }
        POSITION => {
            let position: u64 = k.read(request.file + file_object::CURRENT_BYTE_OFFSET)?;
            bytes.extend(position.to_le_bytes());
        }
        NETWORK_OPEN => {
            bytes.extend(times(&node));
            bytes.extend(allocated);
            bytes.extend(size);
            bytes.extend(attributes);
        }
        ATTRIBUTE_TAG => bytes.extend(attributes),
        class => {
            return Err(k.not_modelled(format!(
                "ZwQueryInformationFile of a file on the disk with the information class {class} is not modelled"
            )));
        }
    }
    give(k, request, &bytes, length)
}

/// Gives what there is room for.
pub(super) fn give(k: &Kernel, request: &Request, bytes: &[u8], room: usize) -> Outcome<IoStatus> {
    let given = bytes.len().min(room);
    let buffer = request.system_buffer(k)?;
    k.write_bytes(buffer, &bytes[..given])?;
    Ok(IoStatus {
        status: if given < bytes.len() {
            NtStatus::BUFFER_OVERFLOW
        } else {
            NtStatus::SUCCESS
        },
        information: given as u64,
    })
}

pub(super) fn set(k: &Kernel, request: &Request) -> Outcome<IoStatus> {
    let (class, _) = class_and_length(k, request)?;
    let buffer = request.system_buffer(k)?;
    let open = with(k, |fs| {
        let open = fs.open.get(&request.file)?;
        Some((open.path.clone()?, open.access))
    });
    let Some((path, access)) = open else {
        return Ok(failed(NtStatus::INVALID_PARAMETER));
    };
    match class {
        BASIC => {
            const ATTRIBUTES: u64 = 32;
            let attributes: u32 = k.read(buffer + ATTRIBUTES)?;
            // Zero leaves them as they are. The times are the machine's own.
            if attributes != 0 {
                change(k, &path, |node| node.attributes = attributes & SETTABLE);
            }
            Ok(done(0))
        }
        DISPOSITION => {
            let delete = k.read::<u8>(buffer)? != 0;
            Ok(match dispose(k, &path, access, delete) {
                Ok(()) => done(0),
                Err(status) => failed(status),
            })
        }
        POSITION => {
            let position: u64 = k.read(buffer)?;
            k.write(request.file + file_object::CURRENT_BYTE_OFFSET, position)?;
            Ok(done(0))
        }
        END_OF_FILE | ALLOCATION => {
            let size: u64 = k.read(buffer)?;
            if size > LARGEST {
                return Ok(failed(NtStatus::DISK_FULL));
            }
            resize(k, &path, size, class == END_OF_FILE);
            Ok(done(0))
        }
        class => Err(k.not_modelled(format!(
            "ZwSetInformationFile of a file on the disk with the information class {class} is not modelled"
        ))),
    }
}

fn change(k: &Kernel, path: &str, work: impl FnOnce(&mut Node)) {
    with(k, |fs| {
        if let Some(node) = fs.nodes.get_mut(path) {
            work(node);
        }
    });
}

/// Whether a file is to be deleted when its last handle is closed.
fn dispose(k: &Kernel, path: &str, access: u32, delete: bool) -> Result<(), NtStatus> {
    if access & DELETE == 0 {
        return Err(NtStatus::ACCESS_DENIED);
    }
    let (empty, read_only) = with(k, |fs| {
        let read_only = fs.nodes.get(path).is_some_and(|node| node.attributes & READ_ONLY != 0);
        (fs.children(path).next().is_none(), read_only)
    });
    if delete && !empty {
        return Err(NtStatus::DIRECTORY_NOT_EMPTY);
    }
    if delete && read_only {
        return Err(NtStatus::CANNOT_DELETE);
    }
    change(k, path, |node| node.deleted = delete);
    Ok(())
}

/// An allocation cuts a file off; a new end lets it grow as well.
fn resize(k: &Kernel, path: &str, size: u64, grows: bool) {
    let size = usize::try_from(size).expect("files are small");
    let now = k.now();
    change(k, path, |node| {
        if let Some(data) = &mut node.data
            && (grows || data.len() > size)
        {
            data.resize(size, 0);
            node.written = now;
            node.attributes |= ARCHIVE;
        }
    });
}
