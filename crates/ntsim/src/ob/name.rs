//! What an object is called: `ObQueryNameString`.

use ntlayout::unicode_string as string;

use super::{namespace, object::Type};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    io,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    rtl::unicode_string,
    status::NtStatus,
};

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ObQueryNameString", 4, Contract::at_most(Irql::APC), query);
}

/// The whole name of an object; none when it has none. A file is called after its device, and what it is on it.
pub(crate) fn of(k: &Kernel, object: Va) -> Option<String> {
    if super::object::type_of(k, object) == Some(Type::File) {
        let (device, rest) = io::file_name(k, object)?;
        return Some(format!("{}{rest}", namespace::name_of(k, device).unwrap_or_default()));
    }
    namespace::name_of(k, object).or_else(|| namespace::key_path(k, object))
}

/// `ObQueryNameString(Object, ObjectNameInfo, Length, ReturnLength)`: an `OBJECT_NAME_INFORMATION`, which is a `UNICODE_STRING` with its
/// text behind it. An object without a name has an empty string.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let name = of(k, a.va(0)).unwrap_or_default();
    write(k, &name, a.va(1), a.u32(2), a.va(3))
}

/// Writes an `OBJECT_NAME_INFORMATION`.
pub(super) fn write(k: &Kernel, name: &str, information: Va, length: u32, returned: Va) -> Outcome<NtStatus> {
    let bytes = unicode_string::encode(name);
    let text = if bytes.is_empty() { 0 } else { bytes.len() + 2 };
    let needed = string::SIZE + text;
    if !returned.is_null() {
        k.write(returned, u32::try_from(needed).expect("names are short"))?;
    }
    if (length as usize) < needed {
        return Ok(NtStatus::INFO_LENGTH_MISMATCH);
    }
    k.fill(information, 0, string::SIZE)?;
    if text > 0 {
        let size = u16::try_from(bytes.len()).expect("names are short");
        let buffer = information + string::SIZE;
        k.write(information + string::LENGTH, size)?;
        k.write(information + string::MAXIMUM_LENGTH, size + 2)?;
        k.write(information + string::BUFFER, buffer)?;
        k.write_bytes(buffer, &bytes)?;
        k.write(buffer + bytes.len(), 0_u16)?;
    }
    Ok(NtStatus::SUCCESS)
}
