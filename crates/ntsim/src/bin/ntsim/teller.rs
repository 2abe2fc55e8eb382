//! Tells what happens while it happens.

use std::io::Write;

use anyhow::Result;
use ntsim::{machine::Machine, story::Story};

/// Writes the story of a run.
pub(crate) struct Teller {
    /// None when nobody listens.
    told_to: Option<(Story, Box<dyn Write>)>,
    told: usize,
}

impl Teller {
    /// A teller that has told nothing yet.
    pub(crate) fn new(story: Story, out: impl Write + 'static) -> Self {
        Self {
            told_to: Some((story, Box::new(out))),
            told: 0,
        }
    }

    /// A teller that tells nothing.
    pub(crate) fn silent() -> Self {
        Self { told_to: None, told: 0 }
    }

    /// Tells what has happened since the last time.
    pub(crate) fn catch_up(&mut self, machine: &Machine) -> Result<()> {
        let Some((story, out)) = &mut self.told_to else {
            return Ok(());
        };
        let trace = machine.kernel().recorded();
        let records = trace.records();
        let text = story.tell(machine.kernel(), &records[self.told..]);
        self.told = records.len();
        out.write_all(text.as_bytes())?;
        Ok(())
    }

    /// Shows what a program has printed.
    pub(crate) fn quote(&mut self, output: &[u8]) -> Result<()> {
        if let Some((_, out)) = &mut self.told_to {
            writeln!(out)?;
            out.write_all(output)?;
            writeln!(out)?;
        }
        Ok(())
    }
}
