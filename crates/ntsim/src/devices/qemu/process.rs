//! The QEMU process: its command line, its sockets, and its end.

use std::{
    env,
    fs::{self, File},
    io::{self, ErrorKind},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use super::{
    boot_image::boot_image,
    channel::{Channel, Trouble},
    error::QemuError,
    pci,
};

/// Which QEMU is started, and how long it is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QemuOptions {
    /// The program: a path, or a name that is looked for in `PATH`.
    pub program: PathBuf,
    /// How long an answer may take. A QEMU that takes longer is killed.
    pub patience: Duration,
}

impl Default for QemuOptions {
    fn default() -> Self {
        Self {
            program: "qemu-system-x86_64".into(),
            patience: Duration::from_secs(20),
        }
    }
}

/// The PC's memory, MiB: all that the device can address.
const MEMORY: &str = "256";

/// The files in QEMU's directory. It is started there, so that no path needs quoting in its options.
const BOOT_IMAGE: &str = "halt.bin";
const QTEST: &str = "qtest";
const QMP: &str = "qmp";
const STANDARD_ERROR: &str = "stderr";

/// How often it is looked whether a process has connected, or ended.
const LOOK: Duration = Duration::from_millis(2);
/// How long a process that has closed its sockets may take to end.
const END: Duration = Duration::from_secs(2);

/// A running QEMU. It is killed when this is dropped, and when the thread that has started it ends.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    directory: TempDir,
    patience: Duration,
}

impl Process {
    /// Starts QEMU, stopped before its first instruction; its connections for qtest and for QMP.
    pub(super) fn start(options: &QemuOptions) -> Result<(Self, Channel, Channel), QemuError> {
        let directory = TempDir::with_prefix("ntsim-qemu-").map_err(setup("make a directory for QEMU"))?;
        let file = |name: &str| directory.path().join(name);
        fs::write(file(BOOT_IMAGE), boot_image()).map_err(setup("write QEMU's boot image"))?;
        let standard_error = File::create(file(STANDARD_ERROR)).map_err(setup("make a file for QEMU's messages"))?;
        let qtest = listen(&file(QTEST))?;
        let qmp = listen(&file(QMP))?;

        let program = find(&options.program)?;
        let mut command = ending_with_this_thread(&program);
        command
            .current_dir(directory.path())
            .args(["-nodefaults", "-no-user-config", "-display", "none"])
            // Interrupts of its PCI slots reach the I/O APIC without firmware. Without the 8254 and the HPET no timer runs but the device's.
            .args(["-machine", "q35,pit=off,hpet=off", "-m", MEMORY, "-bios", BOOT_IMAGE])
            // An idle processor waits for no real time: the clock moves to the next timer at once.
            .args(["-accel", "tcg", "-icount", "shift=0,sleep=off"])
            .args(["-device", &format!("edu,addr={:#x}", pci::SLOT)])
            .args(["-qtest", &format!("unix:{QTEST}"), "-qtest-log", "none"])
            .args(["-qmp", &format!("unix:{QMP}"), "-S"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(standard_error);
        let child = command.spawn().map_err(setup(format!("start {}", program.display())))?;
        let mut process = Self {
            child,
            directory,
            patience: options.patience,
        };
        let qtest = process.accept(&qtest)?;
        let qmp = process.accept(&qmp)?;
        Ok((process, qtest, qmp))
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until QEMU connects.
    fn accept(&mut self, listener: &UnixListener) -> Result<Channel, QemuError> {
        let deadline = Instant::now() + self.patience;
        let stream: UnixStream = loop {
            match listener.accept() {
                Ok((stream, _)) => break stream,
                Err(error) if error.kind() != ErrorKind::WouldBlock => {
                    return Err(setup("take QEMU's connection")(error));
                }
                Err(_) if self.has_ended() => return Err(self.explain("start", Trouble::Closed)),
                Err(_) if Instant::now() >= deadline => return Err(self.explain("start", Trouble::Silent)),
                Err(_) => thread::sleep(LOOK),
            }
        };
        Channel::new(stream, self.patience).map_err(setup("use QEMU's connection"))
    }

    fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// What has become of QEMU when the command `told` brought `trouble`. From then on it is not used any more.
    pub(super) fn explain(&mut self, told: &str, trouble: Trouble) -> QemuError {
        let told = told.to_owned();
        match trouble {
            Trouble::Refused(answer) => QemuError::Refused {
                told,
                answer,
                said: self.said(),
            },
            Trouble::Closed => {
                let deadline = Instant::now() + END;
                while !self.has_ended() && Instant::now() < deadline {
                    thread::sleep(LOOK);
                }
                self.ended(told)
            }
            Trouble::Silent if self.has_ended() => self.ended(told),
            Trouble::Silent => {
                self.kill();
                QemuError::Silent {
                    told,
                    patience: self.patience,
                    said: self.said(),
                }
            }
        }
    }

    fn ended(&mut self, told: String) -> QemuError {
        // Killing one that has ended does nothing.
        let _ = self.child.kill();
        match self.child.wait() {
            Ok(status) => QemuError::Ended {
                told,
                status,
                said: self.said(),
            },
            Err(error) => setup("wait for QEMU's end")(error),
        }
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    fn said(&self) -> String {
        let said = fs::read(self.directory.path().join(STANDARD_ERROR)).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The command that starts `program`. Where there is setpriv, the kernel kills QEMU when the thread that has started it ends, so that none is
/// left when this program is killed.
fn ending_with_this_thread(program: &Path) -> Command {
    let Ok(setpriv) = find("setpriv".as_ref()) else {
        return Command::new(program);
    };
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A socket that QEMU connects to.
fn listen(path: &Path) -> Result<UnixListener, QemuError> {
    let listener = UnixListener::bind(path).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    listener.map_err(setup(format!(
        "make the socket {} (TMPDIR names another directory for it)",
        path.display()
    )))
}

/// The program's path. It is not left to the system to find it: whether it is missing must be known for certain.
fn find(program: &Path) -> Result<PathBuf, QemuError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let is_name = program.components().count() == 1;
    let mut directories = env::split_paths(&path).filter(|_| is_name);
    let found = directories
        .find_map(|directory| Some(directory.join(program)).filter(|path| path.is_file()))
        .or_else(|| Some(program.to_owned()).filter(|path| !is_name && path.is_file()));
    let found = found.ok_or_else(|| QemuError::NotInstalled {
        program: program.to_owned(),
    })?;
    // It is started in another directory.
    std::path::absolute(&found).map_err(setup(format!("find {}", found.display())))
}

fn setup(what: impl Into<String>) -> impl FnOnce(io::Error) -> QemuError {
    let what = what.into();
    move |error| QemuError::Setup { what, error }
}
