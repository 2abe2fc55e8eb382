//! A guest that stands in for Windows: a boot program that speaks the same protocol. It sends a text through the serial ports, in which some
//! bytes are orders. It has one text for its first start and another for those that follow.

/// Powers off.
pub const OFF: u8 = 0;
/// What follows goes to the second port.
pub const SECOND: u8 = 1;
/// What follows goes to the first port again.
pub const FIRST: u8 = 2;
/// Hangs.
pub const HANG: u8 = 3;
/// Crashes: without an interrupt table, an interrupt is a triple fault, which resets the machine.
pub const CRASH: u8 = 4;
/// Restarts.
pub const RESTART: u8 = 5;

/// Where the texts are in the image, and how long they may be: two sectors each, behind the boot sector.
const TEXTS: [usize; 2] = [0x200, 0x600];
const LONGEST: usize = 0x400;

/// The length of the image: firmware takes no disk for one that has no whole cylinder.
const LENGTH: usize = 1 << 20;

/// The boot program, for x86 in real mode, from 0x7c00 on. The texts are read to 0x8000 and 0x8400. How often it was started is in the CMOS
/// memory, which a reset leaves alone.
const PROGRAM: &[(&[u8], &str)] = &[
    (&[0x31, 0xc0], "xor ax,ax"),
    (&[0x8e, 0xd8], "mov ds,ax"),
    (&[0x8e, 0xd0], "mov ss,ax"),
    (&[0xbc, 0x00, 0x7c], "mov sp,0x7c00"),
    (&[0xfc], "cld"),
    (&[0x8e, 0xc0], "mov es,ax"),
    (&[0xb8, 0x04, 0x02], "mov ax,0x204"),
    (&[0xbb, 0x00, 0x80], "mov bx,0x8000"),
    (&[0xb9, 0x02, 0x00], "mov cx,0x2"),
    (&[0xb6, 0x00], "mov dh,0x0"),
    (&[0xcd, 0x13], "int 0x13"),
    (&[0xb0, 0x50], "mov al,0x50"),
    (&[0xe6, 0x70], "out 0x70,al"),
    (&[0xe4, 0x71], "in al,0x71"),
    (&[0x88, 0xc3], "mov bl,al"),
    (&[0xfe, 0xc0], "inc al"),
    (&[0x88, 0xc4], "mov ah,al"),
    (&[0xb0, 0x50], "mov al,0x50"),
    (&[0xe6, 0x70], "out 0x70,al"),
    (&[0x88, 0xe0], "mov al,ah"),
    (&[0xe6, 0x71], "out 0x71,al"),
    (&[0xbe, 0x00, 0x80], "mov si,0x8000"),
    (&[0x84, 0xdb], "test bl,bl"),
    (&[0x74, 0x03], "je first"),
    (&[0xbe, 0x00, 0x84], "mov si,0x8400"),
    (&[0xb9, 0xf8, 0x03], "first: mov cx,0x3f8"),
    (&[0xac], "next: lodsb"),
    (&[0x3c, 0x05], "cmp al,0x5"),
    (&[0x77, 0x1e], "ja send"),
    (&[0x74, 0x2f], "je reset"),
    (&[0x3c, 0x01], "cmp al,0x1"),
    (&[0x72, 0x35], "jb off"),
    (&[0x74, 0x0c], "je second"),
    (&[0x3c, 0x03], "cmp al,0x3"),
    (&[0x72, 0x0d], "jb back"),
    (&[0x74, 0x29], "je hang"),
    (&[0x0f, 0x01, 0x1e, 0xf8, 0x7c], "lidtw ds:0x7cf8"),
    (&[0xcc], "int3"),
    (&[0xb9, 0xf8, 0x02], "second: mov cx,0x2f8"),
    (&[0xeb, 0xe2], "jmp next"),
    (&[0xb9, 0xf8, 0x03], "back: mov cx,0x3f8"),
    (&[0xeb, 0xdd], "jmp next"),
    (&[0x88, 0xc4], "send: mov ah,al"),
    (&[0x89, 0xca], "mov dx,cx"),
    (&[0x83, 0xc2, 0x05], "add dx,0x5"),
    (&[0xec], "wait: in al,dx"),
    (&[0xa8, 0x20], "test al,0x20"),
    (&[0x74, 0xfb], "je wait"),
    (&[0x89, 0xca], "mov dx,cx"),
    (&[0x88, 0xe0], "mov al,ah"),
    (&[0xee], "out dx,al"),
    (&[0xeb, 0xca], "jmp next"),
    (&[0xba, 0xf9, 0x0c], "reset: mov dx,0xcf9"),
    (&[0xb0, 0x06], "mov al,0x6"),
    (&[0xee], "out dx,al"),
    (&[0xfa], "hang: cli"),
    (&[0xf4], "hlt"),
    (&[0xeb, 0xfc], "jmp hang"),
    (&[0xba, 0x04, 0x06], "off: mov dx,0x604"),
    (&[0xb8, 0x00, 0x20], "mov ax,0x2000"),
    (&[0xef], "out dx,ax"),
    (&[0xeb, 0xf3], "jmp hang"),
];

fn program() -> Vec<u8> {
    PROGRAM.iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect()
}

/// A disk image with the program and its two texts.
pub fn image(first: &[u8], later: &[u8]) -> Vec<u8> {
    let mut image = vec![0; LENGTH];
    let program = program();
    image[..program.len()].copy_from_slice(&program);
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    for (place, text) in TEXTS.into_iter().zip([first, later]) {
        assert!(text.len() < LONGEST, "the text fits into its sectors");
        image[place..place + text.len()].copy_from_slice(text);
    }
    image
}

/// How large a block of a disc is.
const BLOCK: usize = 2048;

/// A disc that starts the same program (El Torito, without emulation): what stands in for Windows' ISO. The firmware loads the program with
/// the texts behind it, which are then where the program would have read them to.
pub fn disc(first: &[u8], later: &[u8]) -> Vec<u8> {
    const CATALOG: u8 = 19;
    const BOOT_IMAGE: u8 = 20;
    /// In units of 512 bytes.
    const BOOT_LENGTH: u8 = 8;
    let mut disc = vec![0; BLOCK * 32];
    let mut put = |block: u8, at: usize, bytes: &[u8]| {
        let start = usize::from(block) * BLOCK + at;
        disc[start..start + bytes.len()].copy_from_slice(bytes);
    };
    // The descriptors: of the volume, of what it is started by, and their end.
    put(16, 0, b"\x01CD001\x01");
    put(17, 0, b"\x00CD001\x01EL TORITO SPECIFICATION");
    put(17, 0x47, &[CATALOG]);
    put(18, 0, b"\xffCD001\x01");
    // The catalog: an entry whose words add up to 0, then one for the program.
    put(CATALOG, 0, &[1]);
    put(CATALOG, 0x1c, &[0xaa, 0x55, 0x55, 0xaa]);
    put(CATALOG, 0x20, &[0x88]);
    put(CATALOG, 0x26, &[BOOT_LENGTH]);
    put(CATALOG, 0x28, &[BOOT_IMAGE]);
    put(BOOT_IMAGE, 0, &program());
    for (at, text) in [0x400, 0x800].into_iter().zip([first, later]) {
        assert!(text.len() < LONGEST, "the text fits");
        put(BOOT_IMAGE, at, text);
    }
    disc
}
