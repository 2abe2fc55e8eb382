//! What a request costs when there are many: queued requests, processors, devices.

use std::rc::Rc;

use anyhow::Result;
use ntsim::{Outcome, machine::DriverImage, sched::ThreadSpec};
use scenarios::program::Program;

use crate::{
    cost::Window,
    requests::{CAUSE, Kind, arrive, succeed},
    rig::{Rig, measure},
};

/// The kinds that are queued and wait for the device.
const KINDS: [Kind; 3] = [Kind::Factorial, Kind::Raise, Kind::Write];

/// How many requests are queued at once.
const QUEUED: [usize; 4] = [1, 10, 100, 1000];
/// How many processors the machine has, each with a program that sends requests.
const PROCESSORS: [usize; 4] = [1, 2, 4, 8];
/// How many devices the machine has, each with [`PROGRAMS`] programs.
const DEVICES: [usize; 4] = [1, 2, 3, 4];

/// How many requests a program sends, one after the other.
const REQUESTS: usize = 16;
/// How many programs use a device, where there are several devices.
const PROGRAMS: usize = 2;

/// Many requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// So many requests of a kind are sent, and then waited for.
    Queued(Kind, usize),
    /// So many waits for an interrupt are sent, which one raise ends.
    Waits(usize),
    /// As many programs as processors send requests to one device.
    Processors(Kind, usize),
    /// Programs send requests to so many devices.
    Devices(Kind, usize),
}

impl Load {
    /// All of them, in the order of the table.
    pub fn all() -> Vec<Self> {
        let of_each = |counts: [usize; 4], load: fn(Kind, usize) -> Self| {
            let pairs = KINDS
                .into_iter()
                .flat_map(move |kind| counts.map(|count| (kind, count)));
            pairs.map(move |(kind, count)| load(kind, count))
        };
        let mut loads: Vec<Self> = of_each(QUEUED, Self::Queued).collect();
        loads.extend(QUEUED.map(Self::Waits));
        loads.extend(of_each(PROCESSORS, Self::Processors));
        loads.extend(of_each(DEVICES, Self::Devices));
        loads
    }

    /// What the row is called.
    pub fn name(self) -> String {
        match self {
            Self::Queued(kind, count) => format!("{}, {count} queued", kind.name()),
            Self::Waits(count) => format!("WAIT, {count} ended at once"),
            Self::Processors(kind, count) => format!("{}, processors: {count}", kind.name()),
            Self::Devices(kind, count) => format!("{}, devices: {count}", kind.name()),
        }
    }

    /// How many requests there are.
    pub const fn requests(self) -> usize {
        match self {
            Self::Queued(_, count) | Self::Waits(count) => count,
            Self::Processors(_, count) => count * REQUESTS,
            Self::Devices(_, count) => count * PROGRAMS * REQUESTS,
        }
    }

    const fn rig(self) -> Rig {
        match self {
            Self::Queued(..) | Self::Waits(_) => Rig::ONE,
            Self::Processors(_, processors) => Rig { processors, devices: 1 },
            Self::Devices(_, devices) => Rig { processors: 4, devices },
        }
    }

    /// What the driver in `image` does for all of the requests.
    ///
    /// # Errors
    /// When it breaks a rule.
    pub fn measure(self, image: &Rc<DriverImage>) -> Result<Window> {
        self.rig().run(image, async move |programs: Vec<Program>| match self {
            Self::Queued(kind, count) => queued(&programs[0], kind, count).await,
            Self::Waits(count) => waits(&programs[0], count).await,
            Self::Processors(kind, count) => traffic(&programs, kind, count).await,
            Self::Devices(kind, _) => traffic(&programs, kind, PROGRAMS).await,
        })
    }
}

async fn queued(program: &Program, kind: Kind, count: usize) -> Outcome<Window> {
    kind.carry_out(program).await?;
    let (window, ()) = measure(program, async {
        let mut requests = Vec::new();
        for _ in 0..count {
            requests.extend(kind.send(program).await?);
        }
        succeed(program, &requests).await
    })
    .await?;
    Ok(window)
}

async fn waits(program: &Program, count: usize) -> Outcome<Window> {
    Kind::RaiseAndWait.carry_out(program).await?;
    let (window, ()) = measure(program, async {
        let mut waits = Vec::new();
        for _ in 0..count {
            waits.push(program.wait_interrupt(CAUSE).await?);
        }
        Kind::Raise.carry_out(program).await?;
        arrive(program, &waits).await
    })
    .await?;
    Ok(window)
}

/// Every device has `each` programs at once, which send [`REQUESTS`] requests one after the other.
async fn traffic(programs: &[Program], kind: Kind, each: usize) -> Outcome<Window> {
    for program in programs {
        kind.carry_out(program).await?;
    }
    let first = &programs[0];
    let (window, ()) = measure(first, async {
        let mut threads = Vec::new();
        for (index, program) in programs.iter().flat_map(|program| vec![program; each]).enumerate() {
            let program = program.clone();
            let name = format!("program {index}");
            threads.push(program.pc.k.clone().spawn(ThreadSpec::user(name), async move |_| {
                for _ in 0..REQUESTS {
                    kind.carry_out(&program).await?;
                }
                Ok(())
            }));
        }
        for thread in threads {
            first.pc.k.join(thread).await?;
        }
        Ok(())
    })
    .await?;
    Ok(window)
}
