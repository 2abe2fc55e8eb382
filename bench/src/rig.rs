//! A machine on which costs are counted.

use std::{cell::RefCell, future::Future, rc::Rc};

use anyhow::{Context, Result, anyhow};
use ntsim::{Config, Outcome, machine::DriverImage};
use scenarios::{
    boot::{Pc, Run, Setup},
    program::Program,
};

use crate::cost::Window;

/// Nothing depends on it but the interleavings of several processors.
const SEED: u64 = 1;

/// How long the DPC that has completed a request may take to its end, nanoseconds.
const SETTLED: u64 = 1_000_000;

/// The machine that a row is measured on.
#[derive(Clone, Copy, Debug)]
pub struct Rig {
    /// Processors.
    pub processors: usize,
    /// Devices.
    pub devices: usize,
}

impl Rig {
    /// The smallest one.
    pub const ONE: Self = Self {
        processors: 1,
        devices: 1,
    };

    /// Boots the driver, starts its devices and runs `script` with a program for each; what the script returned.
    ///
    /// # Errors
    /// When the driver breaks a rule, with the report.
    pub fn run<T, F>(self, image: &Rc<DriverImage>, script: impl FnOnce(Vec<Program>) -> F + 'static) -> Result<T>
    where
        T: 'static,
        F: Future<Output = Outcome<T>> + 'static,
    {
        let config = Config {
            processors: self.processors,
            ..Config::default()
        };
        let setup = Setup {
            config,
            ..Setup::by_line(SEED)
        };
        let result: Rc<RefCell<Option<T>>> = Rc::default();
        let returned = Rc::clone(&result);
        let run = Run::several(image, setup, self.devices, async move |pcs: Vec<Pc>| {
            let mut programs = Vec::new();
            for pc in &pcs {
                pc.start().await?;
                programs.push(Program::open(pc).await?);
            }
            let value = script(programs.clone()).await?;
            *returned.borrow_mut() = Some(value);
            for program in programs {
                program.close().await?;
            }
            Ok(())
        });
        let _ = run.result().map_err(|report| anyhow!("{report}"))?;
        let value = result.borrow_mut().take();
        value.context("the script has not come to its end")
    }
}

/// What `work` has the driver do, to the end of the last DPC.
pub async fn measure<T>(program: &Program, work: impl Future<Output = Outcome<T>>) -> Outcome<(Window, T)> {
    let k = &program.pc.k;
    k.delay(SETTLED).await?;
    let first = k.recorded().records().len();
    k.start_profile();
    let value = work.await?;
    k.delay(SETTLED).await?;
    let slices = k.end_profile();
    let window = Window::new(slices, k.recorded().records(), first);
    Ok((window, value))
}
