//! The structure layouts that the safe layer, and the machine that it is tested on, rely on: checked against the bindings, whichever kit
//! they were made from, when this is compiled.

use core::mem::{offset_of, size_of};

use ntlayout as nt;

/// Asserts that fields of a structure of the bindings lie where `ntlayout` says.
macro_rules! assert_layout {
    ($structure:ty { $($($field:ident).+ => $offset:expr;)* }) => {
        const _: () = {
            $(assert!(
                offset_of!($structure, $($field).+) == $offset,
                concat!(stringify!($structure), "::", stringify!($($field).+), " does not lie where the kernel has it"),
            );)*
        };
    };
}

assert_layout!(wdk_sys::IRP {
    MdlAddress => nt::irp::MDL_ADDRESS;
    AssociatedIrp => nt::irp::SYSTEM_BUFFER;
    IoStatus => nt::irp::IO_STATUS;
    Tail.Overlay.__bindgen_anon_1.__bindgen_anon_1.DriverContext => nt::irp::DRIVER_CONTEXT;
    IoStatus.Information => nt::irp::IO_STATUS_INFORMATION;
    PendingReturned => nt::irp::PENDING_RETURNED;
    Cancel => nt::irp::CANCEL;
    CurrentLocation => nt::irp::CURRENT_LOCATION;
    Tail.Overlay.__bindgen_anon_2.ListEntry => nt::irp::LIST_ENTRY;
    Tail.Overlay.__bindgen_anon_2.__bindgen_anon_1.CurrentStackLocation => nt::irp::CURRENT_STACK_LOCATION;
});

assert_layout!(wdk_sys::IO_STACK_LOCATION {
    MajorFunction => nt::io_stack_location::MAJOR_FUNCTION;
    MinorFunction => nt::io_stack_location::MINOR_FUNCTION;
    Control => nt::io_stack_location::CONTROL;
    Parameters => nt::io_stack_location::PARAMETERS;
    Parameters.Read.Length => nt::io_stack_location::READ_WRITE_LENGTH;
    Parameters.Read.ByteOffset => nt::io_stack_location::READ_WRITE_BYTE_OFFSET;
    Parameters.Write.Length => nt::io_stack_location::READ_WRITE_LENGTH;
    Parameters.Write.ByteOffset => nt::io_stack_location::READ_WRITE_BYTE_OFFSET;
    Parameters.DeviceIoControl.OutputBufferLength => nt::io_stack_location::OUTPUT_BUFFER_LENGTH;
    Parameters.DeviceIoControl.InputBufferLength => nt::io_stack_location::INPUT_BUFFER_LENGTH;
    Parameters.DeviceIoControl.IoControlCode => nt::io_stack_location::IO_CONTROL_CODE;
    Parameters.StartDevice.AllocatedResourcesTranslated => nt::io_stack_location::ALLOCATED_RESOURCES_TRANSLATED;
    Parameters.DeviceCapabilities.Capabilities => nt::io_stack_location::CAPABILITIES;
    Parameters.Power.Type => nt::io_stack_location::POWER_TYPE;
    Parameters.Power.State => nt::io_stack_location::POWER_STATE;
    DeviceObject => nt::io_stack_location::DEVICE_OBJECT;
    FileObject => nt::io_stack_location::FILE_OBJECT;
    CompletionRoutine => nt::io_stack_location::COMPLETION_ROUTINE;
    Context => nt::io_stack_location::CONTEXT;
});

assert_layout!(wdk_sys::EXCEPTION_RECORD {
    ExceptionCode => nt::exception_record::EXCEPTION_CODE;
    ExceptionFlags => nt::exception_record::EXCEPTION_FLAGS;
    ExceptionRecord => nt::exception_record::EXCEPTION_RECORD;
    ExceptionAddress => nt::exception_record::EXCEPTION_ADDRESS;
    NumberParameters => nt::exception_record::NUMBER_PARAMETERS;
    ExceptionInformation => nt::exception_record::EXCEPTION_INFORMATION;
});

assert_layout!(wdk_sys::EXCEPTION_POINTERS {
    ExceptionRecord => nt::exception_pointers::EXCEPTION_RECORD;
    ContextRecord => nt::exception_pointers::CONTEXT_RECORD;
});

assert_layout!(wdk_sys::CONTEXT {
    ContextFlags => nt::context::CONTEXT_FLAGS;
    MxCsr => nt::context::MX_CSR;
    SegCs => nt::context::SEG_CS;
    SegSs => nt::context::SEG_SS;
    EFlags => nt::context::E_FLAGS;
    Rax => nt::context::RAX;
    Rip => nt::context::RIP;
    __bindgen_anon_1.FltSave => nt::context::FLT_SAVE;
    __bindgen_anon_1.__bindgen_anon_1.Xmm0 => nt::context::XMM0;
});

assert_layout!(wdk_sys::MDL {
    MdlFlags => nt::mdl::MDL_FLAGS;
    MappedSystemVa => nt::mdl::MAPPED_SYSTEM_VA;
    ByteCount => nt::mdl::BYTE_COUNT;
});

assert_layout!(wdk_sys::DMA_ADAPTER {
    DmaOperations => nt::dma_adapter::DMA_OPERATIONS;
});

assert_layout!(wdk_sys::DMA_OPERATIONS {
    PutDmaAdapter => nt::dma_operations::PUT_DMA_ADAPTER;
    AllocateCommonBuffer => nt::dma_operations::ALLOCATE_COMMON_BUFFER;
    FreeCommonBuffer => nt::dma_operations::FREE_COMMON_BUFFER;
});

assert_layout!(wdk_sys::DEVICE_CAPABILITIES {
    DeviceState => nt::device_capabilities::DEVICE_STATE;
});

assert_layout!(wdk_sys::DEVICE_OBJECT {
    Flags => nt::device_object::FLAGS;
    DeviceExtension => nt::device_object::DEVICE_EXTENSION;
});

assert_layout!(wdk_sys::DRIVER_OBJECT {
    DriverExtension => nt::driver_object::DRIVER_EXTENSION;
    DriverUnload => nt::driver_object::DRIVER_UNLOAD;
    MajorFunction => nt::driver_object::MAJOR_FUNCTION;
});

assert_layout!(wdk_sys::DRIVER_EXTENSION {
    AddDevice => nt::driver_extension::ADD_DEVICE;
});

assert_layout!(wdk_sys::CM_RESOURCE_LIST {
    Count => nt::cm_resource_list::COUNT;
    List => nt::cm_resource_list::LIST;
});

assert_layout!(wdk_sys::CM_FULL_RESOURCE_DESCRIPTOR {
    PartialResourceList => nt::cm_full_resource_descriptor::PARTIAL_RESOURCE_LIST;
});

assert_layout!(wdk_sys::CM_PARTIAL_RESOURCE_LIST {
    Count => nt::cm_partial_resource_list::COUNT;
    PartialDescriptors => nt::cm_partial_resource_list::PARTIAL_DESCRIPTORS;
});

assert_layout!(wdk_sys::CM_PARTIAL_RESOURCE_DESCRIPTOR {
    Type => nt::cm_partial_resource_descriptor::TYPE;
    ShareDisposition => nt::cm_partial_resource_descriptor::SHARE_DISPOSITION;
    Flags => nt::cm_partial_resource_descriptor::FLAGS;
    u.Memory.Start => nt::cm_partial_resource_descriptor::MEMORY_START;
    u.Memory.Length => nt::cm_partial_resource_descriptor::MEMORY_LENGTH;
    u.Interrupt.Level => nt::cm_partial_resource_descriptor::INTERRUPT_LEVEL;
    u.Interrupt.Vector => nt::cm_partial_resource_descriptor::INTERRUPT_VECTOR;
    u.Interrupt.Affinity => nt::cm_partial_resource_descriptor::INTERRUPT_AFFINITY;
});

assert_layout!(wdk_sys::IO_CONNECT_INTERRUPT_PARAMETERS {
    Version => nt::io_connect_interrupt_parameters::VERSION;
    __bindgen_anon_1.MessageBased.PhysicalDeviceObject => nt::io_connect_interrupt_parameters::PHYSICAL_DEVICE_OBJECT;
    __bindgen_anon_1.MessageBased.ConnectionContext => nt::io_connect_interrupt_parameters::CONNECTION_CONTEXT;
    __bindgen_anon_1.MessageBased.MessageServiceRoutine => nt::io_connect_interrupt_parameters::SERVICE_ROUTINE;
    __bindgen_anon_1.MessageBased.ServiceContext => nt::io_connect_interrupt_parameters::SERVICE_CONTEXT;
    __bindgen_anon_1.MessageBased.SpinLock => nt::io_connect_interrupt_parameters::SPIN_LOCK;
    __bindgen_anon_1.MessageBased.SynchronizeIrql => nt::io_connect_interrupt_parameters::SYNCHRONIZE_IRQL;
    __bindgen_anon_1.MessageBased.FallBackServiceRoutine => nt::io_connect_interrupt_parameters::FALL_BACK_SERVICE_ROUTINE;
});

assert_layout!(wdk_sys::IO_DISCONNECT_INTERRUPT_PARAMETERS {
    Version => nt::io_disconnect_interrupt_parameters::VERSION;
    ConnectionContext => nt::io_disconnect_interrupt_parameters::CONNECTION_CONTEXT;
});

assert_layout!(wdk_sys::IO_INTERRUPT_MESSAGE_INFO {
    MessageCount => nt::io_interrupt_message_info::MESSAGE_COUNT;
    MessageInfo => nt::io_interrupt_message_info::MESSAGE_INFO;
});

assert_layout!(wdk_sys::IO_INTERRUPT_MESSAGE_INFO_ENTRY {
    InterruptObject => nt::io_interrupt_message_info_entry::INTERRUPT_OBJECT;
});

assert_layout!(wdk_sys::KMUTANT {
    MutantListEntry => nt::kmutant::MUTANT_LIST_ENTRY;
    OwnerThread => nt::kmutant::OWNER_THREAD;
    ApcDisable => nt::kmutant::APC_DISABLE;
});

assert_layout!(wdk_sys::KSEMAPHORE {
    Header => nt::ksemaphore::HEADER;
    Limit => nt::ksemaphore::LIMIT;
});

assert_layout!(wdk_sys::FAST_MUTEX {
    Count => nt::fast_mutex::COUNT;
    Owner => nt::fast_mutex::OWNER;
    Contention => nt::fast_mutex::CONTENTION;
    Event => nt::fast_mutex::EVENT;
    OldIrql => nt::fast_mutex::OLD_IRQL;
});

assert_layout!(wdk_sys::ERESOURCE {
    ActiveCount => nt::eresource::ACTIVE_COUNT;
    OwnerEntry => nt::eresource::OWNER_THREAD;
    ActiveEntries => nt::eresource::ACTIVE_ENTRIES;
    ContentionCount => nt::eresource::CONTENTION_COUNT;
    NumberOfSharedWaiters => nt::eresource::NUMBER_OF_SHARED_WAITERS;
    NumberOfExclusiveWaiters => nt::eresource::NUMBER_OF_EXCLUSIVE_WAITERS;
});

assert_layout!(wdk_sys::KLOCK_QUEUE_HANDLE {
    LockQueue.Next => nt::klock_queue_handle::NEXT;
    LockQueue.Lock => nt::klock_queue_handle::LOCK;
    OldIrql => nt::klock_queue_handle::OLD_IRQL;
});

// Structures that the driver provides the memory for and the system uses: they must be as large as the kernel's.
const _: () = {
    assert!(size_of::<wdk_sys::IO_STACK_LOCATION>() == nt::io_stack_location::SIZE);
    assert!(size_of::<wdk_sys::CM_PARTIAL_RESOURCE_DESCRIPTOR>() == nt::cm_partial_resource_descriptor::SIZE);
    assert!(size_of::<wdk_sys::EXCEPTION_RECORD>() == nt::exception_record::SIZE);
    assert!(size_of::<wdk_sys::EXCEPTION_POINTERS>() == nt::exception_pointers::SIZE);
    assert!(size_of::<wdk_sys::CONTEXT>() == nt::context::SIZE);
    assert!(size_of::<wdk_sys::KDPC>() == nt::kdpc::SIZE);
    assert!(size_of::<wdk_sys::IO_CONNECT_INTERRUPT_PARAMETERS>() == nt::io_connect_interrupt_parameters::SIZE);
    assert!(size_of::<wdk_sys::IO_DISCONNECT_INTERRUPT_PARAMETERS>() == nt::io_disconnect_interrupt_parameters::SIZE);
    assert!(size_of::<wdk_sys::KEVENT>() == nt::kevent::SIZE);
    assert!(size_of::<wdk_sys::KTIMER>() == nt::ktimer::SIZE);
    assert!(size_of::<wdk_sys::IO_CSQ>() == nt::io_csq::SIZE);
    assert!(size_of::<wdk_sys::IO_REMOVE_LOCK>() == nt::io_remove_lock::SIZE);
    assert!(size_of::<wdk_sys::UNICODE_STRING>() == nt::unicode_string::SIZE);
    assert!(size_of::<wdk_sys::KMUTANT>() == nt::kmutant::SIZE);
    assert!(size_of::<wdk_sys::KSEMAPHORE>() == nt::ksemaphore::SIZE);
    assert!(size_of::<wdk_sys::FAST_MUTEX>() == nt::fast_mutex::SIZE);
    assert!(size_of::<wdk_sys::ERESOURCE>() == nt::eresource::SIZE);
    assert!(size_of::<wdk_sys::KLOCK_QUEUE_HANDLE>() == nt::klock_queue_handle::SIZE);
    assert!(size_of::<wdk_sys::KWAIT_BLOCK>() == nt::kwait_block::SIZE);
    assert!(size_of::<wdk_sys::KSPIN_LOCK>() == 8);
};

mod registry;
mod runtime;
mod security;

assert_layout!(wdk_sys::BUS_INTERFACE_STANDARD {
    Context => nt::bus_interface_standard::CONTEXT;
    InterfaceReference => nt::bus_interface_standard::INTERFACE_REFERENCE;
    InterfaceDereference => nt::bus_interface_standard::INTERFACE_DEREFERENCE;
    TranslateBusAddress => nt::bus_interface_standard::TRANSLATE_BUS_ADDRESS;
    GetDmaAdapter => nt::bus_interface_standard::GET_DMA_ADAPTER;
    SetBusData => nt::bus_interface_standard::SET_BUS_DATA;
    GetBusData => nt::bus_interface_standard::GET_BUS_DATA;
});

assert_layout!(wdk_sys::IO_ERROR_LOG_PACKET {
    NumberOfStrings => nt::io_error_log_packet::NUMBER_OF_STRINGS;
    StringOffset => nt::io_error_log_packet::STRING_OFFSET;
    ErrorCode => nt::io_error_log_packet::ERROR_CODE;
    UniqueErrorValue => nt::io_error_log_packet::UNIQUE_ERROR_VALUE;
    FinalStatus => nt::io_error_log_packet::FINAL_STATUS;
    DumpData => nt::io_error_log_packet::DUMP_DATA;
});

assert_layout!(wdk_sys::SHARE_ACCESS {
    OpenCount => nt::share_access::OPEN_COUNT;
    Readers => nt::share_access::READERS;
    Writers => nt::share_access::WRITERS;
    Deleters => nt::share_access::DELETERS;
    SharedRead => nt::share_access::SHARED_READ;
    SharedWrite => nt::share_access::SHARED_WRITE;
    SharedDelete => nt::share_access::SHARED_DELETE;
});
