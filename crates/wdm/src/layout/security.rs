//! Structures of the security routines.

use core::mem::{offset_of, size_of};

use ntlayout as nt;

assert_layout!(wdk_sys::ACL {
    AclRevision => nt::acl::ACL_REVISION;
    AclSize => nt::acl::ACL_SIZE;
    AceCount => nt::acl::ACE_COUNT;
});

assert_layout!(wdk_sys::SID {
    Revision => nt::sid::REVISION;
    SubAuthorityCount => nt::sid::SUB_AUTHORITY_COUNT;
    IdentifierAuthority => nt::sid::IDENTIFIER_AUTHORITY;
    SubAuthority => nt::sid::SUB_AUTHORITY;
});

assert_layout!(wdk_sys::ACE_HEADER {
    AceType => nt::ace_header::ACE_TYPE;
    AceFlags => nt::ace_header::ACE_FLAGS;
    AceSize => nt::ace_header::ACE_SIZE;
});

assert_layout!(wdk_sys::SECURITY_DESCRIPTOR {
    Revision => nt::security_descriptor::REVISION;
    Control => nt::security_descriptor::CONTROL;
    Owner => nt::security_descriptor::OWNER;
    Group => nt::security_descriptor::GROUP;
    Sacl => nt::security_descriptor::SACL;
    Dacl => nt::security_descriptor::DACL;
});

assert_layout!(wdk_sys::SECURITY_DESCRIPTOR_RELATIVE {
    Owner => nt::security_descriptor_relative::OWNER;
    Group => nt::security_descriptor_relative::GROUP;
    Sacl => nt::security_descriptor_relative::SACL;
    Dacl => nt::security_descriptor_relative::DACL;
});

assert_layout!(wdk_sys::PRIVILEGE_SET {
    PrivilegeCount => nt::privilege_set::PRIVILEGE_COUNT;
    Control => nt::privilege_set::CONTROL;
    Privilege => nt::privilege_set::PRIVILEGE;
});

assert_layout!(wdk_sys::SECURITY_SUBJECT_CONTEXT {
    ClientToken => nt::security_subject_context::CLIENT_TOKEN;
    ImpersonationLevel => nt::security_subject_context::IMPERSONATION_LEVEL;
    PrimaryToken => nt::security_subject_context::PRIMARY_TOKEN;
    ProcessAuditId => nt::security_subject_context::PROCESS_AUDIT_ID;
});

assert_layout!(wdk_sys::ACCESS_STATE {
    SecurityEvaluated => nt::access_state::SECURITY_EVALUATED;
    Flags => nt::access_state::FLAGS;
    RemainingDesiredAccess => nt::access_state::REMAINING_DESIRED_ACCESS;
    PreviouslyGrantedAccess => nt::access_state::PREVIOUSLY_GRANTED_ACCESS;
    OriginalDesiredAccess => nt::access_state::ORIGINAL_DESIRED_ACCESS;
    SubjectSecurityContext => nt::access_state::SUBJECT_SECURITY_CONTEXT;
    SecurityDescriptor => nt::access_state::SECURITY_DESCRIPTOR;
    AuxData => nt::access_state::AUX_DATA;
});

const _: () = {
    assert!(size_of::<wdk_sys::ACL>() == nt::acl::SIZE);
    assert!(size_of::<wdk_sys::SECURITY_DESCRIPTOR>() == nt::security_descriptor::SIZE);
    assert!(size_of::<wdk_sys::SECURITY_DESCRIPTOR_RELATIVE>() == nt::security_descriptor_relative::SIZE);
    assert!(size_of::<wdk_sys::SECURITY_SUBJECT_CONTEXT>() == nt::security_subject_context::SIZE);
    assert!(size_of::<wdk_sys::ACCESS_STATE>() == nt::access_state::SIZE);
};
