//! Carries out actions: a program's, and the system's.

use std::{cell::Cell, rc::Rc};

use ntsim::{
    Kernel, Outcome,
    io::pnp,
    mm::Va,
    po,
    sched::ThreadSpec,
    trace::Event,
    user::{self, FILE_READ_DATA, FILE_WRITE_DATA, Handle, Position, Request},
};

use crate::action::{Action, Target};

/// Nanoseconds in a millisecond.
const MILLISECOND: u64 = 1_000_000;
/// How often a request is looked at while it is waited for, in nanoseconds of virtual time.
const LOOK: u64 = MILLISECOND / 10;
/// How many bytes of an answer are shown.
const SHOWN_BYTES: usize = 256;

/// Runs actions one after another.
pub(crate) struct Performer {
    /// The machine.
    pub(crate) k: Kernel,
    /// The device that PnP actions act on, by its physical device object; none when the driver has no PnP device.
    pub(crate) pdo: Option<Va>,
    /// How long a request may take before the next action, in milliseconds.
    pub(crate) patience: u64,
    /// Set when an action could not be carried out.
    pub(crate) failed: Rc<Cell<bool>>,
}

/// An open device and what is under way on it.
struct Opened {
    handle: Handle,
    under_way: Vec<(String, Request)>,
}

impl Performer {
    /// Carries out `actions`, then closes what is open.
    ///
    /// # Errors
    /// When the driver breaks a rule.
    pub(crate) async fn perform(self, actions: Vec<Action>) -> Outcome<()> {
        let mut open: Vec<Opened> = Vec::new();
        for action in actions {
            self.carry_out(&action, &mut open).await?;
            for opened in &mut open {
                self.report_ended(opened);
            }
        }
        while let Some(opened) = open.pop() {
            self.end(opened).await?;
        }
        Ok(())
    }

    async fn carry_out(&self, action: &Action, open: &mut Vec<Opened>) -> Outcome<()> {
        match action {
            Action::Open(target) => self.open(action, target, open).await,
            Action::Pause(milliseconds) => {
                self.say(&action.to_string());
                self.k.delay(milliseconds * MILLISECOND).await
            }
            Action::Sleep(state) => {
                self.say(&action.to_string());
                let state = *state;
                let failed = self.failed.clone();
                self.by_the_system("power manager", async move |k: Kernel| {
                    if po::sleep(&k, state).await?.is_ok() {
                        return po::wake(&k).await;
                    }
                    failed.set(true);
                    Ok(())
                })
                .await
            }
            Action::Stop => self.stop(action).await,
            Action::Surprise => self.surprise(action).await,
            Action::Ioctl { .. } | Action::Read { .. } | Action::Write { .. } | Action::Cancel | Action::Close => {
                self.on_open_device(action, open).await
            }
        }
    }

    async fn open(&self, action: &Action, target: &Target, open: &mut Vec<Opened>) -> Outcome<()> {
        let name = match target {
            Target::Name(name) => Some(name.clone()),
            Target::Interface(index) => user::enabled_interfaces(&self.k).into_iter().nth(*index),
        };
        let Some(name) = name else {
            self.fail(action, "the driver has enabled no such device interface");
            return Ok(());
        };
        match Handle::open(&self.k, &name, FILE_READ_DATA | FILE_WRITE_DATA).await? {
            Ok(handle) => {
                self.say(&format!("{action}: opened {name}"));
                open.push(Opened {
                    handle,
                    under_way: Vec::new(),
                });
            }
            Err(status) => self.fail(action, &format!("{status} ({name})")),
        }
        Ok(())
    }

    async fn on_open_device(&self, action: &Action, open: &mut Vec<Opened>) -> Outcome<()> {
        let Some(opened) = open.last_mut() else {
            self.fail(action, "no device is open");
            return Ok(());
        };
        let request = match action {
            Action::Ioctl {
                code,
                input,
                output_length,
            } => {
                opened
                    .handle
                    .device_io_control(&self.k, *code, input, *output_length)
                    .await?
            }
            Action::Read { length, offset } => opened.handle.read_file(&self.k, *length, position(*offset)).await?,
            Action::Write { data, offset } => opened.handle.write_file(&self.k, data, position(*offset)).await?,
            Action::Cancel => {
                let status = opened.handle.cancel_io(&self.k, None).await?;
                self.say(&format!("{action}: {status}"));
                return self.settle(opened).await;
            }
            _ => {
                let opened = open.pop().expect("a device is open");
                self.say(&action.to_string());
                return self.end(opened).await;
            }
        };
        opened.under_way.push((action.to_string(), request));
        self.settle(opened).await
    }

    /// Waits for what is under way, as long as the user has patience.
    async fn settle(&self, opened: &mut Opened) -> Outcome<()> {
        let deadline = self.k.now() + self.patience * MILLISECOND;
        while opened.under_way.iter().any(|(_, request)| request.result().is_none()) && self.k.now() < deadline {
            self.k.delay(LOOK).await?;
        }
        self.report_ended(opened);
        for (action, _) in &opened.under_way {
            self.say(&format!("{action}: under way still, after {} ms", self.patience));
        }
        Ok(())
    }

    /// Says how the requests ended that have.
    fn report_ended(&self, opened: &mut Opened) {
        opened.under_way.retain(|(action, request)| {
            let Some(ended) = request.result() else {
                return true;
            };
            let shown = &ended.output[..ended.output.len().min(SHOWN_BYTES)];
            let more = if shown.len() < ended.output.len() { "…" } else { "" };
            let output = if shown.is_empty() {
                String::new()
            } else {
                format!(": {}{more}", hex::encode(shown))
            };
            let (status, information) = (ended.status, ended.information);
            self.say(&format!("{action}: {status}, information {information}{output}"));
            false
        });
    }

    /// What the end of a program does: cancels its requests, then closes the handle.
    async fn end(&self, mut opened: Opened) -> Outcome<()> {
        if !opened.under_way.is_empty() {
            opened.handle.cancel_io(&self.k, None).await?;
            self.settle(&mut opened).await?;
        }
        opened.handle.close(&self.k).await
    }

    async fn stop(&self, action: &Action) -> Outcome<()> {
        let Some(pdo) = self.pdo else {
            self.fail(action, "the driver has no PnP device");
            return Ok(());
        };
        self.say(&action.to_string());
        let failed = self.failed.clone();
        self.by_the_system("PnP manager", async move |k: Kernel| {
            let agreed = pnp::query_stop_device(&k, pdo).await?;
            if !agreed.is_success() {
                k.trace(Event::Note(format!("the driver refuses to stop: {agreed}")));
                return pnp::cancel_stop_device(&k, pdo).await;
            }
            pnp::stop_device(&k, pdo).await?;
            let started = pnp::start_device(&k, pdo).await?;
            if !started.is_success() {
                k.trace(Event::Note(format!("the device does not start again: {started}")));
                failed.set(true);
            }
            Ok(())
        })
        .await
    }

    async fn surprise(&self, action: &Action) -> Outcome<()> {
        let Some(pdo) = self.pdo else {
            self.fail(action, "the driver has no PnP device");
            return Ok(());
        };
        self.say(&action.to_string());
        self.by_the_system("PnP manager", async move |k: Kernel| {
            pnp::surprise_remove(&k, pdo).await
        })
        .await
    }

    /// Does something in a system thread, as its manager does.
    async fn by_the_system<F>(&self, who: &str, work: impl FnOnce(Kernel) -> F) -> Outcome<()>
    where
        F: Future<Output = Outcome<()>> + 'static,
    {
        let thread = self.k.spawn(ThreadSpec::system(who), work);
        self.k.join(thread).await
    }

    fn say(&self, text: &str) {
        self.k.trace(Event::Note(text.to_owned()));
    }

    fn fail(&self, action: &Action, why: &str) {
        self.failed.set(true);
        self.say(&format!("{action}: {why}"));
    }
}

/// `OVERLAPPED::Offset` and `OffsetHigh`, as Win32 passes them on.
const fn position(offset: u64) -> Position {
    Position {
        offset: offset.cast_signed(),
        key: 0,
    }
}
