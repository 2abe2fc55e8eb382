//! Structures that the registry's routines fill in.

use core::mem::offset_of;

use ntlayout as nt;

assert_layout!(wdk_sys::KEY_BASIC_INFORMATION {
    LastWriteTime => nt::key_basic_information::LAST_WRITE_TIME;
    TitleIndex => nt::key_basic_information::TITLE_INDEX;
    NameLength => nt::key_basic_information::NAME_LENGTH;
    Name => nt::key_basic_information::NAME;
});

assert_layout!(wdk_sys::KEY_NODE_INFORMATION {
    LastWriteTime => nt::key_node_information::LAST_WRITE_TIME;
    TitleIndex => nt::key_node_information::TITLE_INDEX;
    ClassOffset => nt::key_node_information::CLASS_OFFSET;
    ClassLength => nt::key_node_information::CLASS_LENGTH;
    NameLength => nt::key_node_information::NAME_LENGTH;
    Name => nt::key_node_information::NAME;
});

assert_layout!(wdk_sys::KEY_FULL_INFORMATION {
    LastWriteTime => nt::key_full_information::LAST_WRITE_TIME;
    TitleIndex => nt::key_full_information::TITLE_INDEX;
    ClassOffset => nt::key_full_information::CLASS_OFFSET;
    ClassLength => nt::key_full_information::CLASS_LENGTH;
    SubKeys => nt::key_full_information::SUB_KEYS;
    MaxNameLen => nt::key_full_information::MAX_NAME_LEN;
    MaxClassLen => nt::key_full_information::MAX_CLASS_LEN;
    Values => nt::key_full_information::VALUES;
    MaxValueNameLen => nt::key_full_information::MAX_VALUE_NAME_LEN;
    MaxValueDataLen => nt::key_full_information::MAX_VALUE_DATA_LEN;
    Class => nt::key_full_information::CLASS;
});
