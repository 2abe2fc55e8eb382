/*
 * Declarations that the WDK's wdm.h has and the DDK headers of mingw-w64 lack. wdk-sys needs POOL_FLAGS and
 * ExAllocatePool2 to compile; the rest is what crates/wdm calls. Signatures as documented in the WDK's reference.
 */
#ifndef WDK_SUPPLEMENT_H
#define WDK_SUPPLEMENT_H

/* Pool allocation by flags, Windows 10 version 2004. wdk-sys itself defines the POOL_FLAG_* constants. */
typedef ULONG64 POOL_FLAGS;

DECLSPEC_IMPORT PVOID NTAPI ExAllocatePool2(POOL_FLAGS Flags, SIZE_T NumberOfBytes, ULONG Tag);

/* Mapping of device memory with an explicit page protection, Windows 10. */
DECLSPEC_IMPORT PVOID NTAPI MmMapIoSpaceEx(PHYSICAL_ADDRESS PhysicalAddress, SIZE_T NumberOfBytes, ULONG Protect);

#endif
