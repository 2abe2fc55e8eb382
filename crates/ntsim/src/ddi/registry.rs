//! The table of modelled kernel exports.

use std::{collections::BTreeMap, fmt, future::Future, pin::Pin};

use super::{Args, Contract, Failure, ReturnValue, failure};
use crate::{bugcheck::Outcome, kernel::Kernel, mm::Va};

/// A host flow: kernel code of the model that may call the guest, wait and spin.
pub type Flow = Pin<Box<dyn Future<Output = Outcome<u64>>>>;

type Function = Box<dyn Fn(&Kernel, &Args) -> Outcome<u64>>;
type StartFlow = Box<dyn Fn(Kernel, Args) -> Flow>;
type Initialise = Box<dyn Fn(&Kernel, Va) -> Outcome<()>>;

/// How an export behaves.
pub enum Handler {
    /// A routine that runs in one go.
    Function(Function),
    /// A routine that may call the guest, wait or spin.
    Flow(StartFlow),
    /// A variable of `size` bytes, filled in when the machine is built.
    Data {
        /// Bytes.
        size: u64,
        /// Fills it in.
        initialise: Initialise,
    },
}

/// One modelled export.
pub struct Ddi {
    /// Its name.
    pub name: &'static str,
    /// How many arguments it takes (those before `...`).
    pub arity: usize,
    /// Its IRQL contract.
    pub contract: Contract,
    /// How it fails for lack of resources, if it can.
    pub failure: Option<Failure>,
    /// What it does.
    pub handler: Handler,
}

impl Ddi {
    /// Its IRQL contract in words.
    #[must_use]
    pub fn contract_text(&self) -> String {
        match self.handler {
            Handler::Data { .. } => "a variable".to_owned(),
            Handler::Function(_) | Handler::Flow(_) => self.contract.to_string(),
        }
    }
}

impl fmt::Debug for Ddi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ddi")
            .field("name", &self.name)
            .field("contract", &self.contract)
            .finish_non_exhaustive()
    }
}

/// All modelled exports, by name and by number.
#[derive(Debug, Default)]
pub struct Registry {
    all: Vec<Ddi>,
    by_name: BTreeMap<&'static str, usize>,
}

impl Registry {
    /// Adds a routine that runs in one go.
    pub fn function<R: ReturnValue + 'static>(
        &mut self,
        name: &'static str,
        arity: usize,
        contract: Contract,
        body: impl Fn(&Kernel, &Args) -> Outcome<R> + 'static,
    ) {
        self.add(Ddi {
            name,
            arity,
            contract,
            failure: failure::of(name),
            handler: Handler::Function(Box::new(move |k, args| body(k, args).map(ReturnValue::into_rax))),
        });
    }

    /// Adds a routine that may call the guest, wait or spin.
    pub fn flow<R, F>(
        &mut self,
        name: &'static str,
        arity: usize,
        contract: Contract,
        body: impl Fn(Kernel, Args) -> F + 'static,
    ) where
        R: ReturnValue,
        F: Future<Output = Outcome<R>> + 'static,
    {
        self.add(Ddi {
            name,
            arity,
            contract,
            failure: failure::of(name),
            handler: Handler::Flow(Box::new(move |k, args| {
                let flow = body(k, args);
                Box::pin(async move { flow.await.map(ReturnValue::into_rax) })
            })),
        });
    }

    /// Adds an exported variable.
    pub fn data(&mut self, name: &'static str, size: u64, initialise: impl Fn(&Kernel, Va) -> Outcome<()> + 'static) {
        self.add(Ddi {
            name,
            arity: 0,
            contract: Contract::ANY,
            failure: None,
            handler: Handler::Data {
                size,
                initialise: Box::new(initialise),
            },
        });
    }

    fn add(&mut self, ddi: Ddi) {
        let earlier = self.by_name.insert(ddi.name, self.all.len());
        assert!(earlier.is_none(), "{} is modelled twice", ddi.name);
        self.all.push(ddi);
    }

    /// The number and the export called `name`.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(usize, &Ddi)> {
        let &index = self.by_name.get(name)?;
        Some((index, &self.all[index]))
    }

    /// The export with a number.
    #[must_use]
    pub fn by_index(&self, index: usize) -> Option<&Ddi> {
        self.all.get(index)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Their names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.by_name.keys().copied()
    }
}
