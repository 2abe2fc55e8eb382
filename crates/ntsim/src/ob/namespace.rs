//! The namespace: directories of named objects under one root, and how a path leads to one of them.
//!
//! Names know no case, as every object that a driver opens asks for it (`OBJ_CASE_INSENSITIVE`). There is one `\??` for everybody:
//! sessions with names of their own are not modelled. The standard directories come to exist when the first name is looked up.

use std::rc::Rc;

use super::object::{self, Body, Entry, Objects, Type};
use crate::{
    bugcheck::Outcome,
    fs,
    kernel::Kernel,
    mm::{Va, section},
    status::NtStatus,
};

/// The directories that every system has.
const DIRECTORIES: [&str; 12] = [
    "\\ArcName",
    "\\BaseNamedObjects",
    "\\Callback",
    "\\Device",
    "\\Driver",
    "\\FileSystem",
    "\\GLOBAL??",
    "\\KernelObjects",
    "\\KnownDlls",
    "\\ObjectTypes",
    "\\RPC Control",
    "\\Security",
];

/// The symbolic links that every system has, and what they stand for. `GLOBALROOT` leads to the root.
const LINKS: [(&str, &str); 6] = [
    ("\\??", GLOBAL),
    ("\\DosDevices", "\\??"),
    ("\\GLOBAL??\\Global", GLOBAL),
    ("\\GLOBAL??\\GLOBALROOT", ""),
    ("\\GLOBAL??\\C:", VOLUME),
    ("\\SystemRoot", "\\Device\\HarddiskVolume1\\Windows"),
];

/// Where the names are that programs use.
const GLOBAL: &str = "\\GLOBAL??";
/// The volume that holds the system.
pub(crate) const VOLUME: &str = "\\Device\\HarddiskVolume1";
/// Where the registry begins.
const REGISTRY: &str = "registry";
/// How many symbolic links a path may lead through.
const MOST_LINKS: usize = 32;

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An object, with nothing of the path left.
    Object(Va),
    /// A device object, which is given what is left of the path: empty, or from a `\` on.
    Device { device: Va, rest: String },
    /// The device of a device interface, and what is left.
    Interface { link: String, rest: String },
    /// A registry key, by its whole path.
    Key(String),
}

/// The root directory. The standard directories and links are made with it.
fn root(k: &Kernel) -> Outcome<Va> {
    let known = k.state::<Objects>().borrow().root;
    if let Some(root) = known {
        return Ok(root);
    }
    let root = directory(k)?;
    k.state::<Objects>().borrow_mut().root = Some(root);
    for path in DIRECTORIES {
        let made = directory(k)?;
        enter(k, root, &path[1..], made);
    }
    let device = child(k, root, "Device").unwrap_or(root);
    let physical = section::create_physical_memory(k)?;
    if let Some(record) = k.state::<Objects>().borrow_mut().by_address.get_mut(&physical) {
        record.created_by = Va::NULL;
    }
    enter(k, device, "PhysicalMemory", physical);
    for (path, target) in LINKS {
        let link = object::create_opaque(k, Type::SymbolicLink, Body::SymbolicLink(target.to_owned()), true)?;
        if let Some(record) = k.state::<Objects>().borrow_mut().by_address.get_mut(&link) {
            record.created_by = Va::NULL;
        }
        let (parent, name) = match path[1..].rsplit_once('\\') {
            Some((_, name)) => (child(k, root, "GLOBAL??").unwrap_or(root), name),
            None => (root, &path[1..]),
        };
        enter(k, parent, name, link);
    }
    Ok(root)
}

fn directory(k: &Kernel) -> Outcome<Va> {
    object::create_opaque(
        k,
        Type::Directory,
        Body::Directory(std::collections::BTreeMap::new()),
        true,
    )
}

/// Gives `object` a name in a directory.
fn enter(k: &Kernel, parent: Va, name: &str, object: Va) {
    let objects = k.state::<Objects>();
    let mut objects = objects.borrow_mut();
    let entry = Entry {
        name: name.to_owned(),
        object,
    };
    if let Some(Body::Directory(names)) = objects.by_address.get_mut(&parent).map(|record| &mut record.body) {
        names.insert(name.to_lowercase(), entry);
    }
    if let Some(record) = objects.by_address.get_mut(&object) {
        record.place = Some((parent, name.to_owned()));
    }
}

/// What `name` stands for in a directory.
fn child(k: &Kernel, directory: Va, name: &str) -> Option<Va> {
    let objects = k.state::<Objects>();
    let objects = objects.borrow();
    match &objects.by_address.get(&directory)?.body {
        Body::Directory(names) => Some(names.get(&name.to_lowercase())?.object),
        _ => None,
    }
}

fn body(k: &Kernel, object: Va) -> Body {
    let objects = k.state::<Objects>();
    let objects = objects.borrow();
    objects
        .by_address
        .get(&object)
        .map_or(Body::Other, |record| record.body.clone())
}

/// Where a lookup starts: at the root, or at a directory or an open file that the caller has a handle of.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Start {
    #[default]
    Root,
    Directory(Va),
}

/// Looks up an absolute path. A symbolic link at its end is followed, unless `keep_link`.
pub(crate) fn find(k: &Kernel, path: &str, keep_link: bool) -> Outcome<Result<Found, NtStatus>> {
    find_from(k, Start::Root, path, keep_link)
}

/// Looks up a path that is relative to a directory, or absolute.
pub(crate) fn find_from(k: &Kernel, start: Start, path: &str, keep_link: bool) -> Outcome<Result<Found, NtStatus>> {
    let root = root(k)?;
    let mut at = match (start, path.starts_with('\\')) {
        (Start::Root, true) => root,
        (Start::Directory(directory), false) => directory,
        _ => return Ok(Err(NtStatus::OBJECT_PATH_SYNTAX_BAD)),
    };
    let mut rest: Rc<str> = path.trim_start_matches('\\').into();
    let mut links = 0;
    loop {
        let trimmed = rest.trim_end_matches('\\');
        if trimmed.is_empty() {
            return Ok(Ok(Found::Object(at)));
        }
        let (name, left) = match rest.split_once('\\') {
            Some((name, _)) => (name, &rest[name.len()..]),
            None => (&*rest, ""),
        };
        if name.is_empty() {
            return Ok(Err(NtStatus::OBJECT_NAME_INVALID));
        }
        if at == root && name.eq_ignore_ascii_case(REGISTRY) {
            return Ok(Ok(Found::Key(format!("\\{}", &*rest))));
        }
        let mut found = child(k, at, name);
        if found.is_none() && is_volume(k, at, name) {
            fs::mount(k)?;
            found = child(k, at, name);
        }
        let Some(object) = found else {
            let interface = (Some(at) == child(k, root, &GLOBAL[1..]))
                .then(|| interface(k, &rest))
                .flatten();
            return Ok(match interface {
                Some(found) => Ok(found),
                None if left.trim_end_matches('\\').is_empty() => Err(NtStatus::OBJECT_NAME_NOT_FOUND),
                None => Err(NtStatus::OBJECT_PATH_NOT_FOUND),
            });
        };
        match body(k, object) {
            Body::Directory(_) => {
                at = object;
                rest = left.trim_start_matches('\\').into();
            }
            Body::SymbolicLink(_) if left.is_empty() && keep_link => return Ok(Ok(Found::Object(object))),
            Body::SymbolicLink(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return Ok(Err(NtStatus::OBJECT_NAME_NOT_FOUND));
                }
                at = root;
                let whole = format!("{}{left}", target.trim_end_matches('\\'));
                rest = whole.trim_start_matches('\\').into();
            }
            Body::Other if object::type_of(k, object) == Some(Type::Device) => {
                return Ok(Ok(Found::Device {
                    device: object,
                    rest: left.to_owned(),
                }));
            }
            Body::Key(path) => return Ok(Ok(Found::Key(path))),
            Body::Other if left.is_empty() => return Ok(Ok(Found::Object(object))),
            Body::Other => return Ok(Err(NtStatus::OBJECT_TYPE_MISMATCH)),
        }
    }
}

/// Whether a name is that of the volume, whose device is made when it is first looked for.
fn is_volume(k: &Kernel, directory: Va, name: &str) -> bool {
    let (parent, volume) = VOLUME.rsplit_once('\\').unwrap_or_default();
    let root = k.state::<Objects>().borrow().root;
    let parent = root.and_then(|root| child(k, root, &parent[1..]));
    name.eq_ignore_ascii_case(volume) && parent == Some(directory)
}

/// The device interface whose link `path` begins with, below `\??\`. A reference string is the start of what is left for the driver.
fn interface(k: &Kernel, path: &str) -> Option<Found> {
    let whole = format!("\\??\\{path}");
    let io = k.io().borrow();
    let named = io.interfaces.named_by(&whole)?;
    let first = path.find('\\').unwrap_or(path.len());
    Some(Found::Interface {
        link: named.to_owned(),
        rest: path[first..].to_owned(),
    })
}

/// Gives `object` the name at an absolute path, or at one that is relative to a directory.
///
/// # Errors
/// The status that a routine that creates a named object returns when it cannot have its name.
pub(crate) fn insert(k: &Kernel, start: Start, path: &str, object: Va) -> Outcome<Result<(), NtStatus>> {
    if matches!(start, Start::Root) && !path.starts_with('\\') {
        return Ok(Err(NtStatus::OBJECT_PATH_SYNTAX_BAD));
    }
    let path = path.trim_end_matches('\\');
    let (parent, name) = path.rsplit_once('\\').unwrap_or(("", path));
    if name.is_empty() {
        return Ok(Err(NtStatus::OBJECT_NAME_INVALID));
    }
    let parent = match (start, parent) {
        (Start::Root, "") => root(k)?,
        (Start::Directory(directory), "") => directory,
        (start, parent) => match find_from(k, start, parent, false)? {
            Ok(Found::Object(parent)) if matches!(body(k, parent), Body::Directory(_)) => parent,
            Ok(_) => return Ok(Err(NtStatus::OBJECT_TYPE_MISMATCH)),
            Err(NtStatus::OBJECT_NAME_NOT_FOUND) => return Ok(Err(NtStatus::OBJECT_PATH_NOT_FOUND)),
            Err(status) => return Ok(Err(status)),
        },
    };
    if child(k, parent, name).is_some() {
        return Ok(Err(NtStatus::OBJECT_NAME_COLLISION));
    }
    enter(k, parent, name, object);
    Ok(Ok(()))
}

/// As [`insert`], for an object that another component has the books of.
pub(crate) fn insert_foreign(k: &Kernel, path: &str, object: Va, kind: Type) -> Outcome<Result<(), NtStatus>> {
    let inserted = insert(k, Start::Root, path, object)?;
    if inserted.is_ok() {
        let (parent, name) = path.rsplit_once('\\').unwrap_or(("", path));
        let parent = match parent {
            "" => Ok(Found::Object(root(k)?)),
            parent => find(k, parent, false)?,
        };
        let Ok(Found::Object(parent)) = parent else {
            return Ok(inserted);
        };
        let record = object::Record {
            kind,
            body: Body::Other,
            place: Some((parent, name.to_owned())),
            permanent: true,
            created_by: k.caller(),
            owned: false,
        };
        k.state::<Objects>().borrow_mut().by_address.insert(object, record);
    }
    Ok(inserted)
}

/// Takes the name of `object` away, if it has one. An object that another component has the books of is then unknown here.
pub(crate) fn remove(k: &Kernel, object: Va) {
    let objects = k.state::<Objects>();
    let mut objects = objects.borrow_mut();
    let Some(record) = objects.by_address.get_mut(&object) else {
        return;
    };
    let (place, owned) = (record.place.take(), record.owned);
    if !owned {
        objects.by_address.remove(&object);
    }
    if let Some((parent, name)) = place
        && let Some(Body::Directory(names)) = objects.by_address.get_mut(&parent).map(|record| &mut record.body)
    {
        names.remove(&name.to_lowercase());
    }
}

/// The whole name of an object; none when it has no name.
pub(crate) fn name_of(k: &Kernel, object: Va) -> Option<String> {
    let objects = k.state::<Objects>();
    let objects = objects.borrow();
    if objects.root == Some(object) {
        return Some("\\".to_owned());
    }
    let mut parts = Vec::new();
    let mut at = object;
    while objects.root != Some(at) {
        let (parent, name) = objects.by_address.get(&at)?.place.clone()?;
        parts.push(name);
        at = parent;
    }
    parts.reverse();
    Some(format!("\\{}", parts.join("\\")))
}

/// The names in a directory and the objects that they stand for, in the order of the names; none when it is no directory.
pub(crate) fn entries(k: &Kernel, directory: Va) -> Option<Vec<(String, Va)>> {
    match body(k, directory) {
        Body::Directory(names) => Some(names.into_values().map(|entry| (entry.name, entry.object)).collect()),
        _ => None,
    }
}

/// The path of a registry key that has a body.
pub(crate) fn key_path(k: &Kernel, object: Va) -> Option<String> {
    match body(k, object) {
        Body::Key(path) => Some(path),
        _ => None,
    }
}

/// What a symbolic link stands for; none when `object` is none.
pub(crate) fn link_target(k: &Kernel, object: Va) -> Option<String> {
    match body(k, object) {
        Body::SymbolicLink(target) => Some(target),
        _ => None,
    }
}

/// Makes a name for a device that asks for one: `\Device\` and eight hexadecimal digits.
pub(crate) fn generate_device_name(k: &Kernel) -> String {
    let number = k.io().borrow_mut().devices.next_generated_number();
    format!("\\Device\\{number:08x}")
}
