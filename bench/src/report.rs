//! What the program says: the JSON document, and what the tables are made from.

use std::{collections::BTreeMap, path::Path, rc::Rc};

use anyhow::Result;
use ntsim::machine::DriverImage;
use scenarios::seeds;
use serde::Serialize;

use crate::{
    cost::{Cost, Window},
    functions,
    growth::Load,
    images,
    rows::Row,
    size::Size,
};

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

/// Something to measure.
#[derive(Clone, Copy)]
enum Item {
    Row(Row),
    Load(Load),
}

impl Item {
    fn name(self) -> String {
        match self {
            Self::Row(row) => row.name(),
            Self::Load(load) => load.name(),
        }
    }

    const fn requests(self) -> u64 {
        match self {
            Self::Row(_) => 1,
            Self::Load(load) => load.requests() as u64,
        }
    }

    fn measure(self, image: &Rc<DriverImage>) -> Result<Window> {
        match self {
            Self::Row(row) => row.measure(image),
            Self::Load(load) => load.measure(image),
        }
    }
}

impl Report {
    /// Measures what has `filter` in its name; `all` of it, or single requests only.
    ///
    /// # Errors
    /// When an image cannot be read, or a driver breaks a rule.
    pub fn measure(image: &Path, against: Option<&Path>, filter: &str, all: bool) -> Result<Self> {
        let sizes = (Size::measure(image)?, against.map(Size::measure).transpose()?);
        let items: Vec<Item> = Row::all()
            .into_iter()
            .map(Item::Row)
            .chain(Load::all().into_iter().map(Item::Load).filter(|_| all))
            .filter(|item| item.name().contains(filter))
            .collect();
        let mut measured = BTreeMap::new();
        let indices = 1..=items.len() as u64;
        seeds::each(
            indices,
            |index| {
                let item = items[usize::try_from(index - 1).unwrap_or(usize::MAX)];
                (index, Figures::measure(item, image, against))
            },
            |(index, figures)| {
                measured.insert(index, figures);
            },
        );
        let (mut rows, mut growth) = (Vec::new(), Vec::new());
        for (item, figures) in items.iter().zip(measured.into_values()) {
            match item {
                Item::Row(_) => rows.push(figures?),
                Item::Load(_) => growth.push(figures?),
            }
        }
        let worst_ratio = rows.iter().chain(&growth).filter_map(|row| row.ratio).reduce(f64::max);
        Ok(Self {
            image: sizes.0,
            against: sizes.1,
            rows,
            growth,
            worst_ratio,
        })
    }
}

impl Figures {
    fn measure(item: Item, image: &Path, against: Option<&Path>) -> Result<Self> {
        let image = images::open(image)?;
        let window = item.measure(&image)?;
        let cost = window.cost();
        let other = match against {
            Some(path) => Some(item.measure(&images::open(path)?)?.cost()),
            None => None,
        };
        let functions = match (item, image.symbols()) {
            (Item::Row(_), Some(symbols)) => functions::by_function(&window, &image, &symbols)?,
            _ => BTreeMap::new(),
        };
        Ok(Self {
            name: item.name(),
            requests: item.requests(),
            ratio: other.as_ref().map(|other| ratio(cost.instructions, other.instructions)),
            image: cost,
            against: other,
            functions,
        })
    }
}

/// `a` by `b`, to three decimals.
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
pub fn ratio(a: u64, b: u64) -> f64 {
    (a as f64 / b as f64 * 1000.0).round() / 1000.0
}
