//! `IO_STACK_LOCATION`: one driver's share of an IRP.

/// Size of the structure, in bytes.
pub const SIZE: usize = 72;
/// `MajorFunction`.
pub const MAJOR_FUNCTION: usize = 0;
/// `MinorFunction`.
pub const MINOR_FUNCTION: usize = 1;
/// `Flags`.
pub const FLAGS: usize = 2;
/// `Control`.
pub const CONTROL: usize = 3;
/// `Parameters.Create.SecurityContext`.
pub const CREATE_SECURITY_CONTEXT: usize = 8;
/// `Parameters.Read.Length` and `Parameters.Write.Length`.
pub const READ_WRITE_LENGTH: usize = 8;
/// `Parameters.DeviceIoControl.OutputBufferLength`.
pub const OUTPUT_BUFFER_LENGTH: usize = 8;
/// `Parameters.StartDevice.AllocatedResources`.
pub const ALLOCATED_RESOURCES: usize = 8;
/// `Parameters.QueryDeviceRelations.Type`.
pub const DEVICE_RELATIONS_TYPE: usize = 8;
/// `Parameters.DeviceCapabilities.Capabilities`.
pub const CAPABILITIES: usize = 8;
/// `Parameters.QueryInterface.InterfaceType`.
pub const INTERFACE_TYPE: usize = 8;
/// `Parameters.QueryInterface.Size`.
pub const INTERFACE_SIZE: usize = 16;
/// `Parameters.QueryInterface.Version`.
pub const INTERFACE_VERSION: usize = 18;
/// `Parameters.QueryInterface.Interface`.
pub const INTERFACE: usize = 24;
/// `Parameters.ReadWriteConfig.WhichSpace`.
pub const CONFIG_WHICH_SPACE: usize = 8;
/// `Parameters.ReadWriteConfig.Buffer`.
pub const CONFIG_BUFFER: usize = 16;
/// `Parameters.ReadWriteConfig.Offset`.
pub const CONFIG_OFFSET: usize = 24;
/// `Parameters.ReadWriteConfig.Length`.
pub const CONFIG_LENGTH: usize = 32;
/// `Parameters.WMI.ProviderId`.
pub const WMI_PROVIDER_ID: usize = 8;
/// `Parameters.WMI.DataPath`.
pub const WMI_DATA_PATH: usize = 16;
/// `Parameters.WMI.BufferSize`.
pub const WMI_BUFFER_SIZE: usize = 24;
/// `Parameters.WMI.Buffer`.
pub const WMI_BUFFER: usize = 32;
/// `Parameters.QueryId.IdType`.
pub const QUERY_ID_TYPE: usize = 8;
/// `Parameters.Power.SystemContext`.
pub const POWER_SYSTEM_CONTEXT: usize = 8;
/// `Parameters.UsageNotification.InPath`.
pub const USAGE_NOTIFICATION_IN_PATH: usize = 8;
/// `Parameters`.
pub const PARAMETERS: usize = 8;
/// `Parameters.Create.Options`.
pub const CREATE_OPTIONS: usize = 16;
/// `Parameters.Read.Key` and `Parameters.Write.Key`.
pub const READ_WRITE_KEY: usize = 16;
/// `Parameters.DeviceIoControl.InputBufferLength`.
pub const INPUT_BUFFER_LENGTH: usize = 16;
/// `Parameters.StartDevice.AllocatedResourcesTranslated`.
pub const ALLOCATED_RESOURCES_TRANSLATED: usize = 16;
/// `Parameters.Power.Type`.
pub const POWER_TYPE: usize = 16;
/// `Parameters.UsageNotification.Type`.
pub const USAGE_NOTIFICATION_TYPE: usize = 16;
/// `Parameters.Create.FileAttributes`.
pub const CREATE_FILE_ATTRIBUTES: usize = 24;
/// `Parameters.Read.ByteOffset` and `Parameters.Write.ByteOffset`.
pub const READ_WRITE_BYTE_OFFSET: usize = 24;
/// `Parameters.DeviceIoControl.IoControlCode`.
pub const IO_CONTROL_CODE: usize = 24;
/// `Parameters.Power.State`.
pub const POWER_STATE: usize = 24;
/// `Parameters.Create.ShareAccess`.
pub const CREATE_SHARE_ACCESS: usize = 26;
/// `Parameters.DeviceIoControl.Type3InputBuffer`.
pub const TYPE3_INPUT_BUFFER: usize = 32;
/// `Parameters.Power.ShutdownType`.
pub const POWER_SHUTDOWN_TYPE: usize = 32;
/// `DeviceObject`.
pub const DEVICE_OBJECT: usize = 40;
/// `FileObject`.
pub const FILE_OBJECT: usize = 48;
/// `CompletionRoutine`.
pub const COMPLETION_ROUTINE: usize = 56;
/// `Context`.
pub const CONTEXT: usize = 64;
