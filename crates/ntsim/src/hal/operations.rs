//! `DMA_OPERATIONS`: the routines that an adapter comes with.
//!
//! A driver calls them through the table alone, so each is known to the machine by its member's name.

use ntlayout::dma_operations as layout;

use super::HalState;
use crate::{
    bugcheck::{BugCheck, BugCheckCode as Code, Outcome},
    ddi::{Contract, Registry},
    kernel::Kernel,
    mm::Va,
};

/// The members, in order. Version 1 ends with the twelfth, version 2 with the fifteenth.
const MEMBERS: [(usize, &str); 39] = [
    (layout::PUT_DMA_ADAPTER, "PutDmaAdapter"),
    (layout::ALLOCATE_COMMON_BUFFER, "AllocateCommonBuffer"),
    (layout::FREE_COMMON_BUFFER, "FreeCommonBuffer"),
    (layout::ALLOCATE_ADAPTER_CHANNEL, "AllocateAdapterChannel"),
    (layout::FLUSH_ADAPTER_BUFFERS, "FlushAdapterBuffers"),
    (layout::FREE_ADAPTER_CHANNEL, "FreeAdapterChannel"),
    (layout::FREE_MAP_REGISTERS, "FreeMapRegisters"),
    (layout::MAP_TRANSFER, "MapTransfer"),
    (layout::GET_DMA_ALIGNMENT, "GetDmaAlignment"),
    (layout::READ_DMA_COUNTER, "ReadDmaCounter"),
    (layout::GET_SCATTER_GATHER_LIST, "GetScatterGatherList"),
    (layout::PUT_SCATTER_GATHER_LIST, "PutScatterGatherList"),
    (layout::CALCULATE_SCATTER_GATHER_LIST, "CalculateScatterGatherList"),
    (layout::BUILD_SCATTER_GATHER_LIST, "BuildScatterGatherList"),
    (
        layout::BUILD_MDL_FROM_SCATTER_GATHER_LIST,
        "BuildMdlFromScatterGatherList",
    ),
    (layout::GET_DMA_ADAPTER_INFO, "GetDmaAdapterInfo"),
    (layout::GET_DMA_TRANSFER_INFO, "GetDmaTransferInfo"),
    (layout::INITIALIZE_DMA_TRANSFER_CONTEXT, "InitializeDmaTransferContext"),
    (layout::ALLOCATE_COMMON_BUFFER_EX, "AllocateCommonBufferEx"),
    (layout::ALLOCATE_ADAPTER_CHANNEL_EX, "AllocateAdapterChannelEx"),
    (layout::CONFIGURE_ADAPTER_CHANNEL, "ConfigureAdapterChannel"),
    (layout::CANCEL_ADAPTER_CHANNEL, "CancelAdapterChannel"),
    (layout::MAP_TRANSFER_EX, "MapTransferEx"),
    (layout::GET_SCATTER_GATHER_LIST_EX, "GetScatterGatherListEx"),
    (layout::BUILD_SCATTER_GATHER_LIST_EX, "BuildScatterGatherListEx"),
    (layout::FLUSH_ADAPTER_BUFFERS_EX, "FlushAdapterBuffersEx"),
    (layout::FREE_ADAPTER_OBJECT, "FreeAdapterObject"),
    (layout::CANCEL_MAPPED_TRANSFER, "CancelMappedTransfer"),
    (layout::ALLOCATE_DOMAIN_COMMON_BUFFER, "AllocateDomainCommonBuffer"),
    (layout::FLUSH_DMA_BUFFER, "FlushDmaBuffer"),
    (layout::JOIN_DMA_DOMAIN, "JoinDmaDomain"),
    (layout::LEAVE_DMA_DOMAIN, "LeaveDmaDomain"),
    (layout::GET_DMA_DOMAIN, "GetDmaDomain"),
    (
        layout::ALLOCATE_COMMON_BUFFER_WITH_BOUNDS,
        "AllocateCommonBufferWithBounds",
    ),
    (layout::ALLOCATE_COMMON_BUFFER_VECTOR, "AllocateCommonBufferVector"),
    (
        layout::GET_COMMON_BUFFER_FROM_VECTOR_BY_INDEX,
        "GetCommonBufferFromVectorByIndex",
    ),
    (layout::FREE_COMMON_BUFFER_FROM_VECTOR, "FreeCommonBufferFromVector"),
    (layout::FREE_COMMON_BUFFER_VECTOR, "FreeCommonBufferVector"),
    (layout::CREATE_COMMON_BUFFER_FROM_MDL, "CreateCommonBufferFromMdl"),
];

/// Adds the members that nobody has modelled: calling one ends the run. The others are added already.
pub(super) fn register(ddi: &mut Registry) {
    for (_, name) in MEMBERS {
        if ddi.find(name).is_none() {
            ddi.function(name, 0, Contract::ANY, move |k, _| -> Outcome<()> {
                Err(k.bugcheck(BugCheck::new(
                    Code::MANUALLY_INITIATED_CRASH,
                    [0; 4],
                    "not-modelled",
                    format!("DMA_OPERATIONS' {name} was called, which this machine does not have"),
                )))
            });
        }
    }
}

/// The table of a version. All adapters share it, as the HAL's do.
pub(super) fn table(k: &Kernel, version: u32) -> Outcome<Va> {
    let size = match version {
        1 => layout::CALCULATE_SCATTER_GATHER_LIST,
        2 => layout::GET_DMA_ADAPTER_INFO,
        _ => layout::SIZE,
    };
    let state = k.state::<HalState>();
    let known = state.borrow().tables.get(&size).copied();
    if let Some(table) = known {
        return Ok(table);
    }
    let table = k.allocate_system(size, "DMA_OPERATIONS")?;
    k.write(
        table + layout::SIZE_FIELD,
        u32::try_from(size).expect("a small structure"),
    )?;
    for (offset, name) in MEMBERS {
        if offset < size {
            k.write(table + offset, k.routine_address(name))?;
        }
    }
    state.borrow_mut().tables.insert(size, table);
    Ok(table)
}
