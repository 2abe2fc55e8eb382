//! `ZwQueryValueKey`, and what it and `ZwEnumerateValueKey` tell of a value.

use ntlayout::{
    key_value_basic_information as basic, key_value_full_information as full, key_value_partial_information as partial,
};

use super::{find, hive::Entry, key_for_query};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    mm::Va,
    ob::handle::{Handle, ZW_CONTRACT},
    rtl::unicode_string,
    status::NtStatus,
};

/// `KeyValueBasicInformation` of `KEY_VALUE_INFORMATION_CLASS`.
const BASIC: u32 = 0;
/// `KeyValueFullInformation`.
const FULL: u32 = 1;
/// `KeyValuePartialInformation`.
const PARTIAL: u32 = 2;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ZwQueryValueKey", 6, ZW_CONTRACT, query);
}

/// `KeyValueFullInformationAlign64`.
const FULL_ALIGN64: u32 = 3;
/// `KeyValuePartialInformationAlign64`.
const PARTIAL_ALIGN64: u32 = 4;

/// Where the data is in `KEY_VALUE_PARTIAL_INFORMATION_ALIGN64`, which has no title index.
const ALIGN64_DATA: usize = 8;

/// What a class tells of a value or a key: the bytes, and how many of them come before those whose number varies.
pub(super) struct Information {
    pub bytes: Vec<u8>,
    pub fixed: usize,
}

impl Information {
    pub(super) fn of(class: u32, entry: &Entry) -> Option<Self> {
        let (name, data) = (unicode_string::encode(&entry.name), entry.value.data());
        let number = |length: usize| u32::try_from(length).expect("values are below 4 GiB").to_le_bytes();
        let mut bytes = Vec::new();
        let mut put = |offset: usize, field: &[u8]| {
            bytes.resize(bytes.len().max(offset + field.len()), 0);
            bytes[offset..offset + field.len()].copy_from_slice(field);
        };
        let kind = entry.value.kind().to_le_bytes();
        let fixed = match class {
            BASIC => {
                put(basic::TYPE, &kind);
                put(basic::NAME_LENGTH, &number(name.len()));
                put(basic::NAME, &name);
                basic::NAME
            }
            FULL | FULL_ALIGN64 => {
                // Data of any type may follow the name, so it is aligned for all.
                let at = (full::NAME + name.len()).next_multiple_of(8);
                put(full::TYPE, &kind);
                put(full::DATA_OFFSET, &number(at));
                put(full::DATA_LENGTH, &number(data.len()));
                put(full::NAME_LENGTH, &number(name.len()));
                put(full::NAME, &name);
                put(at, &data);
                full::NAME
            }
            PARTIAL => {
                put(partial::TYPE, &kind);
                put(partial::DATA_LENGTH, &number(data.len()));
                put(partial::DATA, &data);
                partial::DATA
            }
            PARTIAL_ALIGN64 => {
                put(0, &kind);
                put(4, &number(data.len()));
                put(ALIGN64_DATA, &data);
                ALIGN64_DATA
            }
            _ => return None,
        };
        Some(Self { bytes, fixed })
    }

    /// Stores it in a buffer of `room` bytes, and its length in the variable at `length`.
    ///
    /// A buffer without room for the fixed fields gets nothing and `STATUS_BUFFER_TOO_SMALL`; one with too little room for the rest gets
    /// what fits and `STATUS_BUFFER_OVERFLOW`, which is a warning. Either way the length says what would do.
    pub(super) fn store(&self, k: &Kernel, to: Va, room: u32, length: Va) -> Outcome<NtStatus> {
        let room = usize::try_from(room).expect("32 bits fit");
        k.write(length, u32::try_from(self.bytes.len()).expect("values are below 4 GiB"))?;
        if room < self.fixed {
            return Ok(NtStatus::BUFFER_TOO_SMALL);
        }
        k.write_bytes(to, &self.bytes[..room.min(self.bytes.len())])?;
        Ok(if room < self.bytes.len() {
            NtStatus::BUFFER_OVERFLOW
        } else {
            NtStatus::SUCCESS
        })
    }
}

/// `ZwQueryValueKey(KeyHandle, ValueName, KeyValueInformationClass, KeyValueInformation, Length, ResultLength)`.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let key = match key_for_query(k, Handle(a.u64(0)))? {
        Ok(key) => key,
        Err(status) => return Ok(status),
    };
    let Some(entry) = find(k, &key, &unicode_string::read(k, a.va(1))?) else {
        return Ok(NtStatus::OBJECT_NAME_NOT_FOUND);
    };
    match Information::of(a.u32(2), &entry) {
        Some(information) => information.store(k, a.va(3), a.u32(4), a.va(5)),
        None => Ok(NtStatus::INVALID_PARAMETER),
    }
}
