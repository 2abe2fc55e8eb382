//! `IRP_MN_QUERY_DIRECTORY`.

use ntlayout::{io_stack_location as stack, unicode_string as string};

use super::{
    Node,
    dispatch::{Request, failed},
    information::{allocation, identity, times},
    with,
};
use crate::{
    bugcheck::Outcome,
    io::irp::IoStatus,
    kernel::Kernel,
    mm::Va,
    rtl::{name_expression::fits, unicode_string},
    status::NtStatus,
};

/// `SL_RESTART_SCAN` and `SL_RETURN_SINGLE_ENTRY`.
const RESTART_SCAN: u8 = 1;
const RETURN_SINGLE_ENTRY: u8 = 2;

/// `FileNamesInformation`, `FileIdBothDirectoryInformation`, `FileIdFullDirectoryInformation`.
const NAMES: u32 = 12;
const ID_BOTH: u32 = 37;
const ID_FULL: u32 = 38;
/// Where the name is in an entry of each class.
const NAME_OFFSETS: [(u32, usize); 6] = [(1, 64), (2, 68), (3, 94), (NAMES, 12), (ID_BOTH, 104), (ID_FULL, 80)];

/// A name in a directory, with the number of the file and the file.
type Found = (String, u64, Node);

pub(super) fn query(k: &Kernel, request: &Request) -> Outcome<IoStatus> {
    let flags: u8 = k.read(request.location + stack::FLAGS)?;
    let length: u32 = k.read(request.location + stack::PARAMETERS)?;
    let pattern: Va = k.read(request.location + stack::PARAMETERS + 8_u64)?;
    let class: u32 = k.read(request.location + stack::PARAMETERS + 16_u64)?;
    let Some(&(_, name_offset)) = NAME_OFFSETS.iter().find(|(known, _)| *known == class) else {
        return Ok(failed(NtStatus::INVALID_INFO_CLASS));
    };
    let asked = if pattern.is_null() || k.read::<u16>(pattern + string::LENGTH)? == 0 {
        None
    } else {
        Some(unicode_string::read(k, pattern)?)
    };
    let Some((first, position, all)) = matching(k, request.file, asked, flags & RESTART_SCAN != 0) else {
        return Ok(failed(NtStatus::INVALID_PARAMETER));
    };
    let left = all.get(position..).unwrap_or_default();
    if left.is_empty() {
        let status = if first {
            NtStatus::NO_SUCH_FILE
        } else {
            NtStatus::NO_MORE_FILES
        };
        return Ok(failed(status));
    }
    let most = if flags & RETURN_SINGLE_ENTRY == 0 {
        left.len()
    } else {
        1
    };
    let (bytes, taken) = entries(&left[..most], class, name_offset, length as usize);
    if taken == 0 {
        return Ok(failed(NtStatus::BUFFER_OVERFLOW));
    }
    with(k, |fs| {
        if let Some(open) = fs.open.get_mut(&request.file) {
            open.position = position + taken;
        }
    });
    let buffer = request.user_buffer(k)?;
    k.write_bytes(buffer, &bytes)?;
    Ok(IoStatus {
        status: NtStatus::SUCCESS,
        information: bytes.len() as u64,
    })
}

/// What is in an open directory and fits its pattern, where the scan is, and whether this is the first query. None when it is no directory.
fn matching(k: &Kernel, file: Va, asked: Option<String>, restart: bool) -> Option<(bool, usize, Vec<Found>)> {
    with(k, |fs| {
        let open = fs.open.get_mut(&file)?;
        // The first query sets the pattern for all that follow.
        let first = open.pattern.is_none();
        if first {
            open.pattern = Some(asked.unwrap_or_else(|| "*".to_owned()));
        }
        if restart {
            open.position = 0;
        }
        let (path, pattern, position) = (open.path.clone()?, open.pattern.clone()?, open.position);
        let own = fs.nodes.get(&path).filter(|node| node.is_directory())?.clone();
        let mut all: Vec<Found> = Vec::new();
        if !path.is_empty() {
            all.extend([".", ".."].map(|name| (name.to_owned(), identity(&path), own.clone())));
        }
        let children = fs.children(&path);
        all.extend(children.map(|(path, node)| (node.name.clone(), identity(path), node.clone())));
        all.retain(|(found, ..)| fits(&pattern, found));
        Some((first, position, all))
    })
}

/// As many entries as fit, each at a multiple of 8 bytes.
fn entries(found: &[Found], class: u32, name_offset: usize, room: usize) -> (Vec<u8>, usize) {
    let mut bytes: Vec<u8> = Vec::new();
    let mut taken = 0;
    let mut last = 0;
    for (name, identity, node) in found {
        let entry = entry(name, *identity, node, class, name_offset);
        let start = bytes.len().next_multiple_of(8);
        if start + entry.len() > room {
            break;
        }
        bytes.resize(start, 0);
        if taken > 0 {
            let next = u32::try_from(start - last).unwrap_or(0);
            bytes[last..last + 4].copy_from_slice(&next.to_le_bytes());
        }
        last = start;
        bytes.extend(entry);
        taken += 1;
    }
    (bytes, taken)
}

fn entry(name: &str, identity: u64, node: &Node, class: u32, name_offset: usize) -> Vec<u8> {
    let text = unicode_string::encode(name);
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    let mut bytes = vec![0; name_offset];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    if class == NAMES {
        put(8, &length.to_le_bytes());
    } else {
        put(8, &times(node));
        put(40, &node.length().to_le_bytes());
        put(48, &allocation(node).to_le_bytes());
        put(56, &node.attributes().to_le_bytes());
        put(60, &length.to_le_bytes());
        match class {
            ID_BOTH => put(96, &identity.to_le_bytes()),
            ID_FULL => put(72, &identity.to_le_bytes()),
            _ => {}
        }
    }
    bytes.extend(text);
    bytes
}
