//! DMA adapters: what `IoGetDmaAdapter` makes, `PutDmaAdapter`, `GetDmaAlignment`, `GetDmaAdapterInfo`.

use std::collections::BTreeMap;

use ntlayout::dma_adapter as layout;

use super::{
    DmaRule, DmaSupport, HalState,
    channel::Channel,
    common_buffer::CommonBuffer,
    description::{self, Description},
    operations,
    scatter_gather::List,
    violation::{CallableAt, violation},
};
use crate::{
    bugcheck::Outcome,
    bus::Slot,
    ddi::{Contract, Registry},
    io::pnp,
    ke::Irql,
    kernel::Kernel,
    mm::Va,
    status::NtStatus,
};

/// `DMA_ADAPTER_INFO_VERSION1`.
const INFO_VERSION_1: u32 = 1;
/// The width of the widest address that a device can drive here: the processors' physical address width is no greater.
const WIDEST: u32 = 46;
/// Logical addresses start here; those below are where firmware and legacy devices have theirs.
const LOWEST_ADDRESS: u64 = 0x10_0000;

/// An adapter.
#[derive(Debug)]
pub(super) struct Adapter {
    pub pdo: Va,
    pub slot: Slot,
    pub description: Description,
    /// By virtual address.
    pub common_buffers: BTreeMap<Va, CommonBuffer>,
    pub channel: Channel,
    /// Scatter/gather lists, by address.
    pub lists: BTreeMap<Va, List>,
}

impl Adapter {
    /// The logical addresses that its device drives.
    pub(super) fn addresses(&self) -> std::ops::Range<u64> {
        LOWEST_ADDRESS..1 << self.description.width.min(WIDEST)
    }

    /// How many map registers are taken.
    pub(super) fn registers(&self) -> u32 {
        let lists: u32 = self.lists.values().map(|list| list.registers).sum();
        self.channel.registers() + lists
    }

    /// What has not been freed: the rule that says it must be, what it is, and how many there are.
    fn left(&self) -> Option<(DmaRule, &'static str, usize)> {
        let left = [
            (
                DmaRule::COMMON_BUFFERS_LEFT,
                "common buffers",
                self.common_buffers.len(),
            ),
            (DmaRule::CHANNEL_LEFT, "adapter channels", self.channel.taken().into()),
            (
                DmaRule::MAP_REGISTERS_LEFT,
                "map registers",
                self.channel.registers() as usize,
            ),
            (DmaRule::LISTS_LEFT, "scatter/gather lists", self.lists.len()),
        ];
        left.into_iter().find(|&(.., count)| count > 0)
    }
}

pub(super) fn register(ddi: &mut Registry) {
    ddi.function("PutDmaAdapter", 1, Contract::ANY, |k, a| put(k, a.va(0)));
    ddi.function("GetDmaAlignment", 1, Contract::ANY, |k, a| {
        enter(k, a.va(0), "GetDmaAlignment", CallableAt::Exactly(Irql::PASSIVE))?;
        // x64 keeps caches coherent with devices: any byte will do.
        Ok(1_u32)
    });
    ddi.function("GetDmaAdapterInfo", 2, Contract::ANY, |k, a| info(k, a.va(0), a.va(1)));
}

/// Checks a call of a routine of an adapter's.
///
/// # Errors
/// When there is no such adapter (any more), or the IRQL is wrong.
pub(super) fn enter(k: &Kernel, adapter: Va, routine: &str, callable: CallableAt) -> Outcome<()> {
    if adapter.is_null() {
        let message = format!("{routine} was given a null DMA adapter");
        return Err(violation(k, DmaRule::NULL_ADAPTER, [0; 3], message));
    }
    let (known, released) = {
        let state = k.state::<HalState>();
        let state = state.borrow();
        let known = state.adapters.contains_key(&adapter);
        (known, state.released.contains(&adapter))
    };
    if !known {
        let why = if released {
            "was put before"
        } else {
            "is no DMA adapter"
        };
        let message = format!("{routine} was given {adapter}, which {why}");
        return Err(violation(k, DmaRule::ADAPTER_RELEASED, [adapter.get(), 0, 0], message));
    }
    callable.check(k, routine)
}

/// Works on an adapter that [`enter`] has found.
pub(super) fn with<T>(k: &Kernel, adapter: Va, work: impl FnOnce(&mut Adapter) -> T) -> T {
    find(k, adapter, work).expect("the adapter exists")
}

/// Works on an adapter that a driver may have put meanwhile.
pub(super) fn find<T>(k: &Kernel, adapter: Va, work: impl FnOnce(&mut Adapter) -> T) -> Option<T> {
    let state = k.state::<HalState>();
    let mut state = state.borrow_mut();
    state.adapters.get_mut(&adapter).map(work)
}

/// The adapter of a device; null when the model has none for it.
pub(crate) fn get(k: &Kernel, pdo: Va, description: Va, map_registers: Va) -> Outcome<Va> {
    if !pnp::is_pdo(k, pdo) {
        return Err(pnp::not_a_pdo(k, "IoGetDmaAdapter", pdo));
    }
    // A device that is not on the PCI bus reaches no memory by itself.
    let Some(slot) = pnp::slot(k, pdo) else {
        return Ok(Va::NULL);
    };
    let described = description::read(k, description)?;
    let refused = k.config().dma == DmaSupport::NoAdapters;
    let Some(description) = described.filter(|_| !refused) else {
        return Ok(Va::NULL);
    };
    let adapter = k.allocate_system(layout::SIZE, "DMA_ADAPTER")?;
    // The version stays 1 whatever the table's is, as documented.
    k.write(adapter + layout::VERSION, 1_u16)?;
    let size = u16::try_from(layout::SIZE).expect("a small structure");
    k.write(adapter + layout::SIZE_FIELD, size)?;
    k.write(
        adapter + layout::DMA_OPERATIONS,
        operations::table(k, description.operations)?,
    )?;
    k.write(map_registers, description.map_registers)?;
    let made = Adapter {
        pdo,
        slot,
        description,
        common_buffers: BTreeMap::new(),
        channel: Channel::default(),
        lists: BTreeMap::new(),
    };
    k.state::<HalState>().borrow_mut().adapters.insert(adapter, made);
    Ok(adapter)
}

/// `PutDmaAdapter`.
fn put(k: &Kernel, adapter: Va) -> Outcome<()> {
    enter(k, adapter, "PutDmaAdapter", CallableAt::AtMost(Irql::DISPATCH))?;
    if let Some((rule, what, count)) = with(k, adapter, |adapter| adapter.left()) {
        let message = format!("the DMA adapter {adapter} is put, but {count} {what} of it are not freed");
        return Err(violation(k, rule, [adapter.get(), count as u64, 0], message));
    }
    {
        let state = k.state::<HalState>();
        let mut state = state.borrow_mut();
        state.adapters.remove(&adapter);
        state.released.insert(adapter);
    }
    k.free_system(adapter)
}

/// `GetDmaAdapterInfo`.
fn info(k: &Kernel, adapter: Va, info: Va) -> Outcome<NtStatus> {
    enter(k, adapter, "GetDmaAdapterInfo", CallableAt::AtMost(Irql::DISPATCH))?;
    if k.read::<u32>(info)? != INFO_VERSION_1 {
        return Ok(NtStatus::NOT_SUPPORTED);
    }
    let description = with(k, adapter, |adapter| adapter.description);
    let elements = if description.scatter_gather {
        description.map_registers
    } else {
        1
    };
    // ReadDmaCounterAvailable, ScatterGatherLimit, DmaAddressWidth, Flags, MinimumTransferUnit, behind the version.
    let fields = [0, elements, description.width, 0, 1];
    for (field, index) in fields.into_iter().zip(1_u64..) {
        k.write(info + 4 * index, field)?;
    }
    Ok(NtStatus::SUCCESS)
}

/// A device was stopped or removed: by then its drivers must have put its adapters.
///
/// # Errors
/// When one is left.
pub(crate) fn check_put(k: &Kernel, pdo: Va, when: &str) -> Outcome<()> {
    let left = {
        let state = k.state::<HalState>();
        let state = state.borrow();
        let mut adapters = state.adapters.iter();
        adapters
            .find(|(_, adapter)| adapter.pdo == pdo)
            .map(|(&adapter, _)| adapter)
    };
    let Some(adapter) = left else {
        return Ok(());
    };
    let message = format!("the DMA adapter {adapter} of device {pdo} was not put by the end of {when}");
    Err(violation(k, DmaRule::ADAPTER_NOT_PUT, [1, adapter.get(), 0], message))
}
