//! Structures of the run-time library's routines.

use core::mem::{offset_of, size_of};

use ntlayout as nt;

assert_layout!(wdk_sys::RTL_BITMAP {
    SizeOfBitMap => nt::rtl_bitmap::SIZE_OF_BIT_MAP;
    Buffer => nt::rtl_bitmap::BUFFER;
});

assert_layout!(wdk_sys::TIME_FIELDS {
    Year => nt::time_fields::YEAR;
    Month => nt::time_fields::MONTH;
    Day => nt::time_fields::DAY;
    Hour => nt::time_fields::HOUR;
    Minute => nt::time_fields::MINUTE;
    Second => nt::time_fields::SECOND;
    Milliseconds => nt::time_fields::MILLISECONDS;
    Weekday => nt::time_fields::WEEKDAY;
});

assert_layout!(wdk_sys::RTL_OSVERSIONINFOEXW {
    dwOSVersionInfoSize => nt::rtl_osversioninfoexw::OS_VERSION_INFO_SIZE;
    dwMajorVersion => nt::rtl_osversioninfoexw::MAJOR_VERSION;
    dwMinorVersion => nt::rtl_osversioninfoexw::MINOR_VERSION;
    dwBuildNumber => nt::rtl_osversioninfoexw::BUILD_NUMBER;
    dwPlatformId => nt::rtl_osversioninfoexw::PLATFORM_ID;
    szCSDVersion => nt::rtl_osversioninfoexw::CSD_VERSION;
    wServicePackMajor => nt::rtl_osversioninfoexw::SERVICE_PACK_MAJOR;
    wServicePackMinor => nt::rtl_osversioninfoexw::SERVICE_PACK_MINOR;
    wSuiteMask => nt::rtl_osversioninfoexw::SUITE_MASK;
    wProductType => nt::rtl_osversioninfoexw::PRODUCT_TYPE;
});

assert_layout!(wdk_sys::RTL_AVL_TABLE {
    BalancedRoot => nt::rtl_avl_table::BALANCED_ROOT;
    NumberGenericTableElements => nt::rtl_avl_table::NUMBER_GENERIC_TABLE_ELEMENTS;
    CompareRoutine => nt::rtl_avl_table::COMPARE_ROUTINE;
    AllocateRoutine => nt::rtl_avl_table::ALLOCATE_ROUTINE;
    FreeRoutine => nt::rtl_avl_table::FREE_ROUTINE;
    TableContext => nt::rtl_avl_table::TABLE_CONTEXT;
});

assert_layout!(wdk_sys::RTL_GENERIC_TABLE {
    TableRoot => nt::rtl_generic_table::TABLE_ROOT;
    InsertOrderList => nt::rtl_generic_table::INSERT_ORDER_LIST;
    NumberGenericTableElements => nt::rtl_generic_table::NUMBER_GENERIC_TABLE_ELEMENTS;
    CompareRoutine => nt::rtl_generic_table::COMPARE_ROUTINE;
    AllocateRoutine => nt::rtl_generic_table::ALLOCATE_ROUTINE;
    FreeRoutine => nt::rtl_generic_table::FREE_ROUTINE;
    TableContext => nt::rtl_generic_table::TABLE_CONTEXT;
});

const _: () = {
    assert!(size_of::<wdk_sys::RTL_AVL_TABLE>() == nt::rtl_avl_table::SIZE);
    assert!(size_of::<wdk_sys::RTL_GENERIC_TABLE>() == nt::rtl_generic_table::SIZE);
    assert!(size_of::<wdk_sys::RTL_BALANCED_LINKS>() == nt::rtl_avl_table::LINKS_SIZE);
    assert!(size_of::<wdk_sys::RTL_BITMAP>() == nt::rtl_bitmap::SIZE);
    assert!(size_of::<wdk_sys::TIME_FIELDS>() == nt::time_fields::SIZE);
    assert!(size_of::<wdk_sys::RTL_OSVERSIONINFOEXW>() == nt::rtl_osversioninfoexw::SIZE);
};
