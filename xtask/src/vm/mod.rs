//! `cargo xtask vm`: the driver's tests on Windows, in a virtual machine of the user's.
//!
//! QEMU starts the user's image with the edu device and a disk that carries the package and `windows/Invoke-VmTest.ps1`, which runs inside
//! and tells what happens. Nothing that the guest writes is kept but what it sends.

mod agent;
mod disk;
mod install;
mod protocol;
mod qemu;
mod qmp;
mod results;
mod session;

use std::{
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Child,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde_json::json;

use self::{
    agent::Agent,
    protocol::Statement,
    qemu::{Accelerator, Files, Machine},
    qmp::Qmp,
    session::{Event, Limits, Next, Session},
};
use crate::{package, process::Show, provision, workspace::Workspace};

pub use qemu::UEFI_CODE;

/// What to run.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// The disk image of a Windows that runs the tests of a disk with the label CUSTOMDPC. It is not changed.
    #[arg(long, value_name = "FILE")]
    image: PathBuf,
    /// Instead of running tests, make the image: install Windows from this ISO, unattended.
    #[arg(long, value_name = "ISO")]
    answer_file: Option<PathBuf>,
    /// Which of the editions on the ISO to install.
    #[arg(long, default_value_t = 1, requires = "answer_file")]
    index: u32,
    /// The product key to install with; some ISOs ask for none.
    #[arg(long, requires = "answer_file")]
    product_key: Option<String>,
    /// The image has QEMU's guest agent: start the tests by it, at each start of the guest.
    #[arg(long)]
    guest_agent: bool,
    /// What the image is started by.
    #[arg(long, value_enum, default_value_t)]
    firmware: Firmware,
    /// What runs the guest's instructions; without it, KVM where it works.
    #[arg(long, value_enum)]
    accelerator: Option<Accelerator>,
    /// Memory in MiB.
    #[arg(long, default_value_t = 4096)]
    memory: u32,
    /// Number of processors.
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// How long each stage stresses the driver, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// The settings of Driver Verifier to test under, one after the other.
    #[arg(long, value_delimiter = ',', default_values_t = disk::VERIFIER.map(str::to_owned))]
    verifier: Vec<String>,
    /// How long the guest may say nothing, in seconds.
    #[arg(long, default_value_t = 1800)]
    silence: u32,
    /// How long the whole run may take, in seconds.
    #[arg(long, default_value_t = 6 * 3600)]
    limit: u32,
    /// How often the guest may restart.
    #[arg(long, default_value_t = 30)]
    restarts: u32,
    /// The directory of a driver package, instead of making one.
    #[arg(long, value_name = "DIRECTORY")]
    package: Option<PathBuf>,
    /// Where to put what a run leaves, instead of target/vm. What an earlier run left there is removed first.
    #[arg(long, value_name = "DIRECTORY")]
    results: Option<PathBuf>,
}

impl Options {
    fn limits(&self) -> Limits {
        Limits {
            silence: Duration::from_secs(self.silence.into()),
            total: Duration::from_secs(self.limit.into()),
            restarts: self.restarts,
        }
    }
}

/// What starts a machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Firmware {
    /// UEFI, without Secure Boot: what Windows 11 is installed with.
    #[default]
    Uefi,
    /// The old one.
    Bios,
}

/// The directory that becomes the guest's second disk, among what a run leaves.
const DISK: &str = "disk";

/// Between two looks at what has happened.
const LOOK: Duration = Duration::from_millis(200);

/// For how long keys are pressed at the start of an installation.
const KEYS: Duration = Duration::from_secs(20);

/// How long QEMU may take to end when it is told to.
const ENDING: Duration = Duration::from_secs(20);

/// Runs the tests in the image, and returns what to exit with: the guest's code, or 1 when it did not come to its end.
///
/// # Errors
///
/// When the run cannot be started, or the results not be kept.
pub fn run(workspace: &Workspace, options: &Options) -> Result<u8> {
    if options.silence <= options.seconds {
        bail!(
            "--silence {} is no longer than a stage may say nothing: --seconds {}",
            options.silence,
            options.seconds
        );
    }
    provision::qemu()?;
    if options.firmware == Firmware::Uefi {
        provision::uefi()?;
    }
    let run = options.results.clone().unwrap_or_else(|| workspace.vm());
    if let Some(iso) = &options.answer_file {
        return install::run(workspace, iso, &run, options);
    }
    let package = if let Some(package) = &options.package {
        package.clone()
    } else {
        package::run(workspace, &package::Options::default(), Show::All)?;
        workspace.package()
    };
    clear(&run)?;
    let disk = run.join(DISK);
    disk::make(&disk, &package, options)?;
    let machine = Machine {
        image: &options.image,
        keep: false,
        iso: None,
        disk: &disk,
        run: &run,
        agent: options.guest_agent,
        firmware: options.firmware,
        memory: options.memory,
        cpus: options.cpus,
    };
    let code = play(&machine, options.accelerator, options.limits())?;
    println!("results: {}", run.display());
    Ok(code)
}

/// Removes what an earlier run left; nothing else.
fn clear(run: &Path) -> Result<()> {
    let Ok(mut entries) = fs::read_dir(run) else {
        return Ok(());
    };
    if entries.next().is_some() && !disk::is_one(&run.join(DISK)) {
        bail!("{} is not empty, and no earlier run left what is there", run.display());
    }
    fs::remove_dir_all(run).with_context(|| format!("cannot remove {}", run.display()))
}

/// One run, from the start of QEMU to its end.
fn play(machine: &Machine<'_>, accelerator: Option<Accelerator>, limits: Limits) -> Result<u8> {
    let files = machine.files();
    let (mut guest, mut qmp) = start(machine, accelerator)?;
    let mut session = Session::new(limits);
    let (code, why) = guest.watch(&mut session, &mut qmp, &files)?;
    if let Some(why) = &why {
        // What is on the guest's screen tells more than its silence.
        let screen = machine.run.join("screen.ppm");
        let taken = qmp.command("screendump", &json!({ "filename": screen })).is_ok();
        let shown = if taken {
            format!("; its screen is in {}", screen.display())
        } else {
            String::new()
        };
        println!("{why}{shown}");
    }
    let _ = qmp.command("quit", &json!({}));
    guest.end()?;
    let archive = results::check(&files.archive, session.archive());
    println!("\n{}", results::table(&session, &archive));
    Ok(if archive.is_err() { code.max(1) } else { code })
}

/// Starts the machine, with the first accelerator that works.
fn start(machine: &Machine<'_>, wanted: Option<Accelerator>) -> Result<(Guest, Qmp)> {
    let mut accelerators = wanted
        .map_or_else(Accelerator::usual, |accelerator| vec![accelerator])
        .into_iter();
    loop {
        let accelerator = accelerators.next().context("there is an accelerator")?;
        println!("starting {} with {}", qemu::PROGRAM, accelerator.name());
        let mut guest = Guest {
            qemu: machine.start(accelerator)?,
            start: Instant::now(),
            heard: Instant::now(),
            read: 0,
            partial: Vec::new(),
            keys_until: machine.iso.map(|_| Instant::now() + KEYS),
            agent: machine.agent.then(|| Agent::new(&machine.files().agent)),
        };
        match Qmp::connect(&machine.files().qmp, &mut guest.qemu) {
            Ok(qmp) => return Ok((guest, qmp)),
            Err(error) => {
                let what = format!("{error:#}: {}", machine.log());
                if accelerators.len() == 0 {
                    bail!(what);
                }
                println!("{what}");
            }
        }
    }
}

/// A machine that runs. QEMU does not outlive it.
struct Guest {
    qemu: Child,
    start: Instant,
    /// When the guest last said something.
    heard: Instant,
    /// How much of the console was read.
    read: u64,
    /// A line that is not complete yet.
    partial: Vec<u8>,
    /// Until when to press a key: UEFI firmware starts from a disc of Windows only if one is pressed in time.
    keys_until: Option<Instant>,
    /// What starts the tests, if the image does not do it by itself.
    agent: Option<Agent>,
}

impl Guest {
    /// Follows the run until it is over: the code, and why it ended early.
    fn watch(&mut self, session: &mut Session, qmp: &mut Qmp, files: &Files) -> Result<(u8, Option<String>)> {
        loop {
            // In this order: what the guest said before it powered off, or before QEMU ended, has been read when that is looked at.
            let ended = self.qemu.try_wait()?;
            if self.keys_until.is_some_and(|end| Instant::now() < end) {
                // A machine that has ended takes no keys; that shows below.
                let _ = qmp.command("send-key", &json!({ "keys": [{ "type": "qcode", "data": "ret" }] }));
            }
            let seen = qmp.events()?;
            if let Some(agent) = &mut self.agent {
                if seen.iter().any(|event| matches!(event, Event::Reset)) {
                    agent.restarted();
                }
                if agent.tend() {
                    println!("the guest agent starts the tests");
                }
            }
            let mut events = self.said(&files.console)?;
            events.extend(seen);
            events.extend(ended.map(|status| Event::QemuEnded(status.to_string())));
            events.push(Event::Time {
                silent: self.heard.elapsed(),
                total: self.start.elapsed(),
            });
            for event in events {
                if let Event::Said(statement) = &event {
                    self.heard = Instant::now();
                    show(statement);
                }
                if let Next::Over { code, why } = session.take(event) {
                    return Ok((code, why));
                }
            }
            std::thread::sleep(LOOK);
        }
    }

    /// What the guest has said since the last look.
    fn said(&mut self, console: &Path) -> Result<Vec<Event>> {
        let Ok(mut file) = fs::File::open(console) else {
            return Ok(Vec::new());
        };
        file.seek(SeekFrom::Start(self.read))?;
        let mut new = Vec::new();
        self.read += file.read_to_end(&mut new)? as u64;
        self.partial.extend(new);
        let mut events = Vec::new();
        while let Some(end) = self.partial.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            match protocol::parse(&String::from_utf8_lossy(&line)) {
                Ok(Some(statement)) => events.push(Event::Said(statement)),
                Ok(None) => {}
                Err(what) => events.push(Event::Nonsense(what)),
            }
        }
        Ok(events)
    }

    /// Waits until QEMU has ended, and ends it if it does not.
    fn end(&mut self) -> Result<()> {
        let start = Instant::now();
        while self.qemu.try_wait()?.is_none() {
            if start.elapsed() > ENDING {
                self.qemu.kill().context("cannot end QEMU")?;
            }
            std::thread::sleep(LOOK);
        }
        Ok(())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Also after an error: nobody else would end it.
        if let Ok(None) = self.qemu.try_wait() {
            let _ = self.qemu.kill();
            let _ = self.qemu.wait();
        }
    }
}

fn show(statement: &Statement) {
    match statement {
        Statement::Begin => println!("the guest begins"),
        Statement::Resume => println!("the guest goes on"),
        Statement::Stage(name) => println!("stage {name}"),
        Statement::Restart(why) => println!("restart: {why}"),
        Statement::Result { what, .. } => println!("  {what}"),
        Statement::Archive { length, .. } => println!("logs: {length} bytes"),
        Statement::End(code) => println!("the guest ends with {code}"),
    }
}
