//! Imports: what a driver's import table asks for, what the model has of it, and where the addresses lie.
//!
//! An import that the model lacks does not keep a driver from being loaded, as most drivers never call most of their imports in one
//! run. It has an address of its own, and the run stops when the driver calls it or touches it.

use std::{collections::BTreeMap, fmt};

use crate::{
    bugcheck::{BugCheck, Outcome},
    cpu::Access,
    ddi::{Handler, Registry},
    image::{Import, ImportName},
    kernel::Kernel,
    mm::{AddressSpace, PAGE_SIZE, Pa, Protection, Va, layout},
};

/// Whether the model has what an image imports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The model has it.
    Modelled,
    /// The model lacks it: the run stops when the driver uses it.
    NotModelled,
}

/// One import of an image, and whether the model has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoundImport {
    /// The module it comes from, as written in the image.
    pub module: String,
    /// Its name, or `#` and its ordinal.
    pub name: String,
    /// Whether the model has it.
    pub binding: Binding,
}

impl fmt::Display for BoundImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}!{}", self.module, self.name)
    }
}

/// What `registry` has of `imports`, in the order of the image's import table.
pub(super) fn bindings(imports: &[Import], registry: &Registry) -> Vec<BoundImport> {
    imports
        .iter()
        .map(|import| BoundImport {
            module: import.module.clone(),
            name: import.name.to_string(),
            binding: match find(registry, &import.name) {
                Some(_) => Binding::Modelled,
                None => Binding::NotModelled,
            },
        })
        .collect()
}

fn find<'r>(registry: &'r Registry, name: &ImportName) -> Option<(usize, &'r crate::ddi::Ddi)> {
    match name {
        ImportName::Name(name) => registry.find(name),
        ImportName::Ordinal(_) => None,
    }
}

/// What kind of driver an image is that is written for more than the kernel itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framework {
    /// The module that it imports for that, in lower case.
    pub module: &'static str,
    /// What such a driver is called.
    pub what: &'static str,
}

/// The modules that make a driver more than a WDM driver.
const FRAMEWORKS: [Framework; 14] = [
    framework("wdfldr.sys", "a KMDF driver (Kernel-Mode Driver Framework)"),
    framework("ndis.sys", "an NDIS network driver"),
    framework("fltmgr.sys", "a file system minifilter"),
    framework("storport.sys", "a Storport miniport driver"),
    framework("scsiport.sys", "a SCSI miniport driver"),
    framework("ataport.sys", "an ATA miniport driver"),
    framework("classpnp.sys", "a storage class driver"),
    framework("portcls.sys", "an audio port-class driver"),
    framework("ks.sys", "a kernel-streaming driver"),
    framework("dxgkrnl.sys", "a display driver"),
    framework("videoprt.sys", "a video miniport driver"),
    framework("netio.sys", "a network driver (WFP or Winsock Kernel)"),
    framework("fwpkclnt.sys", "a WFP callout driver"),
    framework("hidclass.sys", "a HID minidriver"),
];

const fn framework(module: &'static str, what: &'static str) -> Framework {
    Framework { module, what }
}

/// The framework that a module belongs to, if any.
fn framework_of(module: &str) -> Option<Framework> {
    FRAMEWORKS
        .into_iter()
        .find(|framework| framework.module.eq_ignore_ascii_case(module))
}

/// The framework that the image is written for: the first in [`FRAMEWORKS`] that it imports.
pub(super) fn framework_imported(imports: &[Import]) -> Option<Framework> {
    FRAMEWORKS.into_iter().find(|framework| {
        imports
            .iter()
            .any(|import| import.module.eq_ignore_ascii_case(framework.module))
    })
}

/// An import that the model lacks.
#[derive(Clone, Debug)]
struct Unmodelled {
    image: String,
    module: String,
    name: String,
}

/// The addresses that imports were bound to, beyond those of the routines.
#[derive(Debug, Default)]
struct Addresses {
    /// What lies at each page from [`layout::UNMODELLED`] on.
    unmodelled: Vec<Unmodelled>,
    /// The memory behind all of them.
    stub: Option<Pa>,
    /// Exported variables.
    variables: BTreeMap<&'static str, Va>,
    next_variable: Option<Va>,
}

/// The most imports that can be bound lazily in a machine.
const MOST_UNMODELLED: u64 = (layout::EXPORTED_DATA.get() - layout::UNMODELLED.get()) / PAGE_SIZE;

/// Whether an address belongs to an import that the model lacks.
pub(crate) const fn is_unmodelled(va: Va) -> bool {
    va.get().wrapping_sub(layout::UNMODELLED.get()) < MOST_UNMODELLED * PAGE_SIZE
}

/// The address to write into the slot of `import`: that of a loaded image's export, or of the model's; none when there is no room for
/// another one.
pub(super) fn bind(k: &Kernel, image: &str, import: &Import) -> Option<Va> {
    if let Some(address) = exported(k, import) {
        return Some(address);
    }
    match find(k.registry(), &import.name) {
        Some((index, ddi)) => Some(match &ddi.handler {
            Handler::Data { size, initialise } => variable(k, ddi.name, *size, initialise),
            _ => Registry::address(index),
        }),
        None => lazily(k, image, import),
    }
}

/// The address of what a loaded image exports.
fn exported(k: &Kernel, import: &Import) -> Option<Va> {
    let code = k.watch().code.borrow();
    let exporter = code.iter().find(|code| {
        let name = code.image.name();
        !code.unloaded && name.eq_ignore_ascii_case(&import.module)
    })?;
    Some(exporter.base + u64::from(exporter.image.export(&import.name)?))
}

/// The address of an exported variable; it is the same for every image.
fn variable(k: &Kernel, name: &'static str, size: u64, initialise: impl Fn(&Kernel, Va) -> Outcome<()>) -> Va {
    let addresses = k.state::<Addresses>();
    if let Some(&known) = addresses.borrow().variables.get(name) {
        return known;
    }
    let address = addresses.borrow().next_variable.unwrap_or(layout::EXPORTED_DATA);
    k.map_ram(address, size, Protection::READ_WRITE, name);
    let mut state = addresses.borrow_mut();
    state.next_variable = Some(address + AddressSpace::round_up(size) + PAGE_SIZE);
    state.variables.insert(name, address);
    drop(state);
    // Fails only once the machine has stopped.
    let _ = initialise(k, address);
    address
}

/// An address that stops the run when it is used.
fn lazily(k: &Kernel, image: &str, import: &Import) -> Option<Va> {
    let addresses = k.state::<Addresses>();
    let mut state = addresses.borrow_mut();
    let index = state.unmodelled.len() as u64;
    if index >= MOST_UNMODELLED {
        return None;
    }
    let stub = *state
        .stub
        .get_or_insert_with(|| super::loader::breakpoints(k, PAGE_SIZE));
    let address = layout::UNMODELLED + index * PAGE_SIZE;
    let import = Unmodelled {
        image: image.to_owned(),
        module: import.module.clone(),
        name: import.name.to_string(),
    };
    let what = format!("{}!{}", import.module, import.name);
    k.map_physical(address, stub, PAGE_SIZE, Protection::READ_EXECUTE, &what);
    state.unmodelled.push(import);
    Some(address)
}

/// The end of a run in which the driver has used an import that the model lacks.
pub(crate) fn unmodelled(k: &Kernel, address: Va, access: Access) -> BugCheck {
    let addresses = k.state::<Addresses>();
    let state = addresses.borrow();
    let page = usize::try_from((address - layout::UNMODELLED) / PAGE_SIZE).unwrap_or(usize::MAX);
    let Some(import) = state.unmodelled.get(page) else {
        return BugCheck::not_modelled(format!(
            "{address} is no import of a loaded driver's, but was {}",
            access.verb()
        ));
    };
    let Unmodelled { image, module, name } = import;
    let (what, verb) = match access {
        Access::Execute => ("routine", "called"),
        access => ("variable", access.verb()),
    };
    let caller = k.caller();
    let advice = match framework_of(module) {
        Some(Framework { what, .. }) => {
            format!("{image} is {what}: {module} is not part of this machine, which is for WDM drivers")
        }
        None => format!(
            "add it with Machine::with_registry, or keep the driver from using it; `ntsim imports {image}` lists what else is missing"
        ),
    };
    BugCheck::not_modelled(format!(
        "{image} has {verb} the {what} {module}!{name} at {caller}, which this machine does not model: {advice}"
    ))
}
