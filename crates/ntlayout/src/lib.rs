//! Size and field offsets of the NT structures that a WDM driver shares with the kernel, for x64.
//!
//! One module per structure, named after it; one constant per field, in bytes from the start of the structure, named after the
//! field. The values are those of the WDK 10.0.22621 headers. `wdm` asserts them against the bindings it is compiled with;
//! `ntsim` reads and writes guest memory by them, so both sides agree or the build fails.

#![no_std]

pub mod access_state;
pub mod ace_header;
pub mod acl;
pub mod bus_interface_standard;
pub mod cm_full_resource_descriptor;
pub mod cm_partial_resource_descriptor;
pub mod cm_partial_resource_list;
pub mod cm_resource_list;
pub mod device_capabilities;
pub mod device_description;
pub mod device_object;
pub mod device_relations;
pub mod dispatcher_header;
pub mod dma_adapter;
pub mod dma_operations;
pub mod driver_extension;
pub mod driver_object;
pub mod eresource;
pub mod fast_mutex;
pub mod file_object;
pub mod general_lookaside;
pub mod group_affinity;
pub mod guid;
pub mod io_connect_interrupt_parameters;
pub mod io_csq;
pub mod io_csq_irp_context;
pub mod io_disconnect_interrupt_parameters;
pub mod io_error_log_packet;
pub mod io_interrupt_message_info;
pub mod io_interrupt_message_info_entry;
pub mod io_remove_lock;
pub mod io_remove_lock_common_block;
pub mod io_stack_location;
pub mod io_status_block;
pub mod irp;
pub mod kdevice_queue;
pub mod kdevice_queue_entry;
pub mod kdpc;
pub mod kevent;
pub mod key_basic_information;
pub mod key_full_information;
pub mod key_node_information;
pub mod key_value_basic_information;
pub mod key_value_full_information;
pub mod key_value_partial_information;
pub mod klock_queue_handle;
pub mod kmutant;
pub mod ksemaphore;
pub mod ktimer;
pub mod kwait_block;
pub mod list_entry;
pub mod mdl;
pub mod object_attributes;
pub mod pnp_bus_information;
pub mod privilege_set;
pub mod rtl_bitmap;
pub mod rtl_osversioninfoexw;
pub mod rtl_query_registry_table;
pub mod scatter_gather_element;
pub mod scatter_gather_list;
pub mod security_descriptor;
pub mod security_descriptor_relative;
pub mod security_subject_context;
pub mod share_access;
pub mod sid;
pub mod slist_header;
pub mod time_fields;
pub mod unicode_string;
pub mod wmilib_context;
pub mod wmireginfo;
pub mod wnode;
