//! The command line.

use std::{ffi::OsString, path::PathBuf};

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command as ClapCommand, FromArgMatches, Parser, Subcommand, ValueEnum,
    builder::ValueParser, value_parser,
};
use ntsim::{
    bus::{Absent, InterruptMode},
    verifier::{AllowError, Level, Settings},
};

use crate::{
    action::{Action, PATIENCE_MS},
    script,
};

/// Runs Windows drivers on a simulated machine.
#[derive(Debug, Parser)]
#[command(name = "ntsim", version)]
pub(crate) struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load a driver, start a device if it has an AddDevice routine, do what is asked, and take everything down
    ///
    /// Actions (--open, --ioctl, …) are carried out in the order in which they are given. Removal and unload are always checked.
    /// The exit code is 0 when no rule was broken, 1 when an action or a request of eductl's failed, 2 when the run could not take
    /// place, 3 when the driver broke a rule.
    Run(Box<RunOptions>),
    /// List what drivers import, and which of it is modelled
    Imports(ImportOptions),
    /// List the kernel routines that are modelled: name, IRQL contract, documentation
    Ddis,
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The driver image; its PDB is expected beside it
    #[arg(value_name = "SYS", required_unless_present = "image")]
    pub(crate) driver: Option<PathBuf>,

    /// The same, as an option
    #[arg(long, value_name = "SYS", conflicts_with = "driver", hide = true)]
    pub(crate) image: Option<PathBuf>,

    /// Decides every interleaving: the same seed is the same run
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Number of processors
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub(crate) cpus: usize,

    /// The hardware of the device that the driver is given; edu if an eductl command follows, otherwise none
    #[arg(long, value_name = "WHAT", value_enum)]
    pub(crate) device: Option<Hardware>,

    /// A lower filter driver of the device; can be given several times, the lowest first
    #[arg(long, value_name = "SYS")]
    pub(crate) lower: Vec<PathBuf>,

    /// An upper filter driver of the device; can be given several times, the lowest first
    #[arg(long, value_name = "SYS")]
    pub(crate) upper: Vec<PathBuf>,

    /// The driver of devices that the driver reports, as a bus driver does: those with this hardware ID
    #[arg(long, value_name = "ID=SYS", value_parser = child)]
    pub(crate) child: Vec<(String, PathBuf)>,

    /// How the device interrupts
    #[arg(long, value_name = "HOW", value_enum, default_value_t)]
    pub(crate) interrupts: Interrupts,

    /// What device memory reads as where no device answers
    #[arg(long, value_name = "WHAT", value_enum, default_value_t)]
    pub(crate) absent: AbsentReads,

    /// What is checked: what `verifier /standard` switches on, everything, or what Windows stops for by itself
    #[arg(long, value_name = "LEVEL", default_value_t)]
    pub(crate) verifier: Level,

    /// Let violations of this rule pass; can be given several times
    #[arg(long, value_name = "RULE")]
    pub(crate) allow: Vec<String>,

    /// Have this call fail of those that can fail for lack of resources, counted from 0
    #[arg(long, value_name = "N")]
    pub(crate) fail_call: Option<u64>,

    /// Have each of these calls fail in turn, every one in a run of its own
    #[arg(long, conflicts_with = "fail_call")]
    pub(crate) fail_each: bool,

    /// Print every event, not the story only
    #[arg(long)]
    pub(crate) trace: bool,

    #[command(flatten)]
    pub(crate) actions: Actions,

    /// How long a request may take before the next action, in milliseconds of virtual time
    #[arg(long, value_name = "MS", default_value_t = PATIENCE_MS)]
    pub(crate) patience: u64,

    /// The command that repeats the run, when another program has started this one
    #[arg(long, value_name = "COMMAND", hide = true)]
    pub(crate) replay: Option<String>,

    /// A command of eductl's, for example `factorial 5 10 20`
    #[arg(last = true, value_name = "EDUCTL", conflicts_with_all = Actions::IDS)]
    pub(crate) eductl: Vec<OsString>,
}

impl RunOptions {
    /// Where the driver image is.
    pub(crate) fn image(&self) -> &PathBuf {
        let named = self.driver.as_ref().or(self.image.as_ref());
        named.expect("clap asks for one of the two")
    }

    /// What hardware the driver is given.
    pub(crate) fn hardware(&self) -> Hardware {
        let usual = if self.eductl.is_empty() {
            Hardware::None
        } else {
            Hardware::Edu
        };
        self.device.unwrap_or(usual)
    }

    /// Which rules are on.
    pub(crate) fn verifier(&self) -> Result<Settings, AllowError> {
        let level = Settings::of(self.verifier);
        self.allow.iter().try_fold(level, |settings, rule| settings.allow(rule))
    }

    /// The command that repeats a run in which `failing_call` failed.
    pub(crate) fn replay(&self, failing_call: Option<u64>) -> String {
        self.replay.clone().unwrap_or_else(|| {
            let words: Vec<String> = std::env::args()
                .filter_map(|word| one_call(word, failing_call))
                .collect();
            shlex::try_join(words.iter().map(String::as_str)).unwrap_or_else(|_| words.join(" "))
        })
    }
}

/// A hardware ID and the driver of devices that have it.
fn child(text: &str) -> Result<(String, PathBuf), String> {
    let (id, driver) = text.rsplit_once('=').ok_or("it is not ID=SYS")?;
    Ok((id.to_owned(), driver.into()))
}

/// A word of the command line, with the one call that failed instead of all that can.
fn one_call(word: String, failing_call: Option<u64>) -> Option<String> {
    if word == "--fail-each" {
        return failing_call.map(|call| format!("--fail-call={call}"));
    }
    Some(word)
}

#[derive(Debug, Args)]
pub(crate) struct ImportOptions {
    /// Driver images
    #[arg(value_name = "SYS", required_unless_present = "list")]
    pub(crate) drivers: Vec<PathBuf>,

    /// A file with the names that a driver imports on each line, instead of images
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Option<PathBuf>,
}

/// What a driver is given to drive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Hardware {
    /// A root-enumerated device without resources
    None,
    /// The model of QEMU's edu device on the PCI bus
    Edu,
    /// QEMU's own edu device, in a QEMU process
    Qemu,
}

/// How a device interrupts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Interrupts {
    /// By a line (`INTx`)
    #[default]
    Line,
    /// By a message (MSI)
    Message,
}

impl From<Interrupts> for InterruptMode {
    fn from(interrupts: Interrupts) -> Self {
        match interrupts {
            Interrupts::Line => Self::Line,
            Interrupts::Message => Self::Message,
        }
    }
}

/// What device memory reads as where no device answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum AbsentReads {
    /// All ones, as on PCI hardware
    #[default]
    Ones,
    /// All zeroes, as in QEMU
    Zeroes,
    /// Something else each time
    Garbage,
}

impl From<AbsentReads> for Absent {
    fn from(reads: AbsentReads) -> Self {
        match reads {
            AbsentReads::Ones => Self::Ones,
            AbsentReads::Zeroes => Self::Zeroes,
            AbsentReads::Garbage => Self::Garbage,
        }
    }
}

/// The actions, in the order in which they are given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Actions(pub(crate) Vec<Action>);

/// An option that is an action with an argument: its name, what its argument is called, what it does, and how its argument is read.
type WithArgument = (
    &'static str,
    &'static str,
    &'static str,
    fn(&str) -> Result<Action, crate::action::ActionError>,
);

const WITH_ARGUMENT: [WithArgument; 5] = [
    (
        "open",
        "NAME|interface[:N]",
        "Open a device by its name, or by its interface",
        Action::open,
    ),
    (
        "ioctl",
        "CODE:HEX:LEN",
        "DeviceIoControl: control code, input in hexadecimal digits, length of the output",
        Action::ioctl,
    ),
    ("read", "LEN[@OFFSET]", "ReadFile", Action::read),
    ("write", "HEX[@OFFSET]", "WriteFile", Action::write),
    (
        "sleep",
        "MS|S1..S4",
        "Let milliseconds of virtual time pass, or send the system to sleep and wake it",
        Action::sleep,
    ),
];

/// An option that is an action without an argument: its name, what it does, the action.
const ALONE: [(&str, &str, Action); 4] = [
    (
        "cancel",
        "CancelIoEx for everything that the open device has under way",
        Action::Cancel,
    ),
    ("close", "CloseHandle", Action::Close),
    (
        "stop",
        "Stop the device and start it again, as to rebalance resources",
        Action::Stop,
    ),
    ("surprise", "Pull the device out", Action::Surprise),
];

/// The option that names a script.
const SCRIPT: &str = "script";

impl Actions {
    /// The options that give actions.
    const IDS: [&'static str; 10] = [
        "open", "ioctl", "read", "write", "sleep", "cancel", "close", "stop", "surprise", SCRIPT,
    ];
}

impl Args for Actions {
    fn augment_args(command: ClapCommand) -> ClapCommand {
        const HEADING: &str = "Actions";
        let option =
            |name: &'static str, help: &'static str| Arg::new(name).long(name).help(help).help_heading(HEADING);
        let command = WITH_ARGUMENT
            .into_iter()
            .fold(command, |command, (name, value, help, parse)| {
                let parser = ValueParser::from(move |text: &str| parse(text));
                let argument = option(name, help).value_name(value).value_parser(parser);
                command.arg(argument.action(ArgAction::Append).allow_hyphen_values(false))
            });
        let command = ALONE.into_iter().fold(command, |command, (name, help, _)| {
            let argument = option(name, help).num_args(0).action(ArgAction::Append);
            command.arg(argument.default_missing_value("").value_parser(value_parser!(String)))
        });
        let help = "The actions of a file: one a line, written as above without the dashes";
        let file = option(SCRIPT, help).value_name("FILE");
        command.arg(file.value_parser(ValueParser::from(|path: &str| script::read(path.as_ref()).map(Actions))))
    }

    fn augment_args_for_update(command: ClapCommand) -> ClapCommand {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Actions {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut found: Vec<(usize, Vec<Action>)> = Vec::new();
        for (name, ..) in WITH_ARGUMENT {
            let indices = matches.indices_of(name).into_iter().flatten();
            let actions = matches.get_many::<Action>(name).into_iter().flatten();
            found.extend(indices.zip(actions.map(|action| vec![action.clone()])));
        }
        for (name, _, action) in ALONE {
            let indices = matches.indices_of(name).into_iter().flatten();
            found.extend(indices.map(|index| (index, vec![action.clone()])));
        }
        let script = matches.indices_of(SCRIPT).into_iter().flatten();
        let actions = matches.get_many::<Self>(SCRIPT).into_iter().flatten();
        found.extend(script.zip(actions.map(|actions| actions.0.clone())));
        found.sort_by_key(|&(index, _)| index);
        Ok(Self(found.into_iter().flat_map(|(_, actions)| actions).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::action::Target;

    fn options(words: &[&str]) -> RunOptions {
        let words = ["ntsim", "run", "a.sys"].iter().chain(words);
        match Arguments::try_parse_from(words).unwrap().command {
            Command::Run(options) => *options,
            _ => unreachable!("run was asked for"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn actions_keep_their_order() {
        let options = options(&[
            "--open",
            "interface",
            "--read",
            "4",
            "--cancel",
            "--read",
            "8",
            "--close",
        ]);
        let read = |length| Action::Read { length, offset: 0 };
        assert_eq!(
            options.actions.0,
            [
                Action::Open(Target::Interface(0)),
                read(4),
                Action::Cancel,
                read(8),
                Action::Close
            ]
        );
    }

    #[test]
    fn a_driver_without_eductl_gets_no_hardware_unless_asked_for() {
        assert_eq!(options(&[]).hardware(), Hardware::None);
        assert_eq!(options(&["--device", "edu"]).hardware(), Hardware::Edu);
        assert_eq!(options(&["--", "info"]).hardware(), Hardware::Edu);
    }

    #[test]
    fn a_wrong_action_is_refused_before_the_run() {
        let error = Arguments::try_parse_from(["ntsim", "run", "a.sys", "--ioctl", "x"]).unwrap_err();
        assert!(error.to_string().contains("CODE:HEX:LEN"), "{error}");
    }
}
