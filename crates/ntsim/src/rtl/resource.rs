//! Resource descriptors: `RtlCmDecodeMemIoResource`.

use ntlayout::cm_partial_resource_descriptor as layout;

use crate::{
    bugcheck::Outcome,
    ddi::{Args, Contract, Registry},
    kernel::Kernel,
};

/// `CmResourceTypeMemoryLarge`. The other types have their length as it is.
const TYPE_MEMORY_LARGE: u8 = 7;
/// `CM_RESOURCE_MEMORY_LARGE_40`, `_48` and `_64`, each with the number of low bits that its length leaves out.
const LARGE: [(u16, u32); 3] = [(0x0200, 8), (0x0400, 16), (0x0800, 32)];

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("RtlCmDecodeMemIoResource", 2, Contract::ANY, decode);
}

/// `RtlCmDecodeMemIoResource(Descriptor, Start)`: the length.
fn decode(k: &Kernel, a: &Args) -> Outcome<u64> {
    let descriptor = a.va(0);
    let kind: u8 = k.read(descriptor + layout::TYPE)?;
    let flags: u16 = k.read(descriptor + layout::FLAGS)?;
    let start: u64 = k.read(descriptor + layout::MEMORY_START)?;
    let length: u32 = k.read(descriptor + layout::MEMORY_LENGTH)?;
    if !a.va(1).is_null() {
        k.write(a.va(1), start)?;
    }
    let large = LARGE.into_iter().find(|(flag, _)| flags & flag != 0);
    let shift = match large {
        Some((_, shift)) if kind == TYPE_MEMORY_LARGE => shift,
        _ => 0,
    };
    Ok(u64::from(length) << shift)
}
