//! `OBJECT_ATTRIBUTES`: which object a routine is to open, and how.

use ntlayout::object_attributes as layout;

use super::{
    handle::{self, Handle},
    namespace::{self, Found, Start},
    object::Type,
};
use crate::{bugcheck::Outcome, kernel::Kernel, mm::Va, rtl::unicode_string, status::NtStatus};

/// `OBJ_PERMANENT`.
const OBJ_PERMANENT: u32 = 0x0000_0010;

/// What an `OBJECT_ATTRIBUTES` asks for.
#[derive(Clone, Debug)]
pub(crate) struct Attributes {
    /// The root directory, when it is a directory of the namespace.
    pub start: Start,
    /// The root directory's file object, when it is a file.
    pub related_file: Option<Va>,
    /// The name; none when there is none.
    pub name: Option<String>,
    /// `OBJ_xxx`.
    pub flags: u32,
}

impl Attributes {
    /// Whether the object is to stay without handles.
    pub(crate) fn permanent(&self) -> bool {
        self.flags & OBJ_PERMANENT != 0
    }

    /// Looks the name up.
    pub(crate) fn find(&self, k: &Kernel, keep_link: bool) -> Outcome<Result<Found, NtStatus>> {
        match &self.name {
            Some(name) => namespace::find_from(k, self.start, name, keep_link),
            None => Ok(Err(NtStatus::OBJECT_PATH_SYNTAX_BAD)),
        }
    }
}

/// Reads an `OBJECT_ATTRIBUTES`; a null pointer asks for nothing.
pub(crate) fn read(k: &Kernel, at: Va) -> Outcome<Result<Attributes, NtStatus>> {
    let mut attributes = Attributes {
        start: Start::Root,
        related_file: None,
        name: None,
        flags: 0,
    };
    if at.is_null() {
        return Ok(Ok(attributes));
    }
    let length: u32 = k.read(at + layout::LENGTH)?;
    if usize::try_from(length) != Ok(layout::SIZE) {
        return Ok(Err(NtStatus::INVALID_PARAMETER));
    }
    attributes.flags = k.read(at + layout::ATTRIBUTES)?;
    let name: Va = k.read(at + layout::OBJECT_NAME)?;
    if !name.is_null() {
        attributes.name = Some(unicode_string::read(k, name)?).filter(|name| !name.is_empty());
    }
    let root: Handle = k.read(at + layout::ROOT_DIRECTORY)?;
    if root != Handle(0) {
        let Some(found) = handle::find(k, root)? else {
            return Ok(Err(NtStatus::INVALID_HANDLE));
        };
        match (found.kind, found.object) {
            (Type::Directory, Some(directory)) => attributes.start = Start::Directory(directory),
            (Type::File, Some(file)) => attributes.related_file = Some(file),
            _ => return Ok(Err(NtStatus::OBJECT_TYPE_MISMATCH)),
        }
    }
    Ok(Ok(attributes))
}
