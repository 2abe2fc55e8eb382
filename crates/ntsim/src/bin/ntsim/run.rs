//! `ntsim run`: one driver, one device, and what is done to them.

use std::{
    ffi::OsString,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    rc::Rc,
};

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use ntsim::{
    Config,
    bugcheck::BugCheckCode,
    bus::{BusProfile, Device, Placement, Slot},
    devices::{
        Edu, EduProfile,
        qemu::{Qemu, QemuEdu, QemuOptions},
    },
    machine::{DriverImage, Machine},
    sched::{RunEnd, ThreadSpec},
    story::Story,
    system::StartFailure,
    trace::Counter,
    transport::SimulatedDevice,
};

use crate::{
    arguments::{Hardware, RunOptions},
    fail_each,
    life::{Child, Life, Module},
    teller::Teller,
};

/// The exit code of a run in which an action failed.
const ACTION_FAILED: u8 = 1;
/// The exit code for a run that could not take place: wrong usage, no image, a device that does not start.
pub(crate) const CANNOT_RUN: u8 = 2;
/// The exit code for a driver that broke a rule.
pub(crate) const RULE_BROKEN: u8 = 3;

/// The counters that everybody wants to see.
const SHOWN: [Counter; 10] = [
    Counter::InterruptsDelivered,
    Counter::InterruptsClaimed,
    Counter::DpcsQueued,
    Counter::DpcsCoalesced,
    Counter::DpcsRun,
    Counter::IrpsCompleted,
    Counter::IrpsCancelled,
    Counter::RegisterReads,
    Counter::RegisterWrites,
    Counter::Instructions,
];

/// Events between two looks at the story of a run.
const CHAPTER: usize = 1000;

/// Carries out the command.
pub(crate) fn run(options: &RunOptions) -> Result<ExitCode> {
    let cli = match eductl_command(&options.eductl) {
        Ok(cli) => cli,
        Err(asked) => {
            let code = eductl::refusal::report_unparsed(&asked, &options.eductl, &mut io::stdout())?;
            return Ok(ExitCode::from(code));
        }
    };
    let image = DriverImage::open(options.image())?;
    if let Some(framework) = image.framework() {
        eprintln!(
            "ntsim: {} is {}; ntsim models the kernel alone",
            image.image().name(),
            framework.what
        );
    }
    if let Err(error) = image.open_symbols() {
        eprintln!("ntsim: {error}");
    }
    let plan = Plan { options, cli, image };
    if options.fail_each {
        return fail_each::run(&plan);
    }
    let teller = Teller::new(Story::new(plan.image.address_book(), options.trace), io::stdout());
    let done = plan.carry_out(options.fail_call, teller)?;
    if let Some(report) = done.machine.crash_report(Some(options.replay(options.fail_call))) {
        writeln!(io::stdout(), "\n{report}")?;
        let host_failed = done
            .machine
            .kernel()
            .crash()
            .is_some_and(|crash| crash.bugcheck.code == BugCheckCode::HOST_FAILED);
        return Ok(ExitCode::from(if host_failed { CANNOT_RUN } else { RULE_BROKEN }));
    }
    counters(&done.machine, &mut io::stdout().lock())?;
    Ok(ExitCode::from(done.code))
}

/// What is to be run.
pub(crate) struct Plan<'o> {
    pub(crate) options: &'o RunOptions,
    cli: Option<eductl::cli::Cli>,
    image: Rc<DriverImage>,
}

/// A run that is over.
pub(crate) struct Done {
    pub(crate) machine: Machine,
    /// The exit code, unless a rule was broken.
    pub(crate) code: u8,
}

impl Plan<'_> {
    /// Runs it once on a machine of its own, in which the call `failing_call` fails, and tells what happens.
    pub(crate) fn carry_out(&self, failing_call: Option<u64>, mut teller: Teller) -> Result<Done> {
        let options = self.options;
        let name = stem(options.image());
        let config = Config {
            seed: options.seed,
            processors: options.cpus,
            failing_call,
            verifier: options.verifier()?,
            bus: BusProfile {
                absent: options.absent.into(),
                ..BusProfile::default()
            },
            ..Config::default()
        };
        let mut machine = Machine::new(config)?;
        let device = match options.hardware() {
            Hardware::None => None,
            Hardware::Edu => Some(Box::new(Edu::new(EduProfile::default())) as Box<dyn Device>),
            Hardware::Qemu => Some(Box::new(QemuEdu::new(Qemu::start(&QemuOptions::default())?)) as Box<dyn Device>),
        };
        let placement = Placement {
            interrupts: options.interrupts.into(),
            ..Placement::default()
        };
        let slot = device.map(|device| machine.plug_with(device, placement)).transpose()?;
        let (stack, children) = self.load_all(&mut machine)?;
        let code = match (&self.cli, slot) {
            (Some(cli), Some(slot)) => run_eductl(&machine, &name, slot, cli, &mut teller)?,
            (Some(_), None) => return Err(anyhow!("eductl needs an edu device, which --device none leaves out")),
            (None, slot) => {
                let life = Life {
                    slot,
                    stack,
                    function: options.lower.len(),
                    children,
                    actions: options.actions.0.clone(),
                    patience: options.patience,
                    failed: Rc::default(),
                    failure: Rc::default(),
                };
                run_actions(&machine, life, &mut teller)?
            }
        };
        teller.catch_up(&machine)?;
        Ok(Done { machine, code })
    }

    /// Loads the images: those of the device's stack, the lowest first, and those of the devices below it.
    fn load_all(&self, machine: &mut Machine) -> Result<(Vec<Module>, Vec<Child>)> {
        let options = self.options;
        let mut load = |path: &Path| -> Result<Module> {
            let image = if path == options.image() {
                self.image.clone()
            } else {
                DriverImage::open(path)?
            };
            Ok(Module {
                name: stem(path),
                image: machine.load(&image)?,
            })
        };
        let stack = options.lower.iter().chain([options.image()]).chain(&options.upper);
        let stack = stack.map(|path| load(path)).collect::<Result<_>>()?;
        let children = options.child.iter().map(|(id, path)| {
            Ok(Child {
                id: id.clone(),
                driver: load(path)?,
            })
        });
        let children = children.collect::<Result<_>>()?;
        Ok((stack, children))
    }
}

/// What the driver of an image is called.
fn stem(path: &Path) -> String {
    path.file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned())
}

/// The command that eductl is given, if any; what clap has to say if it is none.
fn eductl_command(words: &[OsString]) -> Result<Option<eductl::cli::Cli>, clap::Error> {
    if words.is_empty() {
        return Ok(None);
    }
    let program = std::iter::once("eductl".into());
    eductl::cli::Cli::try_parse_from(program.chain(words.iter().cloned())).map(Some)
}

/// Starts the device, runs the command of eductl's, shuts down. The command's exit code; 0 when a rule was broken before it ran.
fn run_eductl(machine: &Machine, name: &str, slot: Slot, cli: &eductl::cli::Cli, teller: &mut Teller) -> Result<u8> {
    let Some(started) = machine.start(name, slot) else {
        return Ok(0);
    };
    teller.catch_up(machine)?;
    let system = started.map_err(|failure| anyhow!("{failure}"))?;

    let opened = SimulatedDevice::open(machine, cli.device.unwrap_or(0));
    let mut output = Vec::new();
    let mut code = 0;
    match opened {
        Ok(mut device) => {
            let outcome = eductl::run(cli, &mut device, &mut output).context("eductl's output")?;
            code = outcome.exit_code();
            // A machine that has stopped closes nothing; its report follows.
            let _ = device.close();
        }
        Err(error) if machine.kernel().running().is_ok() => {
            return Err(anyhow!("the device cannot be opened: {error}"));
        }
        Err(_) => {}
    }
    teller.catch_up(machine)?;
    if machine.kernel().running().is_ok() {
        teller.quote(&output)?;
        let end = machine.shut_down(name, system);
        debug_assert!(end != RunEnd::Reached, "a shutdown runs to the end");
    }
    Ok(code)
}

/// The whole life of a driver, with the actions that were asked for in the middle. The exit code.
fn run_actions(machine: &Machine, life: Life, teller: &mut Teller) -> Result<u8> {
    let (slot, failed, failure) = (life.slot, life.failed.clone(), life.failure.clone());
    machine.spawn(ThreadSpec::system("PnP manager"), move |k| life.live(k));
    loop {
        let told = machine.kernel().recorded().records().len();
        let end = machine.run_until(|k| k.recorded().records().len() >= told + CHAPTER);
        teller.catch_up(machine)?;
        if end != RunEnd::Reached {
            break;
        }
    }
    let failure = failure.borrow_mut().take();
    if let Some(failure) = failure.filter(|_| machine.kernel().running().is_ok()) {
        let hint = match (failure, slot) {
            (StartFailure::StartDevice(_), None) => "; --device edu gives it QEMU's edu device",
            _ => "",
        };
        return Err(anyhow!("{failure}{hint}"));
    }
    Ok(if failed.get() { ACTION_FAILED } else { 0 })
}

/// The counters, and that nothing is left: the run would have ended with a broken rule otherwise.
fn counters(machine: &Machine, out: &mut impl Write) -> io::Result<()> {
    let trace = machine.kernel().recorded();
    writeln!(out)?;
    for counter in SHOWN {
        writeln!(out, "{:>22}  {}", counter.name(), trace.counters.get(counter))?;
    }
    writeln!(
        out,
        "\nclean unload: no pool, IRP, handle, mapping or interrupt left behind; trace {}",
        trace.digest()
    )
}
