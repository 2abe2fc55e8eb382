//! What a bus driver tells of a device that it has found: its IDs, its capabilities, its text, its resources.

use ntlayout::io_stack_location as stack;

use super::{
    Minor, Node, Origin, registry_key,
    relations::{fatal, free_answer},
    send::send,
    start::query_capabilities,
};
use crate::{
    bugcheck::Outcome,
    io::violation::{IoRule, violation},
    kernel::Kernel,
    mm::Va,
    trace::Event,
};

/// `BUS_QUERY_ID_TYPE`.
const DEVICE_ID: u32 = 0;
const HARDWARE_IDS: u32 = 1;
const COMPATIBLE_IDS: u32 = 2;
const INSTANCE_ID: u32 = 3;

/// `UniqueID` of `DEVICE_CAPABILITIES`.
const UNIQUE_ID: u32 = 1 << 6;
/// `RawDeviceOK`.
const RAW_DEVICE_OK: u32 = 1 << 8;

/// `DeviceTextDescription` and `DeviceTextLocationInformation`.
const TEXTS: [u64; 2] = [0, 1];
/// US English.
const LOCALE: u64 = 0x0409;

/// The most characters of an ID: `MAX_DEVICE_ID_LEN`.
const LONGEST: usize = 200;

/// Bytes of a `CM_RESOURCE_LIST` before its descriptors, of the head of each, and of a `CM_PARTIAL_RESOURCE_DESCRIPTOR`.
const LIST_HEAD: u64 = 4;
const FULL_HEAD: u64 = 16;
const DESCRIPTOR: u64 = 20;

/// What is known of a device that has been found.
pub(super) struct Found {
    /// The drivers of its stack, the lowest first.
    pub drivers: Vec<Va>,
    /// It works without a function driver.
    pub raw: bool,
}

/// Says which drivers a device gets that a bus driver reports, the lowest first, as an installation does. `id` is one of its hardware or
/// compatible IDs.
pub fn set_drivers(k: &Kernel, id: &str, drivers: &[Va]) {
    let mut io = k.io().borrow_mut();
    io.pnp.assigned.insert(id.to_lowercase(), drivers.to_vec());
}

/// Makes the node of the device `pdo`, which is new on the bus `parent`, and asks for all that the system wants to know.
pub(super) async fn identify(k: &Kernel, parent: Va, pdo: Va) -> Outcome<Found> {
    let node = Node::new(Origin::Child(parent), String::new());
    k.io().borrow_mut().pnp.nodes.insert(pdo, node);
    let device_id = query_ids(k, pdo, DEVICE_ID).await?.into_iter().next();
    let Some(device_id) = device_id else {
        let message = format!(
            "the physical device object {pdo} has no device ID: it must answer IRP_MN_QUERY_ID for BusQueryDeviceID"
        );
        return Err(violation(k, IoRule::NOT_ANSWERED, Va::NULL, pdo, message));
    };
    let bits = query_capabilities(k, pdo).await?;
    let instance_id = query_ids(k, pdo, INSTANCE_ID).await?.into_iter().next();
    set_path(k, parent, pdo, &device_id, instance_id, bits & UNIQUE_ID != 0)?;
    let mut ids = query_ids(k, pdo, HARDWARE_IDS).await?;
    ids.extend(query_ids(k, pdo, COMPATIBLE_IDS).await?);
    ids.push(device_id);
    for text in TEXTS {
        ask(k, pdo, Minor::QUERY_DEVICE_TEXT, [text, LOCALE]).await?;
    }
    let requirements = ask(k, pdo, Minor::QUERY_RESOURCE_REQUIREMENTS, [0; 2]).await?;
    ask(k, pdo, Minor::QUERY_BUS_INFORMATION, [0; 2]).await?;
    let configuration = ask(k, pdo, Minor::QUERY_RESOURCES, [0; 2]).await?;
    if requirements.is_some() && configuration.is_none() {
        return Err(k.not_modelled(format!(
            "the device {pdo} has resource requirements, but no boot configuration: resources are assigned to devices of the PCI bus only"
        )));
    }
    super::manager::with_node(k, pdo, |node| node.boot_configuration = configuration);
    registry_key::create(k, pdo);
    let drivers = {
        let io = k.io().borrow();
        let mut matching = ids.iter().filter_map(|id| io.pnp.assigned.get(&id.to_lowercase()));
        matching.next().cloned().unwrap_or_default()
    };
    let raw = bits & RAW_DEVICE_OK != 0;
    Ok(Found { drivers, raw })
}

/// The instance path: with an instance ID that is unique on its bus only, it has something of the bus in it.
fn set_path(k: &Kernel, parent: Va, pdo: Va, device: &str, instance: Option<String>, unique: bool) -> Outcome<()> {
    const DUPLICATE: u64 = 0x1;
    let instance = instance.unwrap_or_default();
    let path = if unique {
        format!("{device}\\{instance}")
    } else {
        let bus = super::instance_path(k, parent).unwrap_or_default();
        let of_bus = bus
            .bytes()
            .fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        format!("{device}\\2&{of_bus:x}&0&{instance}")
    };
    let older = {
        let io = k.io().borrow();
        let mut nodes = io.pnp.nodes.iter();
        let same = nodes.find(|(_, node)| {
            node.state != super::DeviceState::Removed && node.instance_path.eq_ignore_ascii_case(&path)
        });
        same.map(|(&older, _)| older)
    };
    if let Some(older) = older {
        let message = format!("the devices {older} and {pdo} have the same device and instance ID, {path}");
        return Err(fatal(
            k,
            [DUPLICATE, pdo.get(), older.get(), 0],
            "bus-relations",
            message,
        ));
    }
    k.trace(Event::Note(format!("device found: {path}")));
    super::manager::with_node(k, pdo, |node| node.instance_path = path);
    Ok(())
}

/// The bytes of an answer that the PnP manager frees; none when there is none. Strings end with a null character, and lists of them with two.
async fn ask(k: &Kernel, pdo: Va, minor: Minor, parameters: [u64; 2]) -> Outcome<Option<Vec<u8>>> {
    let [first, second] = parameters;
    let io_status = send(k, pdo, minor, |k, location| {
        k.write(location + stack::PARAMETERS, first)?;
        k.write(location + stack::PARAMETERS + 8_u64, second)
    })
    .await?;
    if !io_status.status.is_success() || io_status.information == 0 {
        return Ok(None);
    }
    let answer = Va(io_status.information);
    let bytes = match minor {
        Minor::QUERY_RESOURCES => read_resource_list(k, answer)?,
        _ => Vec::new(),
    };
    free_answer(k, answer)?;
    Ok(Some(bytes))
}

fn read_resource_list(k: &Kernel, list: Va) -> Outcome<Vec<u8>> {
    let count: u32 = k.read(list)?;
    let mut length = LIST_HEAD;
    for _ in 0..count {
        let descriptors: u32 = k.read(list + length + 12_u64)?;
        length += FULL_HEAD + u64::from(descriptors) * DESCRIPTOR;
    }
    k.read_bytes(list, usize::try_from(length).expect("a list in memory"))
}

/// `IRP_MN_QUERY_ID`: one ID or several; none when the bus driver does not answer.
async fn query_ids(k: &Kernel, pdo: Va, kind: u32) -> Outcome<Vec<String>> {
    let io_status = send(k, pdo, Minor::QUERY_ID, |k, location| {
        k.write(location + stack::QUERY_ID_TYPE, kind)
    })
    .await?;
    if !io_status.status.is_success() || io_status.information == 0 {
        return Ok(Vec::new());
    }
    let answer = Va(io_status.information);
    let several = kind == HARDWARE_IDS || kind == COMPATIBLE_IDS;
    let mut ids = Vec::new();
    let mut at = answer;
    loop {
        let mut id = String::new();
        loop {
            let unit: u16 = k.read(at)?;
            at = at + 2_u64;
            match u8::try_from(unit) {
                Ok(0) => break,
                Ok(byte @ (0x20..=0x2B | 0x2D..=0x7F)) if id.len() < LONGEST => id.push(byte.into()),
                _ => return Err(invalid_id(k, pdo, answer, kind)),
            }
        }
        if id.is_empty() && several {
            break;
        }
        ids.push(id);
        if !several {
            break;
        }
    }
    free_answer(k, answer)?;
    Ok(ids)
}

fn invalid_id(k: &Kernel, pdo: Va, answer: Va, kind: u32) -> crate::bugcheck::Halted {
    const INVALID_ID: u64 = 0x3;
    let which = match kind {
        DEVICE_ID => 1,
        INSTANCE_ID => 2,
        HARDWARE_IDS => 3,
        _ => 4,
    };
    let message = format!(
        "the ID at {answer} of device {pdo} has a character that IDs must not have, or does not end: those between 0x20 and 0x7F are \
         allowed, but for the comma"
    );
    fatal(
        k,
        [INVALID_ID, pdo.get(), answer.get(), which],
        "invalid-device-id",
        message,
    )
}
