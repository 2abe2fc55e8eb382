//! `IRP_MJ_CREATE`.

use ntlayout::{file_object, io_stack_location as stack};

use super::{
    ARCHIVE, FileSystem, Open, READ_ONLY, SETTABLE,
    dispatch::{Request, done, failed},
    with,
};
use crate::{
    bugcheck::Outcome,
    io::{
        file::{FILE_APPEND_DATA, FILE_READ_DATA, FILE_WRITE_DATA},
        irp::IoStatus,
        open::{DELETE, FILE_DELETE_ON_CLOSE, FILE_DIRECTORY_FILE, FILE_NON_DIRECTORY_FILE},
    },
    kernel::Kernel,
    mm::Va,
    rtl::unicode_string,
    sched::VirtualTime,
    status::NtStatus,
};

/// Offset of `DesiredAccess` in an `IO_SECURITY_CONTEXT`.
const DESIRED_ACCESS: usize = 16;
/// `FILE_EXECUTE`.
const FILE_EXECUTE: u32 = 0x20;

/// The create dispositions.
const SUPERSEDE: u32 = 0;
const OPEN: u32 = 1;
const CREATE: u32 = 2;
const OVERWRITE: u32 = 4;
const OVERWRITE_IF: u32 = 5;

/// What `IoStatus.Information` says.
const SUPERSEDED: u64 = 0;
const OPENED: u64 = 1;
const CREATED: u64 = 2;
const OVERWRITTEN: u64 = 3;

/// The rights that sharing is about, with the `FILE_SHARE_xxx` that allows others to have them.
const SHARED_RIGHTS: [(u32, u32); 3] = [
    (FILE_READ_DATA | FILE_EXECUTE, 1),
    (FILE_WRITE_DATA | FILE_APPEND_DATA, 2),
    (DELETE, 4),
];

/// How a file is to be opened.
struct Asked {
    path: String,
    /// The name ended in `\`: it must be a directory's.
    ends_in_separator: bool,
    disposition: u32,
    options: u32,
    attributes: u32,
    access: u32,
    share: u32,
}

pub(super) fn create(k: &Kernel, request: &Request) -> Outcome<IoStatus> {
    let asked = match read(k, request)? {
        Ok(asked) => asked,
        Err(status) => return Ok(failed(status)),
    };
    let Some(asked) = asked else {
        open_volume(k, request.file);
        return Ok(done(OPENED));
    };
    let now = k.now();
    Ok(match with(k, |fs| open(fs, request.file, &asked, now)) {
        Ok(information) => done(information),
        Err(status) => failed(status),
    })
}

/// None when the volume itself is to be opened.
fn read(k: &Kernel, request: &Request) -> Outcome<Result<Option<Asked>, NtStatus>> {
    let (file, location) = (request.file, request.location);
    let name = unicode_string::read(k, file + file_object::FILE_NAME)?;
    let related: Va = k.read(file + file_object::RELATED_FILE_OBJECT)?;
    let path = if related.is_null() {
        name
    } else {
        let Some(above) = with(k, |fs| fs.open.get(&related).and_then(|open| open.path.clone())) else {
            return Ok(Err(NtStatus::INVALID_PARAMETER));
        };
        if name.starts_with('\\') {
            return Ok(Err(NtStatus::OBJECT_NAME_INVALID));
        }
        format!("{above}\\{name}")
    };
    if path.is_empty() {
        return Ok(Ok(None));
    }
    let trimmed = path.trim_end_matches('\\');
    if trimmed.contains(':') {
        return Err(k.not_modelled(format!("the file {path} is not modelled: a stream of a file")));
    }
    let wrong = |part: &str| {
        let reserved = ['*', '?', '<', '>', '|', '"', '/'];
        part.is_empty() || part == "." || part == ".." || part.contains(reserved)
    };
    if trimmed.split('\\').skip(1).any(wrong) {
        return Ok(Err(NtStatus::OBJECT_NAME_INVALID));
    }
    let options: u32 = k.read(location + stack::CREATE_OPTIONS)?;
    let security: Va = k.read(location + stack::CREATE_SECURITY_CONTEXT)?;
    let attributes: u16 = k.read(location + stack::CREATE_FILE_ATTRIBUTES)?;
    let share: u16 = k.read(location + stack::CREATE_SHARE_ACCESS)?;
    Ok(Ok(Some(Asked {
        ends_in_separator: trimmed.len() != path.len() && !trimmed.is_empty(),
        path: trimmed.to_owned(),
        disposition: options >> 24,
        options: options & 0x00FF_FFFF,
        attributes: attributes.into(),
        access: k.read(security + DESIRED_ACCESS)?,
        share: share.into(),
    })))
}

fn open_volume(k: &Kernel, file: Va) {
    let open = Open {
        path: None,
        access: 0,
        share: 7,
        delete_on_close: false,
        cleaned_up: false,
        position: 0,
        pattern: None,
    };
    with(k, |fs| fs.open.insert(file, open));
}

fn open(fs: &mut FileSystem, file: Va, asked: &Asked, now: VirtualTime) -> Result<u64, NtStatus> {
    let key = asked.path.to_lowercase();
    let information = if fs.nodes.contains_key(&key) {
        open_existing(fs, &key, asked, now)?
    } else {
        create_new(fs, asked, now)?
    };
    let open = Open {
        path: Some(key),
        access: asked.access,
        share: asked.share,
        delete_on_close: asked.options & FILE_DELETE_ON_CLOSE != 0,
        cleaned_up: false,
        position: 0,
        pattern: None,
    };
    fs.open.insert(file, open);
    Ok(information)
}

fn open_existing(fs: &mut FileSystem, key: &str, asked: &Asked, now: VirtualTime) -> Result<u64, NtStatus> {
    let node = fs.nodes.get(key).expect("it was found");
    if node.deleted {
        return Err(NtStatus::DELETE_PENDING);
    }
    if asked.disposition == CREATE {
        return Err(NtStatus::OBJECT_NAME_COLLISION);
    }
    let overwrites = matches!(asked.disposition, SUPERSEDE | OVERWRITE | OVERWRITE_IF);
    if node.is_directory() {
        if asked.options & FILE_NON_DIRECTORY_FILE != 0 || overwrites {
            return Err(NtStatus::FILE_IS_A_DIRECTORY);
        }
    } else if asked.options & FILE_DIRECTORY_FILE != 0 {
        return Err(NtStatus::NOT_A_DIRECTORY);
    } else if asked.ends_in_separator {
        return Err(NtStatus::OBJECT_NAME_INVALID);
    }
    let writes = asked.access & (FILE_WRITE_DATA | FILE_APPEND_DATA) != 0 && !node.is_directory();
    if node.attributes & READ_ONLY != 0 && (writes || overwrites) {
        return Err(NtStatus::ACCESS_DENIED);
    }
    if node.attributes & READ_ONLY != 0 && asked.options & FILE_DELETE_ON_CLOSE != 0 {
        return Err(NtStatus::CANNOT_DELETE);
    }
    check_sharing(fs, key, asked)?;
    if !overwrites {
        return Ok(OPENED);
    }
    let node = fs.nodes.get_mut(key).expect("it was found");
    node.data = Some(Vec::new());
    node.written = now;
    node.attributes = asked.attributes & SETTABLE | ARCHIVE;
    Ok(if asked.disposition == SUPERSEDE {
        SUPERSEDED
    } else {
        OVERWRITTEN
    })
}

/// Each open must allow what the others do.
fn check_sharing(fs: &FileSystem, key: &str, asked: &Asked) -> Result<(), NtStatus> {
    let of_file = |open: &&Open| !open.cleaned_up && open.path.as_deref() == Some(key);
    for other in fs.open.values().filter(of_file) {
        for (rights, share) in SHARED_RIGHTS {
            let forbidden = (asked.access & rights != 0 && other.share & share == 0)
                || (other.access & rights != 0 && asked.share & share == 0);
            if forbidden {
                return Err(NtStatus::SHARING_VIOLATION);
            }
        }
    }
    Ok(())
}

fn create_new(fs: &mut FileSystem, asked: &Asked, now: VirtualTime) -> Result<u64, NtStatus> {
    let (parent, _) = asked.path.rsplit_once('\\').unwrap_or(("", ""));
    let parent_is_directory = fs
        .nodes
        .get(&parent.to_lowercase())
        .is_some_and(super::Node::is_directory);
    if !parent_is_directory {
        return Err(NtStatus::OBJECT_PATH_NOT_FOUND);
    }
    if matches!(asked.disposition, OPEN | OVERWRITE) {
        return Err(NtStatus::OBJECT_NAME_NOT_FOUND);
    }
    let directory = asked.options & FILE_DIRECTORY_FILE != 0;
    if asked.ends_in_separator && !directory {
        return Err(NtStatus::OBJECT_NAME_INVALID);
    }
    fs.insert(&asked.path, (!directory).then(Vec::new), now);
    if let Some(node) = fs.nodes.get_mut(&asked.path.to_lowercase()) {
        node.attributes |= asked.attributes & SETTABLE;
    }
    Ok(CREATED)
}
