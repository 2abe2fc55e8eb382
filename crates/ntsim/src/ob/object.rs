//! Objects: what kind each one is, what the object manager knows of it, and when it goes.
//!
//! Devices, drivers, files and threads have books of their own in their components; the rest (directories, symbolic links, events,
//! sections and the like) lives here. An object is known by the address of its body.

use std::{collections::BTreeMap, fmt};

use super::{handle, namespace, reference};
use crate::{bugcheck::Outcome, io, kernel::Kernel, mm::Va};

/// The type of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Type {
    /// A directory of names.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A device object.
    Device,
    /// A driver object.
    Driver,
    /// A file object.
    File,
    /// A registry key.
    Key,
    /// An event.
    Event,
    /// A semaphore.
    Semaphore,
    /// A mutex: `KMUTANT`.
    Mutant,
    /// A timer.
    Timer,
    /// A process.
    Process,
    /// A thread.
    Thread,
    /// An access token.
    Token,
    /// A section.
    Section,
    /// A callback object.
    Callback,
    /// A port for local procedure calls.
    Port,
    /// An object type.
    ObjectType,
}

impl Type {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Directory,
        Self::SymbolicLink,
        Self::Device,
        Self::Driver,
        Self::File,
        Self::Key,
        Self::Event,
        Self::Semaphore,
        Self::Mutant,
        Self::Timer,
        Self::Process,
        Self::Thread,
        Self::Token,
        Self::Section,
        Self::Callback,
        Self::Port,
        Self::ObjectType,
    ];

    /// The type's name, as in `\ObjectTypes`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Directory => "Directory",
            Self::SymbolicLink => "SymbolicLink",
            Self::Device => "Device",
            Self::Driver => "Driver",
            Self::File => "File",
            Self::Key => "Key",
            Self::Event => "Event",
            Self::Semaphore => "Semaphore",
            Self::Mutant => "Mutant",
            Self::Timer => "Timer",
            Self::Process => "Process",
            Self::Thread => "Thread",
            Self::Token => "Token",
            Self::Section => "Section",
            Self::Callback => "Callback",
            Self::Port => "ALPC Port",
            Self::ObjectType => "Type",
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an object is beside its type.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    /// A directory: the names in it, by their lower case.
    Directory(BTreeMap<String, Entry>),
    /// A symbolic link: the path that it stands for.
    SymbolicLink(String),
    /// A registry key: its path.
    Key(String),
    /// Everything else: the state lies in guest memory, or in another component.
    Other,
}

/// A name in a directory.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// As it was given.
    pub name: String,
    /// What it stands for.
    pub object: Va,
}

/// What the object manager knows of an object.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub kind: Type,
    pub body: Body,
    /// The directory that it has a name in, and the name.
    pub place: Option<(Va, String)>,
    /// It stays without handles and references.
    pub permanent: bool,
    /// The call that created it; null when the system did.
    pub created_by: Va,
    /// Its memory is the object manager's to free.
    pub owned: bool,
}

/// All objects that the object manager has books on.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub by_address: BTreeMap<Va, Record>,
    /// The root of the namespace, once it exists.
    pub root: Option<Va>,
}

/// Bytes set aside for the body of a directory or a symbolic link. Their contents are the system's own business.
const OPAQUE_SIZE: usize = 16;

/// Makes an object without a name whose body is the system's own business.
pub(crate) fn create_opaque(k: &Kernel, kind: Type, body: Body, permanent: bool) -> Outcome<Va> {
    let object = k.allocate_system(OPAQUE_SIZE, kind.name())?;
    adopt(k, object, kind, body, permanent);
    Ok(object)
}

/// Makes an object of `size` zeroed bytes.
///
/// # Errors
/// When the machine has stopped.
pub fn create(k: &Kernel, kind: Type, size: usize) -> Outcome<Va> {
    let object = k.allocate_system(size, kind.name())?;
    adopt(k, object, kind, Body::Other, false);
    Ok(object)
}

/// Opens the books on the object whose body is the system's allocation at `object`.
fn adopt(k: &Kernel, object: Va, kind: Type, body: Body, permanent: bool) {
    let record = Record {
        kind,
        body,
        place: None,
        permanent,
        created_by: k.caller(),
        owned: true,
    };
    k.state::<Objects>().borrow_mut().by_address.insert(object, record);
}

/// Opens the books on an object whose memory is another component's.
pub(crate) fn adopt_foreign(k: &Kernel, object: Va, kind: Type) {
    adopt(k, object, kind, Body::Other, true);
    if let Some(record) = k.state::<Objects>().borrow_mut().by_address.get_mut(&object) {
        record.owned = false;
    }
}

/// What type of object lies at `object`; none when there is no object.
#[must_use]
pub fn type_of(k: &Kernel, object: Va) -> Option<Type> {
    let objects = k.state::<Objects>();
    let known = objects.borrow().by_address.get(&object).map(|record| record.kind);
    known.or_else(|| io::type_of(k, object)).or_else(|| {
        let scheduler = k.scheduler().borrow();
        let is_thread = scheduler.threads.iter().any(|thread| thread.object == object);
        is_thread.then_some(Type::Thread)
    })
}

/// A handle of `object` was closed, or a driver's reference to it was given back: it goes when that was the last.
///
/// # Errors
/// When the machine has stopped, or what is freed is in use.
pub(crate) async fn released(k: &Kernel, object: Va) -> Outcome<()> {
    if handle::count(k, object) > 0 {
        return Ok(());
    }
    if reference::count(k, object) == 0 {
        io::unreferenced(k, object).await?;
    }
    let (permanent, named) = {
        let objects = k.state::<Objects>();
        let objects = objects.borrow();
        let Some(record) = objects.by_address.get(&object).filter(|record| record.owned) else {
            return Ok(());
        };
        (record.permanent, record.place.is_some())
    };
    if permanent {
        return Ok(());
    }
    // The name of a temporary object goes with its last handle, the object with its last reference.
    if named {
        namespace::remove(k, object);
    }
    if reference::count(k, object) == 0 {
        destroy(k, object)?;
    }
    Ok(())
}

/// Frees an object of the object manager's own.
pub(crate) fn destroy(k: &Kernel, object: Va) -> Outcome<()> {
    let size = k.watch().pool.borrow().find(object).map_or(0, |block| block.size);
    crate::ex::pool::check_idle(k, object, size)?;
    k.state::<Objects>().borrow_mut().by_address.remove(&object);
    k.free_system(object)
}
