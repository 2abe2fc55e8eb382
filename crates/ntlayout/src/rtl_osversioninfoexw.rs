//! `RTL_OSVERSIONINFOEXW`: the version of the system. `RTL_OSVERSIONINFOW` is the part up to the service pack's number.

/// Size of the structure, in bytes.
pub const SIZE: usize = 284;
/// Size of `RTL_OSVERSIONINFOW`, in bytes.
pub const SHORT_SIZE: usize = 276;
/// `dwOSVersionInfoSize`.
pub const OS_VERSION_INFO_SIZE: usize = 0;
/// `dwMajorVersion`.
pub const MAJOR_VERSION: usize = 4;
/// `dwMinorVersion`.
pub const MINOR_VERSION: usize = 8;
/// `dwBuildNumber`.
pub const BUILD_NUMBER: usize = 12;
/// `dwPlatformId`.
pub const PLATFORM_ID: usize = 16;
/// `szCSDVersion`.
pub const CSD_VERSION: usize = 20;
/// `wServicePackMajor`.
pub const SERVICE_PACK_MAJOR: usize = 276;
/// `wServicePackMinor`.
pub const SERVICE_PACK_MINOR: usize = 278;
/// `wSuiteMask`.
pub const SUITE_MASK: usize = 280;
/// `wProductType`.
pub const PRODUCT_TYPE: usize = 282;
