//! What is told of keys: `ZwQueryKey`.

use ntlayout::{key_basic_information as basic, key_full_information as full, key_node_information as node};

use super::{
    hive::{self, Hives},
    key::key_of,
    query::Information,
};
use crate::{
    bugcheck::Outcome,
    ddi::{Args, Registry},
    kernel::Kernel,
    ob::handle::{Handle, ZW_CONTRACT},
    rtl::unicode_string::encode,
    status::NtStatus,
};

/// `KeyBasicInformation` of `KEY_INFORMATION_CLASS`.
const BASIC: u32 = 0;
/// `KeyNodeInformation`.
const NODE: u32 = 1;
/// `KeyFullInformation`.
const FULL: u32 = 2;
/// `KeyNameInformation`.
const NAME: u32 = 3;
/// The last class that there is, `KeyTrustInformation`.
const LAST: u32 = 8;

/// What `ClassOffset` says of a key without a class.
const NO_CLASS: u32 = u32::MAX;

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("ZwQueryKey", 5, ZW_CONTRACT, query);
}

/// Bytes with fields at offsets.
#[derive(Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn put(&mut self, offset: usize, field: &[u8]) {
        let end = offset + field.len();
        self.0.resize(self.0.len().max(end), 0);
        self.0[offset..end].copy_from_slice(field);
    }

    fn number(&mut self, offset: usize, number: usize) {
        let number = u32::try_from(number).expect("names and values are below 4 GiB");
        self.put(offset, &number.to_le_bytes());
    }
}

/// The most bytes that one of some texts has.
fn longest<'a>(texts: impl Iterator<Item = &'a str>) -> usize {
    texts.map(|text| encode(text).len()).max().unwrap_or(0)
}

/// What a class that subkeys have too tells of a key; none for another class, or a key that is gone.
pub(super) fn of(hives: &Hives, class: u32, canonical: &str) -> Option<Information> {
    let key = hives.keys.get(canonical)?;
    let (name, class_name) = (encode(&key.name), encode(&key.class));
    let mut fields = Fields::default();
    let fixed = match class {
        BASIC => {
            fields.put(basic::LAST_WRITE_TIME, &key.written.to_le_bytes());
            fields.number(basic::TITLE_INDEX, 0);
            fields.number(basic::NAME_LENGTH, name.len());
            fields.put(basic::NAME, &name);
            basic::NAME
        }
        NODE => {
            fields.put(node::LAST_WRITE_TIME, &key.written.to_le_bytes());
            fields.number(node::TITLE_INDEX, 0);
            fields.number(node::CLASS_LENGTH, class_name.len());
            fields.number(node::NAME_LENGTH, name.len());
            fields.put(node::NAME, &name);
            let at = (node::NAME + name.len()).next_multiple_of(4);
            put_class(&mut fields, node::CLASS_OFFSET, at, &class_name);
            node::NAME
        }
        FULL => {
            fields.put(full::LAST_WRITE_TIME, &key.written.to_le_bytes());
            fields.number(full::TITLE_INDEX, 0);
            fields.number(full::CLASS_LENGTH, class_name.len());
            fields.number(full::SUB_KEYS, hives.children(canonical).count());
            let children = || hives.children(canonical);
            fields.number(full::MAX_NAME_LEN, longest(children().map(|child| child.name.as_str())));
            fields.number(
                full::MAX_CLASS_LEN,
                longest(children().map(|child| child.class.as_str())),
            );
            fields.number(full::VALUES, key.values.len());
            let values = || key.values.values();
            fields.number(
                full::MAX_VALUE_NAME_LEN,
                longest(values().map(|entry| entry.name.as_str())),
            );
            let data = values().map(|entry| entry.value.data().len()).max();
            fields.number(full::MAX_VALUE_DATA_LEN, data.unwrap_or(0));
            put_class(&mut fields, full::CLASS_OFFSET, full::CLASS, &class_name);
            full::CLASS
        }
        _ => return None,
    };
    let bytes = fields.0;
    Some(Information { bytes, fixed })
}

fn put_class(fields: &mut Fields, offset_field: usize, at: usize, class: &[u8]) {
    if class.is_empty() {
        fields.put(offset_field, &NO_CLASS.to_le_bytes());
    } else {
        fields.number(offset_field, at);
        fields.put(at, class);
    }
}

/// `ZwQueryKey(KeyHandle, KeyInformationClass, KeyInformation, Length, ResultLength)`.
fn query(k: &Kernel, a: &Args) -> Outcome<NtStatus> {
    let key = match key_of(k, Handle(a.u64(0)))? {
        Ok(key) => key,
        Err(status) => return Ok(status),
    };
    let class = a.u32(1);
    let information = hive::with(k, |hives| {
        if class != NAME {
            return of(hives, class, &key);
        }
        let name = encode(&hives.full_name(&key));
        let mut fields = Fields::default();
        fields.number(0, name.len());
        fields.put(4, &name);
        Some(Information {
            bytes: fields.0,
            fixed: 4,
        })
    });
    match information {
        Some(information) => information.store(k, a.va(2), a.u32(3), a.va(4)),
        None if class > LAST => Ok(NtStatus::INVALID_PARAMETER),
        None => Err(k.not_modelled(format!("ZwQueryKey with the class {class} is not modelled"))),
    }
}
