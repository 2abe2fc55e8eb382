//! Symbolic links: `IoCreateSymbolicLink`, `IoCreateUnprotectedSymbolicLink`, `IoDeleteSymbolicLink`, `ZwCreateSymbolicLinkObject`,
//! `ZwOpenSymbolicLinkObject`, `ZwQuerySymbolicLinkObject`.

use ntlayout::unicode_string::{BUFFER, LENGTH, MAXIMUM_LENGTH};

use super::{
    attributes::{self, Attributes},
    handle::{self, Handle, ZW_CONTRACT},
    namespace::{self, Found, Start},
    object::{self, Body, Objects, Type},
};
use crate::{
    bugcheck::{Outcome, VerifierRule},
    ddi::{Args, Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::unicode_string,
    status::NtStatus,
    trace::Event,
};

/// `OBJ_OPENIF` of `OBJECT_ATTRIBUTES::Attributes`.
const OBJ_OPENIF: u32 = 0x0000_0080;

pub(super) fn register(ddi: &mut Registry) {
    let passive = Contract::exactly(Irql::PASSIVE);
    for (name, rule) in [
        ("IoCreateSymbolicLink", VerifierRule::IRQL_IO_PASSIVE_3),
        ("IoCreateUnprotectedSymbolicLink", VerifierRule::IRQL_IO_PASSIVE_4),
    ] {
        ddi.function(name, 2, passive.by_rule(rule), |k, a| {
            let link = unicode_string::read(k, a.va(0))?;
            let target = unicode_string::read(k, a.va(1))?;
            create(k, &link, &target)
        });
    }
    let contract = passive.by_rule(VerifierRule::IRQL_IO_PASSIVE_4);
    ddi.function("IoDeleteSymbolicLink", 1, contract, |k, a| {
        let link = unicode_string::read(k, a.va(0))?;
        delete(k, &link)
    });
    ddi.function("ZwCreateSymbolicLinkObject", 4, ZW_CONTRACT, create_object);
    ddi.function("ZwOpenSymbolicLinkObject", 3, ZW_CONTRACT, open_object);
    ddi.function("ZwQuerySymbolicLinkObject", 3, ZW_CONTRACT, query);
}

fn make(k: &Kernel, start: Start, link: &str, target: &str, permanent: bool) -> Outcome<Result<Va, NtStatus>> {
    let body = Body::SymbolicLink(target.to_owned());
    let object = object::create_opaque(k, Type::SymbolicLink, body, permanent)?;
    match namespace::insert(k, start, link, object)? {
        Ok(()) => {
            k.trace(Event::Detail(format!("symbolic link {link} to {target}")));
            Ok(Ok(object))
        }
        Err(status) => {
            object::destroy(k, object)?;
            Ok(Err(status))
        }
    }
}

/// `IoCreateSymbolicLink`: a permanent link.
fn create(k: &Kernel, link: &str, target: &str) -> Outcome<NtStatus> {
    Ok(make(k, Start::Root, link, target, true)?
        .err()
        .unwrap_or(NtStatus::SUCCESS))
}

/// `IoDeleteSymbolicLink`.
fn delete(k: &Kernel, link: &str) -> Outcome<NtStatus> {
    let object = match namespace::find(k, link, true)? {
        Ok(Found::Object(object)) if object::type_of(k, object) == Some(Type::SymbolicLink) => object,
        Ok(_) => return Ok(NtStatus::OBJECT_TYPE_MISMATCH),
        Err(status) => return Ok(status),
    };
    k.trace(Event::Detail(format!("symbolic link {link} deleted")));
    super::permanence::make_temporary(k, object)?;
    Ok(NtStatus::SUCCESS)
}

/// `ZwCreateSymbolicLinkObject(LinkHandle, DesiredAccess, ObjectAttributes, LinkTarget)`.
fn create_object(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    let target = unicode_string::read(k, a.va(3))?;
    let Some(name) = &attributes.name else {
        let object = object::create_opaque(k, Type::SymbolicLink, Body::SymbolicLink(target), false)?;
        return hand_out(k, object, a, &attributes);
    };
    match make(k, attributes.start, name, &target, attributes.permanent())? {
        Ok(object) => hand_out(k, object, a, &attributes),
        Err(NtStatus::OBJECT_NAME_COLLISION) if attributes.flags & OBJ_OPENIF != 0 => {
            let opened = open_object(k, a)?;
            Ok(if opened.is_success() {
                NtStatus::OBJECT_NAME_EXISTS
            } else {
                opened
            })
        }
        Err(status) => Ok(status),
    }
}

/// `ZwOpenSymbolicLinkObject(LinkHandle, DesiredAccess, ObjectAttributes)`: the link itself is opened, not what it leads to.
fn open_object(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let attributes = match attributes::read(k, a.va(2))? {
        Ok(attributes) => attributes,
        Err(status) => return Ok(status),
    };
    match attributes.find(k, true)? {
        Ok(Found::Object(object)) if object::type_of(k, object) == Some(Type::SymbolicLink) => {
            hand_out(k, object, a, &attributes)
        }
        Ok(_) => Ok(NtStatus::OBJECT_TYPE_MISMATCH),
        Err(status) => Ok(status),
    }
}

fn hand_out(k: &Kernel, object: Va, a: &Args, attributes: &Attributes) -> Outcome<NtStatus> {
    let handle = handle::open_object(k, object, a.u32(1), attributes.flags);
    k.write(a.va(0), handle)?;
    Ok(NtStatus::SUCCESS)
}

/// `ZwQuerySymbolicLinkObject(LinkHandle, LinkTarget, ReturnedLength)`. The length counts a terminator where there is room for one.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let object = match handle::object_of(k, Handle(a.u64(0)), Type::SymbolicLink)? {
        Ok(object) => object,
        Err(status) => return Ok(status),
    };
    let target = namespace::link_target(k, object).unwrap_or_default();
    let bytes = unicode_string::encode(&target);
    let (string, returned) = (a.va(1), a.va(2));
    let room = usize::from(k.read::<u16>(string + MAXIMUM_LENGTH)?);
    // A caller that asks for the length gets that of the whole buffer, terminator included.
    let needed = if returned.is_null() {
        bytes.len()
    } else {
        bytes.len() + 2
    };
    let status = if needed <= room {
        let buffer: Va = k.read(string + BUFFER)?;
        let mut bytes = bytes.clone();
        if needed > bytes.len() {
            bytes.extend([0, 0]);
        }
        k.write_bytes(buffer, &bytes)?;
        k.write(
            string + LENGTH,
            u16::try_from(target.encode_utf16().count() * 2).unwrap_or(u16::MAX),
        )?;
        NtStatus::SUCCESS
    } else {
        NtStatus::BUFFER_TOO_SMALL
    };
    if !returned.is_null() {
        k.write(returned, u32::try_from(needed).unwrap_or(u32::MAX))?;
    }
    Ok(status)
}

/// The links that drivers have created and not deleted: the objects, their names, and the calls that created them.
pub(super) fn left(k: &Kernel) -> Vec<(Va, String, Va)> {
    let links: Vec<(Va, Va)> = {
        let objects = k.state::<Objects>();
        let objects = objects.borrow();
        let links = objects.by_address.iter().filter(|(_, record)| {
            record.kind == Type::SymbolicLink && record.permanent && !record.created_by.is_null()
        });
        links.map(|(&object, record)| (object, record.created_by)).collect()
    };
    let named = links.into_iter();
    named
        .filter_map(|(object, by)| Some((object, namespace::name_of(k, object)?, by)))
        .collect()
}
