//! Object types: `IoFileObjectType`, `ExEventObjectType`, `PsProcessType` and the like, which point to the types' objects.

use std::collections::BTreeMap;

use super::{
    namespace::{self, Start},
    object::{self, Body, Objects, Type},
};
use crate::{
    bugcheck::Outcome,
    ddi::{Contract, Registry},
    ke::Irql,
    kernel::Kernel,
    mm::Va,
};

/// The variables that drivers compare types by.
const VARIABLES: [(&str, Type); 12] = [
    ("IoFileObjectType", Type::File),
    ("IoDeviceObjectType", Type::Device),
    ("IoDriverObjectType", Type::Driver),
    ("ExEventObjectType", Type::Event),
    ("ExSemaphoreObjectType", Type::Semaphore),
    ("ExMutantObjectType", Type::Mutant),
    ("PsProcessType", Type::Process),
    ("PsThreadType", Type::Thread),
    ("SeTokenObjectType", Type::Token),
    ("MmSectionObjectType", Type::Section),
    ("LpcPortObjectType", Type::Port),
    ("CmKeyObjectType", Type::Key),
];

/// The types' objects.
#[derive(Debug, Default)]
struct Types {
    by_type: BTreeMap<Type, Va>,
}

pub(super) fn register(ddi: &mut Registry) {
    for (name, kind) in VARIABLES {
        ddi.data(name, 8, move |k, variable| {
            let object = object_of(k, kind)?;
            k.write(variable, object)
        });
    }
    let contract = Contract::at_most(Irql::DISPATCH);
    ddi.function("ObGetObjectType", 1, contract, |k, a| {
        object::type_of(k, a.va(0)).map_or(Ok(Va::NULL), |kind| object_of(k, kind))
    });
}

/// The object of a type: what an `OBJECT_TYPE` pointer points to.
pub(crate) fn object_of(k: &Kernel, kind: Type) -> Outcome<Va> {
    let types = k.state::<Types>();
    let known = types.borrow().by_type.get(&kind).copied();
    if let Some(object) = known {
        return Ok(object);
    }
    let object = object::create_opaque(k, Type::ObjectType, Body::Other, true)?;
    if let Some(record) = k.state::<Objects>().borrow_mut().by_address.get_mut(&object) {
        record.created_by = Va::NULL;
    }
    types.borrow_mut().by_type.insert(kind, object);
    let path = format!("\\ObjectTypes\\{}", kind.name());
    // The name is free: each type has one object.
    let _: Result<(), _> = namespace::insert(k, Start::Root, &path, object)?;
    Ok(object)
}

/// The type that an `OBJECT_TYPE` pointer points to; none when it points to none.
pub(crate) fn from_pointer(k: &Kernel, pointer: Va) -> Option<Type> {
    let types = k.state::<Types>();
    let types = types.borrow();
    types
        .by_type
        .iter()
        .find_map(|(&kind, &object)| (object == pointer).then_some(kind))
}
