//! What the program says: the JSON document, and what the tables are made from.

use std::{collections::BTreeMap, path::Path, rc::Rc};

use anyhow::Result;
use ntsim::{image::Symbols, machine::DriverImage};
use serde::Serialize;

use crate::{cost::Cost, functions, growth::Load, rows::Row, size::Size};

/// A row of the table.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// What was done.
    pub name: String,
    /// How many requests were sent.
    pub requests: u64,
    /// What that costs the image.
    pub image: Cost,
    /// What it costs the other image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Cost>,
    /// The image's instructions by the other one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
    /// The image's instructions by function as written, inlined or not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub functions: BTreeMap<String, u64>,
}

/// Everything that was measured.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The image.
    pub image: Size,
    /// The other image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub against: Option<Size>,
    /// What one thing costs.
    pub rows: Vec<Figures>,
    /// What many requests cost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub growth: Vec<Figures>,
    /// The greatest ratio of instructions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worst_ratio: Option<f64>,
}

/// An image that is measured.
pub struct Subject {
    image: Rc<DriverImage>,
    symbols: Option<Symbols>,
    size: Size,
}

impl Subject {
    /// The image in the file at `path`.
    ///
    /// # Errors
    /// When it cannot be read, or Windows would not load it.
    pub fn open(path: &Path) -> Result<Self> {
        let image = DriverImage::open(path)?;
        Ok(Self {
            symbols: image.symbols(),
            size: Size::measure(path, &image)?,
            image,
        })
    }

    /// The image.
    pub fn image(&self) -> &Rc<DriverImage> {
        &self.image
    }
}

impl Report {
    /// Measures the rows with `filter` in their names; `all` of them, or those of single requests only.
    ///
    /// # Errors
    /// When a driver breaks a rule.
    pub fn measure(subject: &Subject, against: Option<&Subject>, filter: &str, all: bool) -> Result<Self> {
        let mut rows = Vec::new();
        for row in Row::all().into_iter().filter(|row| row.name().contains(filter)) {
            let window = row.measure(&subject.image)?;
            let other = against.map(|other| row.measure(&other.image)).transpose()?;
            let mut figures = Figures::new(row.name(), 1, window.cost(), other.map(|other| other.cost()));
            if let Some(symbols) = &subject.symbols {
                figures.functions = functions::by_function(&window, &subject.image, symbols)?;
            }
            rows.push(figures);
        }
        let mut growth = Vec::new();
        for load in Load::all()
            .into_iter()
            .filter(|load| all && load.name().contains(filter))
        {
            let cost = load.cost(&subject.image)?;
            let other = against.map(|other| load.cost(&other.image)).transpose()?;
            growth.push(Figures::new(load.name(), load.requests() as u64, cost, other));
        }
        let worst_ratio = rows.iter().chain(&growth).filter_map(|row| row.ratio).reduce(f64::max);
        Ok(Self {
            image: subject.size.clone(),
            against: against.map(|other| other.size.clone()),
            rows,
            growth,
            worst_ratio,
        })
    }
}

impl Figures {
    fn new(name: String, requests: u64, image: Cost, against: Option<Cost>) -> Self {
        let ratio = against
            .as_ref()
            .map(|other| ratio(image.instructions, other.instructions));
        Self {
            name,
            requests,
            image,
            against,
            ratio,
            functions: BTreeMap::new(),
        }
    }
}

/// `a` by `b`, to three decimals.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn ratio(a: u64, b: u64) -> f64 {
    (a as f64 / b as f64 * 1000.0).round() / 1000.0
}
