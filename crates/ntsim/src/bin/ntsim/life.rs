//! The life of a device with its drivers: load, add, start, what the user wants done, removal, unload.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

use ntsim::{
    Kernel, Outcome,
    bus::Slot,
    io::{
        driver::{self, LoadedImage},
        pnp,
    },
    mm::Va,
    sched::ThreadSpec,
    system::{self, Hardware, StartFailure, System},
};

use crate::{action::Action, perform::Performer};

/// An image in memory, and what its driver is called.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    pub(crate) name: String,
    pub(crate) image: LoadedImage,
}

/// The driver of devices that another driver reports.
#[derive(Clone, Debug)]
pub(crate) struct Child {
    /// The hardware ID of the devices.
    pub(crate) id: String,
    pub(crate) driver: Module,
}

/// A device with its drivers.
pub(crate) struct Life {
    /// Where the device is plugged in; none for a root-enumerated one.
    pub(crate) slot: Option<Slot>,
    /// The drivers of its stack, the lowest first.
    pub(crate) stack: Vec<Module>,
    /// Which of them is the function driver.
    pub(crate) function: usize,
    /// The drivers of devices that the function driver reports.
    pub(crate) children: Vec<Child>,
    /// What is done while the device is started.
    pub(crate) actions: Vec<Action>,
    /// How long a request may take before the next action, in milliseconds.
    pub(crate) patience: u64,
    /// Set when an action could not be carried out.
    pub(crate) failed: Rc<Cell<bool>>,
    /// Why the device did not get to its start, if it did not.
    pub(crate) failure: Rc<RefCell<Option<StartFailure>>>,
}

/// A driver that has been loaded.
struct Loaded {
    name: String,
    object: Va,
}

impl Life {
    /// Lives it, from the loads to the unloads.
    ///
    /// # Errors
    /// When a driver breaks a rule.
    pub(crate) async fn live(self, k: Kernel) -> Outcome<()> {
        let mut loaded = Vec::new();
        let lived = self.with_drivers(&k, &mut loaded).await?;
        if let Err(failure) = lived {
            *self.failure.borrow_mut() = Some(failure);
        }
        while let Some(driver) = loaded.pop() {
            system::unload(&k, driver.object, &driver.name).await?;
        }
        Ok(())
    }

    async fn with_drivers(&self, k: &Kernel, loaded: &mut Vec<Loaded>) -> Outcome<Result<(), StartFailure>> {
        let children = self.children.iter().map(|child| &child.driver);
        for module in self.stack.iter().chain(children) {
            match system::load_image(k, &module.name, module.image).await? {
                Ok(object) => loaded.push(Loaded {
                    name: module.name.clone(),
                    object,
                }),
                Err(failure) => return Ok(Err(failure)),
            }
        }
        let objects: Vec<Va> = loaded.iter().map(|driver| driver.object).collect();
        let (stack, children) = objects.split_at(self.stack.len());
        for (child, &driver) in self.children.iter().zip(children) {
            pnp::set_drivers(k, &child.id, &[driver]);
        }
        let function = stack[self.function];
        if driver::is_legacy(k, function)? {
            self.act(k, None).await?;
            return Ok(Ok(()));
        }
        let hardware = match self.slot {
            Some(slot) => Hardware::Slot(slot),
            None => Hardware::Root(&self.stack[self.function].name),
        };
        let pdo = match system::add_stack(k, hardware, stack).await? {
            Ok(pdo) => pdo,
            Err(failure) => return Ok(Err(failure)),
        };
        let system = System { driver: function, pdo };
        let started = pnp::start_device(k, pdo).await?;
        if started.is_success() {
            self.act(k, Some(pdo)).await?;
        }
        system.remove(k).await?;
        Ok(if started.is_success() {
            Ok(())
        } else {
            Err(StartFailure::StartDevice(started))
        })
    }

    /// Has a program carry out the actions.
    async fn act(&self, k: &Kernel, pdo: Option<Va>) -> Outcome<()> {
        let (patience, failed) = (self.patience, self.failed.clone());
        let actions = self.actions.clone();
        let program = k.spawn(ThreadSpec::user("program"), move |k| async move {
            let performer = Performer {
                k,
                pdo,
                patience,
                failed,
            };
            performer.perform(actions).await
        });
        k.join(program).await
    }
}
