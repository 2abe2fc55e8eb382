//! Where things lie in the guest's address space. The ranges resemble those of Windows; a driver must not care.

use super::{Pa, Va};

/// The memory of programs.
pub const USER: Va = Va(0x0000_0200_0000_0000);
/// The kernel's exports: fetching from an address here is a call into the model.
pub const EXPORTS: Va = Va(0xFFFF_F800_0000_0000);
/// Bytes of addresses that calls into the model can go to: up to the exported variables.
pub const EXPORTS_LENGTH: u64 = EXPORTED_DATA.get() - EXPORTS.get();
/// Where imports lie that the model lacks. A page each, so that what lies behind the address of a variable belongs to it as well.
pub const UNMODELLED: Va = Va(0xFFFF_F800_0800_0000);
/// The kernel's exported variables.
pub const EXPORTED_DATA: Va = Va(0xFFFF_F800_1000_0000);
/// Where the driver image is loaded.
pub const DRIVER: Va = Va(0xFFFF_F801_4000_0000);
/// Kernel stacks.
pub const STACKS: Va = Va(0xFFFF_A000_0000_0000);
/// Bytes of a kernel stack on x64.
pub const STACK_SIZE: u64 = 0x6000;
/// Device memory mapped by `MmMapIoSpaceEx`.
pub const IO_SPACE: Va = Va(0xFFFF_B000_0000_0000);
/// What the pages of MDLs are mapped at by `MmMapLockedPagesSpecifyCache`.
pub const MDL_MAPPINGS: Va = Va(0xFFFF_B800_0000_0000);
/// Physical memory that drivers have allocated as such, by `MmAllocateContiguousMemory` and its like.
pub const PHYSICAL_MEMORY: Va = Va(0xFFFF_B400_0000_0000);
/// Ranges that drivers have reserved by `MmAllocateMappingAddress`.
pub const RESERVED_MAPPINGS: Va = Va(0xFFFF_BC00_0000_0000);
/// The processors' KPCRs.
pub const PROCESSOR_REGIONS: Va = Va(0xFFFF_E000_0000_0000);
/// Bytes of a processor's region.
pub const PROCESSOR_REGION_SIZE: u64 = 0x4000;
/// The memory behind pool.
pub const POOL_PHYSICAL: Pa = Pa(0x20_0000_0000);
/// How much of it there could be.
pub const POOL_LENGTH: u64 = 1 << 32;
/// Bytes set aside for a KTHREAD. Its contents are the system's own business.
pub const KTHREAD_SIZE: u64 = 0x480;
