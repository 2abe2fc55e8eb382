//! The virtual machine: QEMU with the edu device, the user's image, and the disk with the package.

use std::{
    fs::{self, File, OpenOptions},
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::Firmware;

/// The emulator.
pub const PROGRAM: &str = "qemu-system-x86_64";

/// UEFI firmware without Secure Boot, where Debian's package `ovmf` puts it, and the store for its variables.
pub const UEFI_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const UEFI_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// The label of the disk with the package: that is how the guest finds it.
const LABEL: &str = "CUSTOMDPC";

/// The file with what QEMU itself says.
const LOG: &str = "qemu.log";

/// What the machine is made of.
pub struct Machine<'m> {
    /// The image of the guest's system.
    pub image: &'m Path,
    /// Whether what the guest writes to its system is kept.
    pub keep: bool,
    /// An ISO in the drive.
    pub iso: Option<&'m Path>,
    /// The directory that is the second disk.
    pub disk: &'m Path,
    /// Where the files of this run go.
    pub run: &'m Path,
    /// BIOS or UEFI.
    pub firmware: Firmware,
    /// Whether there is a channel to QEMU's guest agent.
    pub agent: bool,
    /// Memory in MiB.
    pub memory: u32,
    /// Number of processors.
    pub cpus: u32,
}

/// Files of a run that is under way.
pub struct Files {
    /// The socket of QEMU's protocol.
    pub qmp: PathBuf,
    /// The socket of the channel to the guest agent.
    pub agent: PathBuf,
    /// What the guest sent through its first serial port.
    pub console: PathBuf,
    /// What it sent through the second one.
    pub archive: PathBuf,
}

impl Machine<'_> {
    /// The files of this run.
    pub fn files(&self) -> Files {
        Files {
            qmp: self.run.join("qmp.sock"),
            agent: self.run.join("agent.sock"),
            console: self.run.join("console.log"),
            archive: self.run.join("logs.zip"),
        }
    }

    /// Starts it.
    ///
    /// # Errors
    ///
    /// When the image is none, or QEMU cannot be started.
    pub fn start(&self, accelerator: Accelerator) -> Result<Child> {
        let mut qemu = self.command(accelerator)?;
        let log = File::create(self.run.join(LOG))?;
        qemu.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        qemu.spawn().with_context(|| format!("cannot start {PROGRAM}"))
    }

    /// What QEMU itself has said.
    pub fn log(&self) -> String {
        fs::read_to_string(self.run.join(LOG))
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    fn command(&self, accelerator: Accelerator) -> Result<Command> {
        let files = self.files();
        let mut qemu = Command::new(PROGRAM);
        qemu.args(["-name", "customdpc", "-nodefaults", "-display", "none", "-vga", "std"]);
        qemu.arg("-machine").arg(format!("q35,accel={}", accelerator.name()));
        qemu.args(["-cpu", "max"]);
        qemu.arg("-smp").arg(self.cpus.to_string());
        qemu.arg("-m").arg(self.memory.to_string());
        // Windows takes the clock for local time; sleep (S3) is part of what a driver is tested with.
        qemu.args(["-rtc", "base=localtime", "-global", "ICH9-LPC.disable_s3=0"]);
        if self.firmware == Firmware::Uefi {
            let variables = self.run.join("uefi-variables.fd");
            fs::copy(UEFI_VARIABLES, &variables).with_context(|| format!("cannot copy {UEFI_VARIABLES}"))?;
            qemu.arg("-drive")
                .arg(drive("if=pflash,format=raw,readonly=on", Path::new(UEFI_CODE))?);
            qemu.arg("-drive").arg(drive("if=pflash,format=raw", &variables)?);
        }
        // What the guest writes and is not to be kept goes to a temporary file of QEMU's.
        let snapshot = if self.keep { "off" } else { "on" };
        let system = format!("if=none,id=system,snapshot={snapshot},format={}", format(self.image)?);
        qemu.arg("-drive").arg(drive(&system, self.image)?);
        qemu.args(["-device", "ide-hd,bus=ide.0,drive=system,bootindex=0"]);
        if let Some(iso) = self.iso {
            // Second: an empty disk cannot be started from, and one with a system on it must not be installed again.
            qemu.arg("-drive")
                .arg(drive("if=none,id=iso,media=cdrom,readonly=on,format=raw", iso)?);
            qemu.args(["-device", "ide-cd,bus=ide.1,drive=iso,bootindex=1"]);
        }
        // Read-only, and by USB: Windows takes no SATA disk that it cannot write to.
        qemu.args(["-device", "qemu-xhci"]);
        let package = format!(
            "driver=vvfat,node-name=package,read-only=on,label={LABEL},dir={}",
            escaped(self.disk)?
        );
        qemu.arg("-blockdev").arg(package);
        qemu.args(["-device", "usb-storage,drive=package,removable=on"]);
        qemu.args(["-device", "edu", "-nic", "none"]);
        for (id, file) in [("console", &files.console), ("archive", &files.archive)] {
            qemu.arg("-chardev")
                .arg(format!("file,id={id},path={}", escaped(file)?));
            qemu.arg("-serial").arg(format!("chardev:{id}"));
        }
        if self.agent {
            qemu.args(["-device", "virtio-serial-pci"]);
            let channel = format!("socket,id=agent,path={},server=on,wait=off", escaped(&files.agent)?);
            qemu.arg("-chardev").arg(channel);
            qemu.args(["-device", "virtserialport,chardev=agent,name=org.qemu.guest_agent.0"]);
        }
        qemu.arg("-qmp")
            .arg(format!("unix:{},server=on,wait=off", escaped(&files.qmp)?));
        Ok(qemu)
    }
}

/// What runs the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Accelerator {
    /// The processor.
    Kvm,
    /// QEMU, many times slower.
    Tcg,
}

impl Accelerator {
    /// Those to try one after the other: KVM where there is one, which may still fail in a virtual machine.
    pub fn usual() -> Vec<Self> {
        let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm");
        if kvm.is_ok() {
            vec![Self::Kvm, Self::Tcg]
        } else {
            vec![Self::Tcg]
        }
    }

    /// QEMU's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        }
    }
}

fn drive(options: &str, file: &Path) -> Result<String> {
    Ok(format!("{options},file={}", escaped(file)?))
}

/// A path in an option of QEMU's, where a comma is written twice.
fn escaped(path: &Path) -> Result<String> {
    let text = path.to_str();
    let text = text.with_context(|| format!("QEMU takes no path that is not UTF-8: {}", path.display()))?;
    Ok(text.replace(',', ",,"))
}

/// The format of a disk image, by its first bytes.
fn format(image: &Path) -> Result<&'static str> {
    let mut start = [0; 8];
    let mut file = File::open(image).with_context(|| format!("cannot read {}", image.display()))?;
    let length = file.metadata()?.len();
    let read = file
        .read(&mut start)
        .with_context(|| format!("cannot read {}", image.display()))?;
    match &start[..read] {
        [b'Q', b'F', b'I', 0xfb, ..] => Ok("qcow2"),
        b"vhdxfile" => Ok("vhdx"),
        b"conectix" => Ok("vpc"),
        _ if length >= 512 && length.is_multiple_of(512) => Ok("raw"),
        _ => bail!(
            "{} is no disk image: neither qcow2, VHDX nor VHD, and a raw image has whole sectors",
            image.display()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_told_by_their_first_bytes() {
        let directory = tempfile::tempdir().unwrap();
        let of = |contents: &[u8]| {
            let path = directory.path().join("image");
            fs::write(&path, contents).unwrap();
            format(&path)
        };
        assert_eq!(of(b"QFI\xfb\0\0\0\x03").unwrap(), "qcow2");
        assert_eq!(of(b"vhdxfile and more").unwrap(), "vhdx");
        assert_eq!(of(&[0; 1024]).unwrap(), "raw");
        for contents in [&b""[..], b"text", &[0; 513]] {
            assert!(of(contents).unwrap_err().to_string().contains("is no disk image"));
        }
        assert!(
            format(Path::new("no/such/image"))
                .unwrap_err()
                .to_string()
                .contains("no/such/image")
        );
    }

    #[test]
    fn commas_in_paths_are_no_separators() {
        assert_eq!(escaped(Path::new("/a,b/c")).unwrap(), "/a,,b/c");
    }
}
