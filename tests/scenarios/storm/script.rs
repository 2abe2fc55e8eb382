//! What happens in a storm: several threads, each with decisions of its own.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use edu::ioctl::{Liveness, LivenessInput, Request as _};
use ntsim::{
    Kernel, NtStatus, Outcome,
    bus::Device,
    devices::EduFaults,
    io::pnp,
    kernel::stream::SCRIPT,
    po::{self, SystemState},
    sched::{Random, ThreadId, ThreadSpec},
};
use scenarios::{
    boot::Pc,
    program::Program,
    windows::{Window, Windows},
};
use zerocopy::IntoBytes;

use super::{
    request::Ask,
    site::Site,
    weather::{Ending, Manner, Weather},
};

/// A millisecond and a second, in nanoseconds.
const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Longer than the watchdogs wait in all: by default four times two seconds.
const PATIENCE: u64 = 10 * SECOND;

/// A storm.
pub struct Storm {
    k: Kernel,
    dice: RefCell<Random>,
    weather: Weather,
    sites: Vec<Site>,
    /// The devices are wanted, and may interrupt: nobody is stopping them, or sending them to sleep.
    calm: Cell<bool>,
}

impl Storm {
    /// Plays it on devices that have just been started.
    pub async fn play(pcs: Vec<Pc>, weather: Weather) -> Outcome<()> {
        let k = pcs[0].k.clone();
        let dice = RefCell::new(Random::new(k.config().seed, SCRIPT));
        if weather.neighbour {
            pcs[0].connect_neighbour()?;
        }
        let mut sites = Vec::new();
        for pc in pcs {
            sites.push(Site::open(pc, weather).await?);
        }
        let allocations = sites[0].pc.allocations();
        let storm = Rc::new(Self {
            k,
            dice,
            weather,
            sites,
            calm: Cell::new(true),
        });
        for thread in storm.clone().threads() {
            storm.k.join(thread).await?;
        }
        storm.calm_down().await?;
        let after = storm.sites[0].pc.allocations();
        assert_eq!(after, allocations, "the driver allocates for a request");
        Ok(())
    }

    fn dice<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.dice.borrow_mut())
    }

    fn spawn<F>(self: &Rc<Self>, name: impl Into<String>, body: impl FnOnce(Rc<Self>) -> F) -> ThreadId
    where
        F: Future<Output = Outcome<()>> + 'static,
    {
        let body = body(self.clone());
        self.k.spawn(ThreadSpec::user(name.into()), move |_| body)
    }

    fn threads(self: Rc<Self>) -> Vec<ThreadId> {
        let mut threads = Vec::new();
        for site in 0..self.sites.len() {
            for seat in 0..self.sites[site].seats.len() {
                let program = async move |storm: Rc<Self>| storm.use_device(site, seat).await;
                threads.push(self.spawn(format!("program {seat} of {site}"), program));
            }
            threads.push(self.spawn(format!("cancel, {site}"), async move |storm| {
                storm.cancel_some(site).await
            }));
            threads.push(self.spawn(format!("mischief, {site}"), async move |storm| {
                storm.misbehave(site).await
            }));
        }
        if let [_] = &self.sites[..] {
            threads.push(self.spawn("cancel, well aimed", async |storm| storm.cancel_in_window().await));
        }
        threads.push(self.spawn("PnP and power", async |storm| storm.pnp_and_power().await));
        threads
    }

    /// A while that is sometimes nothing, sometimes longer than a factorial takes, and sometimes longer than a piece of a transfer.
    async fn a_while(&self) -> Outcome<()> {
        let (steps, nanoseconds) = self.dice(|dice| {
            let nanoseconds = match dice.below(4) {
                0 => 0,
                1 | 2 => dice.below(40_000),
                _ => dice.below(300 * MS),
            };
            (dice.below(100), nanoseconds)
        });
        for _ in 0..steps {
            self.k.yield_now().await?;
        }
        if nanoseconds != 0 {
            self.k.delay(nanoseconds).await?;
        }
        Ok(())
    }

    async fn use_device(&self, site: usize, seat: usize) -> Outcome<()> {
        let site = &self.sites[site];
        for _ in 0..self.dice(|dice| dice.between(1, 3)) {
            for _ in 0..self.dice(|dice| dice.between(1, 4)) {
                site.send(seat, self.dice(Ask::draw)).await?;
            }
            self.a_while().await?;
        }
        if self.dice(|dice| dice.chance(40)) {
            site.close(seat).await?;
        }
        Ok(())
    }

    async fn cancel_some(&self, site: usize) -> Outcome<()> {
        let site = &self.sites[site];
        for _ in 0..self.dice(|dice| dice.below(5)) {
            self.a_while().await?;
            let sent = site.sent();
            site.cancel(&sent[self.dice(|dice| dice.index(sent.len()))]).await?;
        }
        Ok(())
    }

    /// Cancels a few requests when they get into a window that is not hit by chance often enough. A cancel takes its time to get there, so
    /// half of them set off a window early.
    async fn cancel_in_window(&self) -> Outcome<()> {
        /// How long it looks away: some twenty instructions of the driver.
        const POLL: u64 = 20;
        /// How often it looks.
        const LOOKS: usize = 2_000;
        let choices = [
            Window::Queued,
            Window::InterruptToDpc,
            Window::Completing,
            Window::BetweenPieces,
        ];
        let (window, early) = self.dice(|dice| (choices[dice.index(choices.len())], dice.chance(50)));
        let trigger = match window {
            Window::Completing | Window::BetweenPieces if early => Window::InterruptToDpc,
            other => other,
        };
        let site = &self.sites[0];
        let (mut windows, mut read) = (Windows::default(), 0);
        let mut hits = 0;
        for _ in 0..LOOKS {
            {
                let trace = self.k.recorded();
                for record in &trace.records()[read..] {
                    windows.read(&record.event);
                }
                read = trace.records().len();
            }
            let sent = site.sent();
            let hit = sent.iter().find(|sent| {
                let irp = sent.request.irp().filter(|_| sent.request.result().is_none());
                let there = irp.and_then(|irp| windows.window(irp)) == Some(trigger);
                there && !sent.cancelled.get() && site.seats[sent.seat].open.get()
            });
            if let Some(sent) = hit {
                site.cancel(sent).await?;
                hits += 1;
                if hits == 3 {
                    break;
                }
            }
            let next = site.pc.with_device(|device| device.next_event());
            let idle = next.map_or(0, |next| next.saturating_sub(self.k.now()));
            // Nothing of a piece is to be seen before the device has finished it.
            let pause = if idle > MS && self.dice(|dice| dice.chance(20)) {
                idle
            } else {
                POLL
            };
            self.k.delay(pause).await?;
        }
        Ok(())
    }

    /// Interrupts that nobody has asked for, and what the device's [`Manner`] is.
    async fn misbehave(&self, site: usize) -> Outcome<()> {
        let site = &self.sites[site];
        for _ in 0..self.dice(|dice| dice.below(6)) {
            let seconds = self.dice(|dice| dice.below(5 * SECOND));
            let lost = self.dice(|dice| if dice.chance(60) { dice.between(1, 2) } else { 10 });
            let lost = u32::try_from(lost).expect("a few");
            let which = self.dice(|dice| dice.below(3));
            site.pc.with_device(|device| {
                let faults = device.faults_mut();
                match (self.weather.manner, which) {
                    (Manner::Good, _) => {}
                    (Manner::Slow, 0) => faults.extra_latency = seconds,
                    (Manner::Slow, _) => faults.extra_dma_latency = seconds,
                    (Manner::Lossy, 0) => faults.lose_factorial_interrupts = lost,
                    (Manner::Lossy, 1) => faults.lose_dma_interrupts = lost,
                    (Manner::Lossy, _) => faults.lose_raised_interrupts = lost,
                    (Manner::Late, _) => faults.interrupt_delay = seconds / 4,
                }
            });
            self.a_while().await?;
            let bits = self.dice(|dice| [0x1, 0x100, 0x101, 0x2, 0x3E][dice.index(5)]);
            if self.calm.get() && site.works() {
                site.pc.with_device(|device| device.raise(bits));
            }
            if self.weather.neighbour {
                site.pc.raise_neighbour();
            }
            self.a_while().await?;
        }
        Ok(())
    }

    /// The managers take turns; then the first device ends as it is to.
    async fn pnp_and_power(&self) -> Outcome<()> {
        for _ in 0..self.weather.actions {
            self.a_while().await?;
            let site = &self.sites[self.dice(|dice| dice.index(self.sites.len()))];
            self.calm.set(false);
            self.act(site).await?;
            self.all_work().await?;
            self.calm.set(true);
        }
        self.a_while().await?;
        self.a_while().await?;
        let site = &self.sites[0];
        match self.weather.ending {
            Ending::Orderly => {}
            Ending::PulledOut => {
                site.gone.set(true);
                pnp::surprise_remove(&self.k, site.pc.pdo).await?;
                site.removed.set(true);
            }
            Ending::TakenForGone => {
                site.gone.set(true);
                pnp::surprise_remove_present(&self.k, site.pc.pdo).await?;
                site.removed.set(true);
            }
            Ending::Dead => {
                site.gone.set(true);
                site.pc.with_device(|device| {
                    Device::reset(device);
                    device.faults_mut().dead = true;
                });
                if self.dice(|dice| dice.chance(30)) {
                    self.a_while().await?;
                    self.sleep_and_wake().await?;
                }
            }
        }
        Ok(())
    }

    async fn act(&self, site: &Site) -> Outcome<()> {
        let (k, pdo) = (&self.k, site.pc.pdo);
        match self.dice(|dice| dice.below(6)) {
            action @ (0 | 1) => {
                let mut other = k.bus().borrow().other_resources(site.pc.slot);
                let processor = self.dice(|dice| dice.index(k.config().processors));
                other.affinity = Some(1 << processor);
                let status = if action == 0 {
                    pnp::rebalance(k, pdo, other).await?
                } else {
                    pnp::start_started_device(k, pdo, other).await?
                };
                assert_eq!(status, NtStatus::SUCCESS);
            }
            2 => {
                assert_eq!(pnp::query_stop_device(k, pdo).await?, NtStatus::SUCCESS);
                self.a_while().await?;
                pnp::cancel_stop_device(k, pdo).await?;
            }
            3 => {
                assert_eq!(pnp::query_stop_device(k, pdo).await?, NtStatus::SUCCESS);
                self.a_while().await?;
                pnp::stop_device(k, pdo).await?;
                self.a_while().await?;
                site.pc.start().await?;
            }
            4 => {
                assert_eq!(pnp::query_remove_device(k, pdo).await?, NtStatus::SUCCESS);
                self.a_while().await?;
                pnp::cancel_remove_device(k, pdo).await?;
            }
            _ => self.sleep_and_wake().await?,
        }
        Ok(())
    }

    async fn sleep_and_wake(&self) -> Outcome<()> {
        let states = [
            SystemState::S1,
            SystemState::S2,
            SystemState::S3,
            SystemState::Hibernate,
        ];
        let state = states[self.dice(|dice| dice.index(states.len()))];
        if self.dice(|dice| dice.chance(80)) {
            assert!(po::sleep(&self.k, state).await?.is_ok(), "nobody refuses");
        } else {
            po::sleep_at_once(&self.k, state).await?;
        }
        self.a_while().await?;
        po::wake(&self.k).await
    }

    /// Waits until every device works again.
    async fn all_work(&self) -> Outcome<()> {
        for site in &self.sites {
            assert_eq!(liveness(&site.observer).await?, NtStatus::SUCCESS);
        }
        Ok(())
    }

    /// Everything ends, and is as it must be.
    async fn calm_down(&self) -> Outcome<()> {
        for site in &self.sites {
            self.k.delay(MS).await?;
            if site.gone.get() {
                notice(site).await?;
            } else {
                if self.weather.manner == Manner::Lossy {
                    // Long enough for a watchdog to give up what has lost every interrupt.
                    self.k.delay(PATIENCE).await?;
                }
                site.pc
                    .with_device(|device| *device.faults_mut() = EduFaults::default());
                end_waits(site).await?;
            }
            site.check_all().await?;
            if !site.gone.get() {
                site.check_statistics().await?;
                assert_eq!(site.observer.factorial(7).await?.wait().await?, NtStatus::SUCCESS);
            }
            for seat in 0..site.seats.len() {
                site.close(seat).await?;
            }
            site.observer.clone().close().await?;
        }
        Ok(())
    }
}

/// Has a request find out that the device does not answer any more, and waits until the system has removed it.
async fn notice(site: &Site) -> Outcome<()> {
    let status = site.observer.factorial(3).await?.wait().await?;
    assert_eq!(status, NtStatus::DEVICE_REMOVED);
    // The PnP manager asks in a thread of its own.
    while !site.pc.interfaces().is_empty() {
        site.pc.k.delay(MS).await?;
    }
    assert_eq!(liveness(&site.observer).await?, NtStatus::DEVICE_REMOVED);
    Ok(())
}

/// A wait whose interrupt has come and gone is for its program to cancel.
async fn end_waits(site: &Site) -> Outcome<()> {
    for sent in site.sent() {
        if matches!(sent.ask, Ask::Wait { .. }) && sent.request.result().is_none() {
            site.cancel(&sent).await?;
        }
    }
    Ok(())
}

async fn liveness(program: &Program) -> Outcome<NtStatus> {
    let input = LivenessInput { value: 0x5AA5_1234 };
    Ok(program.call(Liveness::CODE.raw(), input.as_bytes(), 4).await?.status)
}
