//! `ntsim run`: one driver, one device, one eductl command.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context as _, Result, anyhow};
use clap::Parser as _;
use ntsim::{
    Config,
    bus::Placement,
    devices::{Edu, EduProfile},
    machine::{DriverImage, Machine},
    sched::RunEnd,
    story::Story,
    trace::Counter,
    transport::SimulatedDevice,
};

use crate::arguments::Options;

/// The exit code for a run that could not take place: wrong usage, no image, a device that does not start.
pub(crate) const CANNOT_RUN: u8 = 2;
/// The exit code for a driver that broke a rule.
const RULE_BROKEN: u8 = 3;

/// What is run when no command is given.
const DEFAULT_COMMAND: [&str; 4] = ["factorial", "5", "10", "20"];

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

/// Carries out the command.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let cli = eductl_command(options)?;
    let image = DriverImage::open(&options.image)?;
    let name = options
        .image
        .file_stem()
        .map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let config = Config {
        seed: options.seed,
        processors: options.cpus,
        ..Config::default()
    };
    let mut machine = Machine::new(config)?;
    let placement = Placement {
        interrupts: options.interrupts.into(),
        ..Placement::default()
    };
    let slot = machine.plug_with(Box::new(Edu::new(EduProfile::default())), placement)?;
    machine.load(&image)?;
    let mut teller = Teller {
        story: Story::new(image.symbols(), options.trace),
        told: 0,
    };

    let code = act(&machine, &name, slot, &cli, &mut teller)?;
    if let Some(report) = machine.crash_report(Some(options.replay())) {
        teller.catch_up(&machine)?;
        writeln!(io::stdout(), "\n{report}")?;
        return Ok(ExitCode::from(RULE_BROKEN));
    }
    teller.catch_up(&machine)?;
    counters(&machine, &mut io::stdout().lock())?;
    Ok(ExitCode::from(code))
}

fn eductl_command(options: &Options) -> Result<eductl::cli::Cli> {
    let words: Vec<std::ffi::OsString> = if options.eductl.is_empty() {
        DEFAULT_COMMAND.map(Into::into).to_vec()
    } else {
        options.eductl.clone()
    };
    let program = std::iter::once("eductl".into());
    eductl::cli::Cli::try_parse_from(program.chain(words)).map_err(Into::into)
}

/// Starts the device, runs the command, shuts down. The command's exit code; 0 when a rule was broken before it ran.
fn act(
    machine: &Machine,
    name: &str,
    slot: ntsim::bus::Slot,
    cli: &eductl::cli::Cli,
    teller: &mut Teller,
) -> Result<u8> {
    let Some(started) = machine.start(name, slot) else {
        return Ok(0);
    };
    teller.catch_up(machine)?;
    let system = started.map_err(|failure| anyhow!("the device does not start: {failure:?}"))?;

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
        let mut out = io::stdout().lock();
        writeln!(out)?;
        out.write_all(&output)?;
        writeln!(out)?;
        drop(out);
        let end = machine.shut_down(name, system);
        debug_assert!(end != RunEnd::Reached, "a shutdown runs to the end");
    }
    Ok(code)
}

struct Teller {
    story: Story,
    told: usize,
}

impl Teller {
    /// Prints what has happened since the last time.
    fn catch_up(&mut self, machine: &Machine) -> Result<()> {
        let trace = machine.kernel().recorded();
        let records = trace.records();
        let text = self.story.tell(machine.kernel(), &records[self.told..]);
        self.told = records.len();
        io::stdout().write_all(text.as_bytes())?;
        Ok(())
    }
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
