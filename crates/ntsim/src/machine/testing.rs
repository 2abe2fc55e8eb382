//! Small drivers for tests, assembled on the spot.

pub(crate) mod script;

use std::rc::Rc;

use iced_x86::{
    BlockEncoderOptions,
    code_asm::{AsmRegister64, CodeAssembler, CodeLabel, qword_ptr, r8, rax, rcx, rdx, rsp},
};

use super::{DriverImage, Machine};
use crate::{
    image::{
        Image, ImportName,
        synthetic::{DATA, Guards, ImageBuilder, TEXT},
    },
    kernel::Config,
    mm::{Va, layout},
};

/// Bytes between the functions of a test driver.
const FUNCTION_SIZE: usize = 0x180;

/// The frame that a function sets up, unless a test asks for another.
const FRAME: u8 = 0x28;

/// `UNWIND_INFO` of a function whose prologue is `sub rsp, frame`.
fn unwind_info(frame: u8) -> [u8; 6] {
    /// `UWOP_ALLOC_SMALL`.
    const ALLOC_SMALL: u8 = 2;
    [1, 4, 1, 0, 4, (frame / 8 - 1) << 4 | ALLOC_SMALL]
}

type Body = Box<dyn Fn(&mut Function<'_>)>;

/// A driver to assemble.
pub(crate) struct Program {
    name: &'static str,
    base: Va,
    frame: u8,
    imports: Vec<(&'static str, &'static str)>,
    functions: Vec<Body>,
    exports_first: Option<&'static str>,
    renamed: Vec<(&'static str, &'static str)>,
    guards: Option<(Guards, u64, Vec<usize>)>,
}

impl Default for Program {
    fn default() -> Self {
        Self {
            name: "test.sys",
            base: layout::DRIVER,
            frame: FRAME,
            imports: Vec::new(),
            functions: Vec::new(),
            exports_first: None,
            renamed: Vec::new(),
            guards: None,
        }
    }
}

/// A function being assembled: what test code writes instructions to.
pub(crate) struct Function<'p> {
    pub(crate) asm: CodeAssembler,
    imports: &'p [(String, Va)],
    scopes: Vec<Scope>,
}

/// An entry of a function's scope table, as a compiler makes one for `__try`.
struct Scope {
    begin: CodeLabel,
    end: CodeLabel,
    handler: ScopeHandler,
    target: Option<CodeLabel>,
}

/// What a scope table says of a `__try`.
#[derive(Clone, Copy)]
pub(crate) enum ScopeHandler {
    /// `__except (EXCEPTION_EXECUTE_HANDLER)`.
    Always,
    /// The function at this index: the filter, or the `__finally` block.
    Function(usize),
}

/// A function as assembled.
struct Assembled {
    bytes: Vec<u8>,
    /// Begin, end, handler, target: RVAs.
    scopes: Vec<[u32; 4]>,
}

/// The language-specific handler of functions with a scope table.
const SPECIFIC_HANDLER: &str = "__C_specific_handler";

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

    /// `__try` from `begin` to `end`. With a `target`, the block of its `__except` starts there; without, it has a `__finally`.
    pub(crate) fn scope(&mut self, begin: CodeLabel, end: CodeLabel, handler: ScopeHandler, target: Option<CodeLabel>) {
        self.scopes.push(Scope {
            begin,
            end,
            handler,
            target,
        });
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
    pub(crate) fn import(self, names: &[&'static str]) -> Self {
        self.import_from("ntoskrnl.exe", names)
    }

    /// Imports another module's exports.
    pub(crate) fn import_from(mut self, module: &'static str, names: &[&'static str]) -> Self {
        self.imports.extend(names.iter().map(|&name| (module, name)));
        self
    }

    /// Exports the first function.
    pub(crate) fn export_first(mut self, name: &'static str) -> Self {
        self.exports_first = Some(name);
        self
    }

    /// Gives a section (`.text`, `.data`) another name.
    pub(crate) fn rename(mut self, section: &'static str, name: &'static str) -> Self {
        self.renamed.push((section, name));
        self
    }

    /// Calls the image `name`, and makes it the second one of a machine.
    pub(crate) fn second(mut self, name: &'static str) -> Self {
        self.name = name;
        self.base = Self::SECOND;
        self
    }

    /// Calls the image `name`.
    pub(crate) fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Gives the functions room for calls of up to eight arguments.
    pub(crate) fn wide_frames(mut self) -> Self {
        self.frame = 0x48;
        self
    }

    /// Adds a function. Its frame is set up and taken down around `body`.
    pub(crate) fn function(mut self, body: impl Fn(&mut Function<'_>) + 'static) -> Self {
        self.functions.push(Box::new(body));
        self
    }

    /// Where the second image of a machine lies, when the first is one of these.
    pub(crate) const SECOND: Va = Va(layout::DRIVER.get() + 0x2_0000);

    /// Where the function at `index` of the second image will be.
    pub(crate) fn second_address(index: usize) -> Va {
        Self::SECOND + u64::from(TEXT) + index * FUNCTION_SIZE
    }

    /// Has the image a stack cookie and Control Flow Guard; the functions at `targets` may be called indirectly.
    pub(crate) fn guarded(mut self, guards: Guards, cookie: u64, targets: &[usize]) -> Self {
        self.guards = Some((guards, cookie, targets.to_vec()));
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

    fn builder(&self, code: &[u8], scopes: &[Vec<[u32; 4]>]) -> ImageBuilder {
        let mut builder = ImageBuilder::new(code).entry(TEXT);
        for (module, name) in &self.imports {
            builder = builder.import(module, name);
        }
        for (section, name) in &self.renamed {
            builder = builder.rename(section, name);
        }
        if let Some(name) = self.exports_first {
            builder = builder.export(name, TEXT);
        }
        if let Some((guards, cookie, targets)) = &self.guards {
            let rva = |&index: &usize| TEXT + u32::try_from(index * FUNCTION_SIZE).unwrap();
            let targets: Vec<u32> = targets.iter().map(rva).collect();
            builder = builder.guarded(*guards, *cookie, &targets);
        }
        for index in 0..self.functions.len() {
            let begin = TEXT + u32::try_from(index * FUNCTION_SIZE).unwrap();
            let end = begin + u32::try_from(FUNCTION_SIZE).unwrap();
            let scopes = scopes.get(index).map_or(&[][..], |scopes| &scopes[..]);
            builder = builder.function(begin, end, &self.unwind_info(scopes));
        }
        builder
    }

    /// `UNWIND_INFO`, with the scope table if there is one.
    fn unwind_info(&self, scopes: &[[u32; 4]]) -> Vec<u8> {
        const BOTH_HANDLERS: u8 = 3 << 3;
        let mut info = unwind_info(self.frame).to_vec();
        if scopes.is_empty() {
            return info;
        }
        info[0] |= BOTH_HANDLERS;
        info.extend_from_slice(&[0, 0]);
        let count = u32::try_from(scopes.len()).unwrap();
        for value in [self.handler_rva(), count].iter().chain(scopes.iter().flatten()) {
            info.extend_from_slice(&value.to_le_bytes());
        }
        info
    }

    /// Where the jump to the language-specific handler is: behind the functions.
    fn handler_rva(&self) -> u32 {
        self.rva_of(self.functions.len())
    }

    #[expect(clippy::unused_self, reason = "a place in this program's image")]
    fn rva_of(&self, index: usize) -> u32 {
        TEXT + u32::try_from(index * FUNCTION_SIZE).unwrap()
    }

    /// Assembles the image.
    pub(crate) fn image(&self) -> Rc<DriverImage> {
        let size = (self.functions.len() + 1) * FUNCTION_SIZE;
        let draft = self.builder(&vec![0xCC; size], &[]).build();
        let draft = Image::parse("draft.sys", &draft).unwrap();
        let imports: Vec<(String, Va)> = draft
            .imports()
            .iter()
            .filter_map(|import| match &import.name {
                ImportName::Name(name) => Some((name.clone(), self.base + u64::from(import.slot))),
                ImportName::Ordinal(_) => None,
            })
            .collect();
        let mut code = Vec::new();
        let mut scopes = Vec::new();
        for index in 0..self.functions.len() {
            let assembled = self.assemble(index, &imports);
            assert!(assembled.bytes.len() <= FUNCTION_SIZE, "function {index} is too long");
            code.extend_from_slice(&assembled.bytes);
            code.resize((index + 1) * FUNCTION_SIZE, 0xCC);
            scopes.push(assembled.scopes);
        }
        if let Some((_, slot)) = imports.iter().find(|(import, _)| import == SPECIFIC_HANDLER) {
            let mut jump = CodeAssembler::new(64).unwrap();
            jump.mov(rax, slot.get()).unwrap();
            jump.jmp(qword_ptr(rax)).unwrap();
            code.extend_from_slice(&jump.assemble(0).unwrap());
        }
        code.resize(size, 0xCC);
        DriverImage::parse(self.name, &self.builder(&code, &scopes).build()).unwrap()
    }

    fn assemble(&self, index: usize, imports: &[(String, Va)]) -> Assembled {
        let mut function = Function {
            asm: CodeAssembler::new(64).unwrap(),
            imports,
            scopes: Vec::new(),
        };
        function.asm.sub(rsp, i32::from(self.frame)).unwrap();
        self.functions[index](&mut function);
        function.asm.add(rsp, i32::from(self.frame)).unwrap();
        function.asm.ret().unwrap();
        let options = BlockEncoderOptions::RETURN_NEW_INSTRUCTION_OFFSETS;
        let assembled = function
            .asm
            .assemble_options((self.base + u64::from(self.rva_of(index))).get(), options)
            .unwrap();
        let rva = |va: Va| u32::try_from(va - self.base).unwrap();
        let place = |label: &CodeLabel| rva(Va(assembled.label_ip(label).unwrap()));
        let scopes = function.scopes.iter().map(|scope| {
            let handler = match scope.handler {
                ScopeHandler::Always => 1,
                ScopeHandler::Function(index) => self.rva_of(index),
            };
            let target = scope.target.as_ref().map_or(0, place);
            [place(&scope.begin), place(&scope.end), handler, target]
        });
        Assembled {
            scopes: scopes.collect(),
            bytes: assembled.inner.code_buffer,
        }
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
