//! Small drivers for tests, assembled on the spot.

use std::rc::Rc;

use iced_x86::code_asm::{AsmRegister64, CodeAssembler, qword_ptr, r8, rax, rcx, rdx, rsp};

use super::{DriverImage, Machine};
use crate::{
    image::{
        Image, ImportName,
        synthetic::{DATA, ImageBuilder, TEXT},
    },
    kernel::Config,
    mm::{Va, layout},
};

/// Bytes between the functions of a test driver.
const FUNCTION_SIZE: usize = 0x180;

/// `UNWIND_INFO` of a function whose prologue is `sub rsp, 0x28`.
const UNWIND_SUB_RSP_28: [u8; 6] = [1, 4, 1, 0, 4, 0x42];

type Body = Box<dyn Fn(&mut Function<'_>)>;

/// A driver to assemble.
#[derive(Default)]
pub(crate) struct Program {
    imports: Vec<&'static str>,
    functions: Vec<Body>,
}

/// A function being assembled: what test code writes instructions to.
pub(crate) struct Function<'p> {
    pub(crate) asm: CodeAssembler,
    imports: &'p [(String, Va)],
}

impl Function<'_> {
    /// Where the address of an import is found.
    pub(crate) fn slot(&self, name: &str) -> Va {
        let slot = self.imports.iter().find(|(import, _)| import == name);
        let (_, slot) = slot.unwrap_or_else(|| panic!("{name} is not imported"));
        *slot
    }

    /// Calls a kernel export.
    pub(crate) fn call(&mut self, name: &str) {
        let slot = self.slot(name);
        self.load(rax, slot.get());
        self.asm.call(qword_ptr(rax)).unwrap();
    }

    /// `mov register, value`.
    pub(crate) fn load(&mut self, register: AsmRegister64, value: impl Into<u64>) {
        self.asm.mov(register, value.into()).unwrap();
    }

    /// Loads the first three arguments.
    pub(crate) fn arguments(&mut self, values: &[u64]) {
        for (register, &value) in [rcx, rdx, r8].into_iter().zip(values) {
            self.load(register, value);
        }
    }
}

impl Program {
    /// Imports kernel exports.
    pub(crate) fn import(mut self, names: &[&'static str]) -> Self {
        self.imports.extend(names);
        self
    }

    /// Adds a function. Its frame is set up and taken down around `body`.
    pub(crate) fn function(mut self, body: impl Fn(&mut Function<'_>) + 'static) -> Self {
        self.functions.push(Box::new(body));
        self
    }

    /// Where the function at `index` will be.
    pub(crate) fn address(index: usize) -> Va {
        layout::DRIVER + u64::from(TEXT) + index * FUNCTION_SIZE
    }

    /// Where the driver's 0x100 bytes of data will be.
    pub(crate) fn data() -> Va {
        layout::DRIVER + u64::from(DATA)
    }

    fn builder(&self, code: &[u8]) -> ImageBuilder {
        let mut builder = ImageBuilder::new(code).entry(TEXT);
        for name in &self.imports {
            builder = builder.import("ntoskrnl.exe", name);
        }
        for index in 0..self.functions.len() {
            let begin = TEXT + u32::try_from(index * FUNCTION_SIZE).unwrap();
            let end = begin + u32::try_from(FUNCTION_SIZE).unwrap();
            builder = builder.function(begin, end, &UNWIND_SUB_RSP_28);
        }
        builder
    }

    /// Assembles the image.
    pub(crate) fn image(&self) -> Rc<DriverImage> {
        let size = self.functions.len() * FUNCTION_SIZE;
        let draft = self.builder(&vec![0xCC; size]).build();
        let draft = Image::parse("draft.sys", &draft).unwrap();
        let imports: Vec<(String, Va)> = draft
            .imports()
            .iter()
            .filter_map(|import| match &import.name {
                ImportName::Name(name) => Some((name.clone(), layout::DRIVER + u64::from(import.slot))),
                ImportName::Ordinal(_) => None,
            })
            .collect();
        let mut code = Vec::new();
        for (index, body) in self.functions.iter().enumerate() {
            let mut function = Function {
                asm: CodeAssembler::new(64).unwrap(),
                imports: &imports,
            };
            function.asm.sub(rsp, 0x28).unwrap();
            body(&mut function);
            function.asm.add(rsp, 0x28).unwrap();
            function.asm.ret().unwrap();
            let bytes = function.asm.assemble(Self::address(index).get()).unwrap();
            assert!(bytes.len() <= FUNCTION_SIZE, "function {index} is too long");
            code.extend_from_slice(&bytes);
            code.resize((index + 1) * FUNCTION_SIZE, 0xCC);
        }
        DriverImage::parse("test.sys", &self.builder(&code).build()).unwrap()
    }

    /// A machine with the driver loaded.
    pub(crate) fn machine(&self, seed: u64) -> Machine {
        self.machine_of(Config {
            seed,
            step_limit: 1_000_000,
            ..Config::default()
        })
    }

    /// The same, of any configuration.
    pub(crate) fn machine_of(&self, config: Config) -> Machine {
        let mut machine = Machine::new(config).unwrap();
        machine.load(&self.image()).unwrap();
        machine
    }
}
