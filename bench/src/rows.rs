//! The rows of the table: what a request costs when the driver has nothing else to do, and what waits cost each other.

use std::rc::Rc;

use anyhow::{Context, Result};
use edu::registers::{self, FACTORIAL};
use ntsim::{Outcome, machine::DriverImage, mm::Pa, trace::Event};
use scenarios::program::Program;

use crate::{
    cost::Window,
    requests::{CAUSE, Kind, OTHER_CAUSE, arrive, succeed},
    rig::{Rig, measure},
};

/// How many requests of a kind come before the one that is measured: the first finds everything for the first time.
const WARM_UP: usize = 2;

/// How many factorials are queued when the time between two is measured.
const QUEUED: usize = 4;

/// How many waits stand in the way of one request.
const PENDING: usize = 1000;

/// How many waits end at once, and how many others are queued before them.
const ENDING: usize = 300;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// One request.
    One(Kind),
    /// From the read of a factorial's result to the start of the next one.
    EngineIdle,
    /// One raise, while waits for another cause are pending.
    RaisePastWaits,
    /// Waits that end, queued behind waits that do not.
    WaitsBehindWaits,
}

impl Row {
    /// All of them, in the order of the table.
    pub fn all() -> Vec<Self> {
        let mut rows: Vec<Self> = Kind::ALL.into_iter().map(Self::One).collect();
        rows.extend([Self::EngineIdle, Self::RaisePastWaits, Self::WaitsBehindWaits]);
        rows
    }

    /// What the row is called.
    pub fn name(self) -> String {
        match self {
            Self::One(kind) => kind.name().to_owned(),
            Self::EngineIdle => "engine idle, result to next start".to_owned(),
            Self::RaisePastWaits => format!("RAISE, {PENDING} waits pending"),
            Self::WaitsBehindWaits => format!("{ENDING} waits end behind {ENDING}"),
        }
    }

    /// What the driver in `image` does.
    ///
    /// # Errors
    /// When it breaks a rule, or does not do what the row is about.
    pub fn measure(self, image: &Rc<DriverImage>) -> Result<Window> {
        let window = Rig::ONE.run(image, async move |mut programs: Vec<Program>| {
            let program = programs.remove(0);
            match self {
                Self::One(kind) => one(&program, kind).await,
                Self::EngineIdle => queued_factorials(&program).await,
                Self::RaisePastWaits => raise_past_waits(&program).await,
                Self::WaitsBehindWaits => waits_behind_waits(&program).await,
            }
        })?;
        match self {
            Self::EngineIdle => {
                between_factorials(&window).with_context(|| format!("{}: no two factorials", self.name()))
            }
            _ => Ok(window),
        }
    }
}

async fn one(program: &Program, kind: Kind) -> Outcome<Window> {
    for _ in 0..WARM_UP {
        kind.carry_out(program).await?;
    }
    let (window, ()) = measure(program, kind.carry_out(program)).await?;
    Ok(window)
}

async fn queued_factorials(program: &Program) -> Outcome<Window> {
    let (window, ()) = measure(program, async {
        let mut requests = Vec::new();
        for _ in 0..QUEUED {
            requests.extend(Kind::Factorial.send(program).await?);
        }
        succeed(program, &requests).await
    })
    .await?;
    Ok(window)
}

async fn wait_for(program: &Program, cause: u32, count: usize) -> Outcome<Vec<ntsim::user::Request>> {
    let mut waits = Vec::new();
    for _ in 0..count {
        waits.push(program.wait_interrupt(cause).await?);
    }
    Ok(waits)
}

async fn raise_past_waits(program: &Program) -> Outcome<Window> {
    let _pending = wait_for(program, OTHER_CAUSE, PENDING).await?;
    Kind::Raise.carry_out(program).await?;
    let (window, ()) = measure(program, Kind::Raise.carry_out(program)).await?;
    Ok(window)
}

async fn waits_behind_waits(program: &Program) -> Outcome<Window> {
    let _pending = wait_for(program, OTHER_CAUSE, ENDING).await?;
    let ending = wait_for(program, CAUSE, ENDING).await?;
    let (window, ()) = measure(program, async {
        Kind::Raise.carry_out(program).await?;
        arrive(program, &ending).await
    })
    .await?;
    Ok(window)
}

/// The part between the last read of a factorial's result and the write that starts the next one, which belongs to it.
fn between_factorials(window: &Window) -> Option<Window> {
    let accesses = |index: usize, written: bool| {
        window.events(index).any(|event| match event {
            Event::RegisterRead { address, .. } => !written && is_factorial(*address),
            Event::RegisterWritten { address, .. } => written && is_factorial(*address),
            _ => false,
        })
    };
    let mut starts = (0..window.slices.len()).filter(|&index| accesses(index, true));
    // The first one follows no result.
    let start = starts.nth(1)?;
    let read = (0..start).rfind(|&index| accesses(index, false))?;
    let mut between = Window::default();
    let before = window.slices[read].raised;
    for index in read + 1..=start {
        let mut slice = window.slices[index].clone();
        slice.raised = slice.raised.saturating_sub(before);
        let next = window.slices.get(index + 1);
        let end = next.map_or(window.records.len(), |next| next.events_before);
        let records = &window.records[slice.events_before..end];
        slice.events_before = between.records.len();
        between.records.extend_from_slice(records);
        between.slices.push(slice);
    }
    Some(between)
}

fn is_factorial(address: Pa) -> bool {
    // A BAR is aligned to its size.
    address.0 % registers::BAR_SIZE as u64 == FACTORIAL as u64
}
