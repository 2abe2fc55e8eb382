//! A bus driver of a few instructions: what it answers lies in its data, where the tests put it.

use iced_x86::code_asm::{esi, r12d, rdi};
use ntlayout::{device_object, device_relations};

use super::{plug_and_play::dispatch_pnp, *};
use crate::{
    io::pnp::Minor,
    mm::{PoolKind, PoolOwner},
    ob,
};

/// The child's dispatch routine for PnP, and what the bus driver does with all but its relations.
const CHILD_PNP: usize = HELPER + 1;
const FUNCTION_PNP: usize = HELPER + 2;

/// What the bus driver answers to `BusRelations`, the child's IDs by type, and whether the child's object goes when it is removed.
fn relations() -> Va {
    Program::data() + 0x40_u64
}
fn ids() -> Va {
    Program::data() + 0x48_u64
}
fn deletes() -> Va {
    Program::data() + 0x68_u64
}

/// The minor functions that the child succeeds in, by bit: those of its life, and of what it has nothing to say to.
const SUCCEEDS: u32 = 0x7F | 1 << 0x09 | 1 << 0x11 | 1 << 0x14 | 1 << 0x16 | 1 << 0x17;

fn bus_pnp(f: &mut Function<'_>) {
    let mut other = f.asm.create_label();
    f.asm.mov(rax, qword_ptr(rdx + layout::CURRENT_STACK_LOCATION)).unwrap();
    f.asm
        .cmp(
            byte_ptr(rax + stack::MINOR_FUNCTION),
            i32::from(Minor::QUERY_DEVICE_RELATIONS.0),
        )
        .unwrap();
    f.asm.jne(other).unwrap();
    f.asm.cmp(dword_ptr(rax + stack::DEVICE_RELATIONS_TYPE), 0).unwrap();
    f.asm.jne(other).unwrap();
    f.load(rax, relations().get());
    f.asm.mov(rax, qword_ptr(rax)).unwrap();
    f.asm.mov(qword_ptr(rdx + layout::IO_STATUS_INFORMATION), rax).unwrap();
    f.asm.mov(dword_ptr(rdx + layout::IO_STATUS), 0).unwrap();
    f.asm.set_label(&mut other).unwrap();
    f.load(rax, Program::address(FUNCTION_PNP).get());
    f.asm.call(rax).unwrap();
}

fn child_pnp(f: &mut Function<'_>) {
    let [mut no_id, mut finish, mut end] = [(); 3].map(|()| f.asm.create_label());
    f.asm.mov(rbx, rdx).unwrap();
    f.asm.mov(rdi, rcx).unwrap();
    f.asm.mov(rax, qword_ptr(rbx + layout::CURRENT_STACK_LOCATION)).unwrap();
    f.asm.movzx(esi, byte_ptr(rax + stack::MINOR_FUNCTION)).unwrap();
    f.asm.cmp(esi, i32::from(Minor::QUERY_ID.0)).unwrap();
    f.asm.jne(no_id).unwrap();
    f.asm.mov(eax, dword_ptr(rax + stack::QUERY_ID_TYPE)).unwrap();
    f.load(rcx, ids().get());
    f.asm.mov(rax, qword_ptr(rcx + rax * 8)).unwrap();
    f.asm.mov(qword_ptr(rbx + layout::IO_STATUS_INFORMATION), rax).unwrap();
    f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
    f.asm.jmp(finish).unwrap();
    f.asm.set_label(&mut no_id).unwrap();
    f.asm.mov(eax, SUCCEEDS).unwrap();
    f.asm.bt(eax, esi).unwrap();
    f.asm.jnc(finish).unwrap();
    f.asm.mov(dword_ptr(rbx + layout::IO_STATUS), 0).unwrap();
    f.asm.set_label(&mut finish).unwrap();
    f.asm.mov(r12d, dword_ptr(rbx + layout::IO_STATUS)).unwrap();
    complete(f);
    f.asm.cmp(esi, i32::from(Minor::REMOVE_DEVICE.0)).unwrap();
    f.asm.jne(end).unwrap();
    f.load(rax, deletes().get());
    f.asm.cmp(dword_ptr(rax), 0).unwrap();
    f.asm.je(end).unwrap();
    f.asm.mov(rcx, rdi).unwrap();
    f.call("IoDeleteDevice");
    f.asm.set_label(&mut end).unwrap();
    f.asm.mov(eax, r12d).unwrap();
}

/// A bus with its drivers; the child's object is not reported yet.
#[derive(Clone)]
struct Bus {
    k: Kernel,
    pdo: Va,
    child: Va,
}

impl Bus {
    fn new(k: &Kernel, pdo: Va) -> Outcome<Self> {
        let fdo = device::top_of_stack(k, pdo)?;
        let object: Va = k.read(fdo + device_object::DRIVER_OBJECT)?;
        let entry = driver_object::MAJOR_FUNCTION + usize::from(Major::PNP.0) * 8;
        k.write(object + entry, Program::address(HELPER))?;
        let nowhere = driver::LoadedImage {
            base: Va::NULL,
            size: 0,
            entry: Va::NULL,
        };
        let of_children = driver::create(k, "children", nowhere)?;
        k.write(of_children + entry, Program::address(CHILD_PNP))?;
        let spec = device::Spec {
            driver: of_children,
            extension_size: 0,
            name: None,
            device_type: 0x22,
            characteristics: 0,
            exclusive: false,
        };
        let child = device::create(k, spec)?.expect("it has no name");
        k.write(child + device_object::FLAGS, 0_u32)?;
        Ok(Self {
            k: k.clone(),
            pdo,
            child,
        })
    }

    /// Puts a string in pool that the driver has allocated.
    fn answer(&self, kind: usize, text: &str) -> Outcome<()> {
        let units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let size = units.len() as u64;
        let pool = self.k.allocate_pool(PoolKind::Paged, size, 1, PoolOwner::Driver, "ID");
        self.k.write_bytes(pool, &units)?;
        self.k.write(ids() + 8 * kind, pool)
    }

    fn name_child(&self) -> Outcome<()> {
        self.answer(0, "TEST\\Child\0")?;
        self.answer(1, "TEST\\Child\0TEST\\Any\0\0")?;
        self.answer(3, "7\0")
    }

    /// Has the bus driver report `objects`, each referenced, and waits until the PnP manager has asked.
    async fn report(&self, objects: &[Va]) -> Outcome<()> {
        for &object in objects {
            ob::reference::reference(&self.k, object)?;
        }
        self.report_as_they_are(objects).await
    }

    async fn report_as_they_are(&self, objects: &[Va]) -> Outcome<()> {
        let k = &self.k;
        let size = device_relations::SIZE.max(8 + 8 * objects.len()) as u64;
        let list = k.allocate_pool(PoolKind::Paged, size, 1, PoolOwner::Driver, "relations");
        k.write(list + device_relations::COUNT, u32::try_from(objects.len()).unwrap())?;
        for (index, &object) in objects.iter().enumerate() {
            k.write(list + device_relations::OBJECTS + 8 * index, object)?;
        }
        k.write(relations(), list)?;
        let routine = k.routine_address("IoInvalidateDeviceRelations");
        k.call(routine, &[self.pdo.get(), 0]).await?;
        k.delay(10_000_000).await
    }
}

fn run_bus<F>(seed: u64, script: impl FnOnce(Bus) -> F + 'static) -> Machine
where
    F: Future<Output = Outcome<()>> + 'static,
{
    let program = driver_with(invert, bus_pnp)
        .import(&["IoDetachDevice", "IoDeleteDevice"])
        .function(child_pnp)
        .function(dispatch_pnp);
    run(&program, seed, move |k, pdo, _| async move {
        let bus = Bus::new(&k, pdo)?;
        script(bus).await
    })
}

/// What a run ended with: code, first parameter, rule.
fn crash(machine: &Machine) -> (Code, u64, &'static str) {
    let crash = machine.kernel().crash().expect("a rule is broken");
    (crash.bugcheck.code, crash.bugcheck.parameters[0], crash.bugcheck.rule)
}

#[test]
fn a_child_is_found_and_its_answers_are_freed() {
    for seed in 1..=20 {
        let machine = run_bus(seed, |bus| async move {
            let k = &bus.k;
            let before = k.driver_allocations().len();
            bus.name_child()?;
            bus.report(&[bus.child]).await?;
            assert_eq!(pnp::children(k, bus.pdo), [bus.child]);
            assert_eq!(
                pnp::state(k, bus.child),
                Some(DeviceState::Enumerated),
                "it has no driver"
            );
            let path = pnp::instance_path(k, bus.child).unwrap();
            assert!(path.starts_with("TEST\\Child\\2&") && path.ends_with("&0&7"), "{path}");
            assert_eq!(
                ob::reference::count(k, bus.child),
                0,
                "the PnP manager gives the references back"
            );
            assert_eq!(k.driver_allocations().len(), before, "and frees the answers");
            Ok(())
        });
        assert_clean(&machine);
    }
}

#[test]
fn a_child_with_a_driver_is_started_and_goes() {
    for seed in 1..=20 {
        let machine = run_bus(seed, |bus| async move {
            let k = &bus.k;
            bus.name_child()?;
            // A raw device: without drivers of its own the physical device object answers everything.
            pnp::set_drivers(k, "test\\any", &[]);
            bus.report(&[bus.child]).await?;
            assert_eq!(pnp::add_drivers(k, bus.child, &[]).await?, NtStatus::SUCCESS);
            assert_eq!(pnp::start_device(k, bus.child).await?, NtStatus::SUCCESS);
            assert_eq!(pnp::state(k, bus.child), Some(DeviceState::Started));
            k.write(deletes(), 1_u32)?;
            bus.report(&[]).await?;
            assert_eq!(pnp::state(k, bus.child), Some(DeviceState::Removed));
            assert!(pnp::children(k, bus.pdo).is_empty());
            Ok(())
        });
        assert_clean(&machine);
    }
}

#[test]
fn a_bus_goes_after_its_children() {
    let machine = run_bus(1, |bus| async move {
        let k = &bus.k;
        bus.name_child()?;
        bus.report(&[bus.child]).await?;
        assert_eq!(pnp::remove_device(k, bus.pdo).await?, pnp::Removal::Done);
        assert_eq!(pnp::state(k, bus.child), Some(DeviceState::Removed));
        assert_eq!(pnp::state(k, bus.pdo), Some(DeviceState::Removed));
        Ok(())
    });
    assert_clean(&machine);
}

#[test]
fn what_a_bus_driver_reports_is_checked() {
    const FATAL: Code = Code::PNP_DETECTED_FATAL_ERROR;
    let null = run_bus(1, |bus| async move { bus.report_as_they_are(&[Va::NULL]).await });
    assert_eq!(crash(&null), (FATAL, 8, "bus-relations"));
    let not_referenced = run_bus(1, |bus| async move { bus.report_as_they_are(&[bus.child]).await });
    assert_eq!(crash(&not_referenced), (FATAL, 5, "bus-relations"));
    let own_object = run_bus(1, |bus| async move {
        let fdo = device::top_of_stack(&bus.k, bus.pdo)?;
        bus.report(&[fdo]).await
    });
    assert_eq!(crash(&own_object), (IO_MANAGER, 0x248, "relation-not-a-pdo"));
    let no_id = run_bus(1, |bus| async move { bus.report(&[bus.child]).await });
    assert_eq!(crash(&no_id), (IO_MANAGER, 0x22A, "pdo-without-answer"));
    let comma = run_bus(1, |bus| async move {
        bus.answer(0, "TEST,Child\0")?;
        bus.report(&[bus.child]).await
    });
    assert_eq!(crash(&comma), (FATAL, 3, "invalid-device-id"));
}

#[test]
fn the_object_of_a_child_lives_as_long_as_the_child() {
    let kept = run_bus(1, |bus| async move {
        bus.name_child()?;
        bus.report(&[bus.child]).await?;
        bus.report(&[]).await
    });
    assert_eq!(crash(&kept), (IO_MANAGER, 0x21E, "not-deleted-at-remove"));
    let deleted = run_bus(1, |bus| async move {
        bus.name_child()?;
        bus.report(&[bus.child]).await?;
        bus.k.write(deletes(), 1_u32)?;
        pnp::remove_device(&bus.k, bus.child).await.map(|_| ())
    });
    assert_eq!(crash(&deleted), (IO_MANAGER, 0x221, "present-child-deleted"));
}

/// A device without hardware has no resources: null lists.
#[test]
fn a_root_enumerated_device_lives_without_hardware() {
    let machine = run_bus(1, |bus| async move {
        let k = &bus.k;
        let [first, second] = [pnp::enumerate_root(k, "SOFTWARE")?, pnp::enumerate_root(k, "SOFTWARE")?];
        assert_eq!(pnp::instance_path(k, first).as_deref(), Some("ROOT\\SOFTWARE\\0000"));
        assert_eq!(pnp::instance_path(k, second).as_deref(), Some("ROOT\\SOFTWARE\\0001"));
        assert_eq!(pnp::add_drivers(k, first, &[]).await?, NtStatus::SUCCESS);
        assert_eq!(pnp::start_device(k, first).await?, NtStatus::SUCCESS);
        assert_eq!(pnp::query_stop_device(k, first).await?, NtStatus::SUCCESS);
        pnp::stop_device(k, first).await?;
        assert_eq!(pnp::start_device(k, first).await?, NtStatus::SUCCESS);
        assert_eq!(pnp::remove_device(k, first).await?, pnp::Removal::Done);
        Ok(())
    });
    assert_clean(&machine);
}
