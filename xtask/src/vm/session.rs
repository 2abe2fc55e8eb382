//! What becomes of a run: decided by what the guest says and what QEMU sees of it.

use std::time::Duration;

use super::protocol::Statement;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long the guest may say nothing.
    pub silence: Duration,
    /// How long a run may take.
    pub total: Duration,
    /// How often the guest may restart.
    pub restarts: u32,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The guest said something.
    Said(Statement),
    /// The guest said something that makes no sense.
    Nonsense(String),
    /// QEMU saw the guest restart.
    Reset,
    /// QEMU saw the guest power off.
    Shutdown,
    /// QEMU saw the guest stop in a panic.
    Panicked,
    /// QEMU itself has ended.
    QemuEnded(String),
    /// So much time has passed since the guest last said something, and since the start.
    Time {
        /// Since the guest last said something.
        silent: Duration,
        /// Since the start.
        total: Duration,
    },
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Wait for more.
    Wait,
    /// The run is over: with this code, and for this reason if the guest did not come to its end.
    Over {
        /// What to exit with.
        code: u8,
        /// Why the run ended early.
        why: Option<String>,
    },
}

/// A run so far.
#[derive(Debug)]
pub struct Session {
    limits: Limits,
    begun: bool,
    /// What the guest is doing, in its words.
    stage: String,
    /// The guest has said that it restarts.
    restart_announced: bool,
    restarts: u32,
    /// The guest's code, once it has come to its end.
    end: Option<u8>,
    /// The archive that the guest says it has sent: length and hash.
    archive: Option<(u64, String)>,
    /// What went wrong, of all that the guest and QEMU said.
    failures: Vec<String>,
}

/// What a run exits with that the guest did not bring to its end.
const FAILED: u8 = 1;

impl Session {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            begun: false,
            stage: "start".to_owned(),
            restart_announced: false,
            restarts: 0,
            end: None,
            archive: None,
            failures: Vec::new(),
        }
    }

    /// What went wrong.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// The archive's length and hash, as the guest told them.
    pub fn archive(&self) -> Option<&(u64, String)> {
        self.archive.as_ref()
    }

    /// Takes in what happened.
    pub fn take(&mut self, event: Event) -> Next {
        match event {
            Event::Said(statement) => self.said(statement),
            Event::Nonsense(what) => self.over(what),
            Event::Reset => self.reset(),
            Event::Shutdown => match self.end {
                Some(_) => self.ended(),
                None => self.over(format!("the guest shut down during {:?}, before its end", self.stage)),
            },
            Event::Panicked => {
                self.failures.push(format!("the guest crashed during {:?}", self.stage));
                Next::Wait
            }
            Event::QemuEnded(how) => match self.end {
                Some(_) => self.ended(),
                None => self.over(format!("QEMU ended: {how}")),
            },
            Event::Time { silent, total } => self.time(silent, total),
        }
    }

    fn said(&mut self, statement: Statement) -> Next {
        match statement {
            Statement::Begin => self.begun = true,
            // What the guest says tells more than the restart that QEMU has seen: the two come by different ways, in no order.
            Statement::Resume => {
                if !std::mem::take(&mut self.restart_announced) {
                    self.failures.push(format!(
                        "the guest restarted by itself during {:?}: it crashed",
                        self.stage
                    ));
                }
            }
            Statement::Stage(name) => self.stage = name,
            Statement::Restart(_) => self.restart_announced = true,
            Statement::Result { failed: true, what } => self.failures.push(what),
            Statement::Result { .. } => {}
            Statement::Archive { length, sha256 } => self.archive = Some((length, sha256)),
            Statement::End(code) => self.end = Some(code),
        }
        Next::Wait
    }

    fn reset(&mut self) -> Next {
        self.restarts += 1;
        if self.restarts > self.limits.restarts {
            return self.over(format!("the guest restarted more than {} times", self.limits.restarts));
        }
        Next::Wait
    }

    fn time(&mut self, silent: Duration, total: Duration) -> Next {
        if total >= self.limits.total {
            return self.over(format!("the run took longer than {} s", self.limits.total.as_secs()));
        }
        if silent < self.limits.silence {
            return Next::Wait;
        }
        let what = match (self.end, self.begun) {
            (Some(_), _) => "the guest came to its end and does not power off".to_owned(),
            (None, true) => format!("the guest hangs in {:?}", self.stage),
            (None, false) => {
                "the guest never began: does it start the tests? docs/windows.md says how it can".to_owned()
            }
        };
        self.over(format!("{what}; it has said nothing for {} s", silent.as_secs()))
    }

    /// The guest came to its end.
    fn ended(&self) -> Next {
        let code = self.end.unwrap_or(FAILED);
        Next::Over {
            // What QEMU saw counts, whatever the guest says of itself.
            code: if self.failures.is_empty() {
                code
            } else {
                code.max(FAILED)
            },
            why: None,
        }
    }

    fn over(&mut self, why: String) -> Next {
        self.failures.push(why.clone());
        Next::Over {
            code: FAILED,
            why: Some(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        silence: Duration::from_mins(1),
        total: Duration::from_mins(10),
        restarts: 2,
    };

    fn said(statement: Statement) -> Event {
        Event::Said(statement)
    }

    /// Takes in events and returns how the run ended, and what went wrong.
    fn run(events: impl IntoIterator<Item = Event>) -> (Option<(u8, Option<String>)>, Vec<String>) {
        let mut session = Session::new(LIMITS);
        let mut over = None;
        for event in events {
            if let Next::Over { code, why } = session.take(event) {
                over = Some((code, why));
                break;
            }
        }
        (over, session.failures().to_vec())
    }

    #[test]
    fn a_run_ends_with_the_guests_code_when_it_powers_off() {
        for code in [0, 1, 3] {
            let events = [said(Statement::Begin), said(Statement::End(code)), Event::Shutdown];
            assert_eq!(run(events), (Some((code, None)), vec![]));
        }
    }

    #[test]
    fn a_restart_that_was_announced_is_no_failure() {
        let events = [
            said(Statement::Begin),
            said(Statement::Restart("prepare".to_owned())),
            Event::Reset,
            said(Statement::Resume),
            said(Statement::End(0)),
            Event::Shutdown,
        ];
        assert_eq!(run(events), (Some((0, None)), vec![]));
    }

    #[test]
    fn a_restart_that_was_not_announced_is_a_crash_even_if_the_guest_says_that_all_is_well() {
        let events = [
            said(Statement::Begin),
            said(Statement::Stage("test".to_owned())),
            said(Statement::Resume),
            Event::Reset,
            said(Statement::End(0)),
            Event::Shutdown,
        ];
        let (over, failures) = run(events);
        assert_eq!(over, Some((1, None)));
        assert_eq!(failures, ["the guest restarted by itself during \"test\": it crashed"]);
    }

    #[test]
    fn restarts_of_firmware_and_boot_loader_do_not_count_as_crashes() {
        let events = [
            Event::Reset,
            said(Statement::Begin),
            said(Statement::End(0)),
            Event::Shutdown,
        ];
        assert_eq!(run(events), (Some((0, None)), vec![]));
    }

    #[test]
    fn a_guest_that_restarts_for_ever_is_given_up() {
        let (over, failures) = run([Event::Reset, Event::Reset, Event::Reset]);
        assert_eq!(over.map(|(code, _)| code), Some(1));
        assert_eq!(failures, ["the guest restarted more than 2 times"]);
    }

    #[test]
    fn silence_is_a_hang_and_names_the_stage() {
        let silent = |seconds| Event::Time {
            silent: Duration::from_secs(seconds),
            total: Duration::from_secs(seconds),
        };
        let stage = said(Statement::Stage("test".to_owned()));
        let (over, failures) = run([said(Statement::Begin), stage, silent(59), silent(60)]);
        assert_eq!(over.map(|(code, _)| code), Some(1));
        assert_eq!(failures, ["the guest hangs in \"test\"; it has said nothing for 60 s"]);
        let (_, failures) = run([silent(60)]);
        assert!(failures[0].starts_with("the guest never began"), "{failures:?}");
        let (_, failures) = run([said(Statement::Begin), said(Statement::End(0)), silent(60)]);
        assert!(failures[0].contains("does not power off"), "{failures:?}");
    }

    #[test]
    fn a_run_has_an_end_however_much_the_guest_says() {
        let time = Event::Time {
            silent: Duration::ZERO,
            total: Duration::from_mins(10),
        };
        let (over, failures) = run([said(Statement::Begin), time]);
        assert_eq!(over.map(|(code, _)| code), Some(1));
        assert_eq!(failures, ["the run took longer than 600 s"]);
    }

    #[test]
    fn a_shutdown_or_an_end_of_qemu_before_the_end_is_a_failure() {
        for event in [Event::Shutdown, Event::QemuEnded("exit status: 1".to_owned())] {
            let (over, failures) = run([said(Statement::Begin), event]);
            assert_eq!(over.map(|(code, _)| code), Some(1));
            assert_eq!(failures.len(), 1);
        }
    }

    #[test]
    fn failures_that_the_guest_tells_of_are_collected() {
        let result = |failed, what: &str| {
            said(Statement::Result {
                failed,
                what: what.to_owned(),
            })
        };
        let events = [
            result(false, "a"),
            result(true, "b"),
            said(Statement::End(1)),
            Event::Shutdown,
        ];
        assert_eq!(run(events), (Some((1, None)), vec!["b".to_owned()]));
    }
}
