//! Generic tables, with a driver's routines for comparison and memory; the calls that led to a routine; errors of statuses.

use iced_x86::code_asm::{dword_ptr, eax, qword_ptr, r8, rax, rcx, rdx};

use crate::{
    bugcheck::Outcome,
    kernel::Kernel,
    machine::testing::Program,
    mm::Va,
    rtl::testing::{buffer, bugcheck_of, call, int, run},
    sched::{RunEnd, ThreadSpec},
};

/// A driver with a comparison of 32-bit numbers, an allocation that hands out the driver's data piece by piece, and a free routine that
/// counts its calls.
fn driver() -> Program {
    Program::default()
        .function(|f| {
            // GenericLessThan 0, GenericGreaterThan 1, GenericEqual 2.
            f.asm.mov(eax, dword_ptr(rdx)).unwrap();
            f.asm.mov(rdx, r8).unwrap();
            f.asm.cmp(eax, dword_ptr(rdx)).unwrap();
            let (mut greater, mut end) = (f.asm.create_label(), f.asm.create_label());
            let mut equal = f.asm.create_label();
            f.asm.ja(greater).unwrap();
            f.asm.je(equal).unwrap();
            f.asm.xor(eax, eax).unwrap();
            f.asm.jmp(end).unwrap();
            f.asm.set_label(&mut greater).unwrap();
            f.asm.mov(eax, 1).unwrap();
            f.asm.jmp(end).unwrap();
            f.asm.set_label(&mut equal).unwrap();
            f.asm.mov(eax, 2).unwrap();
            f.asm.set_label(&mut end).unwrap();
            f.asm.nop().unwrap();
        })
        .function(|f| {
            // The first number of the data points to what is free.
            f.load(rcx, Program::data().get());
            f.asm.mov(rax, qword_ptr(rcx)).unwrap();
            f.asm.add(qword_ptr(rcx), 64).unwrap();
        })
        .function(|f| {
            f.load(rcx, Program::data().get());
            f.asm.inc(qword_ptr(rcx + 8)).unwrap();
        })
}

/// A number in memory.
fn number(k: &Kernel, number: u32) -> Outcome<u64> {
    let at = buffer(k, 4)?;
    k.write(Va(at), number)?;
    Ok(at)
}

/// The names of one kind of table's routines.
struct Names {
    suffix: &'static str,
    size: usize,
    links: u64,
}

impl Names {
    fn of(&self, name: &str) -> String {
        format!("Rtl{name}{}", self.suffix)
    }
}

async fn use_table(k: &Kernel, names: &Names) -> Outcome<()> {
    let routine = |name: &str| names.of(name);
    k.write(Program::data(), buffer(k, 1024)?)?;
    k.write(Program::data() + 8_u64, 0_u64)?;
    let table = buffer(k, names.size)?;
    let [compare, allocate, free] = [0, 1, 2].map(|index| Program::address(index).get());
    call(
        k,
        &routine("InitializeGenericTable"),
        &[table, compare, allocate, free, 0],
    )
    .await?;
    assert_eq!(int(k, &routine("IsGenericTableEmpty"), &[table]).await?, 1);
    let is_new = buffer(k, 1)?;
    let insert = async |value| {
        let arguments = [table, number(k, value)?, 4, is_new];
        let element = call(k, &routine("InsertElementGenericTable"), &arguments).await?;
        Ok((element, k.read::<u8>(Va(is_new))?))
    };
    for value in [5, 2, 9] {
        let (element, new) = insert(value).await?;
        assert_eq!((k.read::<u32>(Va(element))?, new), (value, 1));
    }
    assert_eq!(insert(2).await?.1, 0, "it is there already");
    assert_eq!(int(k, &routine("NumberGenericTableElements"), &[table]).await?, 3);
    let lookup = async |value| call(k, &routine("LookupElementGenericTable"), &[table, number(k, value)?]).await;
    assert_eq!(k.read::<u32>(Va(lookup(9).await?))?, 9);
    assert_eq!(lookup(7).await?, 0);

    let mut seen = Vec::new();
    for restart in [1, 0, 0, 0] {
        let element = call(k, &routine("EnumerateGenericTable"), &[table, restart]).await?;
        seen.push(if element == 0 { 0 } else { k.read::<u32>(Va(element))? });
    }
    assert_eq!(seen, [2, 5, 9, 0], "in order");
    let key = Va(buffer(k, 8)?);
    k.write(key, 0_u64)?;
    let name = routine("EnumerateGenericTableWithoutSplaying");
    for expected in [2, 5, 9] {
        let element = call(k, &name, &[table, key.get()]).await?;
        assert_eq!(k.read::<u32>(Va(element))?, expected);
        assert_eq!(k.read::<u64>(key)?, element - names.links);
    }
    assert_eq!(call(k, &name, &[table, key.get()]).await?, 0);
    for (index, expected) in [(0, 5), (1, 2), (2, 9)] {
        let element = call(k, &routine("GetElementGenericTable"), &[table, index]).await?;
        assert_eq!(k.read::<u32>(Va(element))?, expected, "in the order of insertion");
    }
    assert_eq!(call(k, &routine("GetElementGenericTable"), &[table, 3]).await?, 0);

    // A lookup says where an insertion would go, and the insertion uses that.
    let (node, result) = (buffer(k, 8)?, buffer(k, 4)?);
    let arguments = [table, number(k, 7)?, node, result];
    assert_eq!(call(k, &routine("LookupElementGenericTableFull"), &arguments).await?, 0);
    let arguments = [
        table,
        number(k, 7)?,
        4,
        is_new,
        k.read(Va(node))?,
        k.read::<u32>(Va(result))?.into(),
    ];
    call(k, &routine("InsertElementGenericTableFull"), &arguments).await?;
    let mut delete = Vec::new();
    for value in [7, 7, 2, 5, 9] {
        delete.push(int(k, &routine("DeleteElementGenericTable"), &[table, number(k, value)?]).await?);
    }
    assert_eq!(delete, [1, 0, 1, 1, 1]);
    assert_eq!(
        k.read::<u64>(Program::data() + 8_u64)?,
        4,
        "each element's memory is freed"
    );
    assert_eq!(int(k, &routine("IsGenericTableEmpty"), &[table]).await?, 1);
    Ok(())
}

#[test]
fn a_table_keeps_its_elements_in_the_drivers_order() {
    let machine = driver().machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        let kinds = [
            ("", ntlayout::rtl_generic_table::SIZE, 40),
            ("Avl", ntlayout::rtl_avl_table::SIZE, 32),
        ];
        for (suffix, size, links) in kinds {
            use_table(&k, &Names { suffix, size, links }).await?;
        }
        Ok(())
    });
    assert_eq!(
        machine.run(),
        RunEnd::Idle,
        "{}",
        machine.crash_report(None).unwrap_or_default()
    );
}

#[test]
fn a_table_that_was_not_initialised_stops_the_run() {
    let (_, _, rule) = bugcheck_of(|k| async move {
        let table = buffer(&k, 104)?;
        call(&k, "RtlIsGenericTableEmptyAvl", &[table]).await.map(|_| ())
    });
    assert_eq!(rule, "not-modelled");
}

#[test]
fn the_calls_that_led_here_are_captured() {
    let program = Program::default()
        .import(&["RtlCaptureStackBackTrace", "RtlWalkFrameChain"])
        .function(|f| {
            f.load(rax, Program::address(1).get());
            f.asm.call(rax).unwrap();
        })
        .function(|f| {
            f.arguments(&[0, 2, Program::data().get()]);
            f.asm.xor(iced_x86::code_asm::r9d, iced_x86::code_asm::r9d).unwrap();
            f.call("RtlCaptureStackBackTrace");
            f.load(rcx, (Program::data() + 16_u64).get());
            f.asm.mov(rdx, 1_u64).unwrap();
            f.load(r8, 1_u64 << 8);
            f.call("RtlWalkFrameChain");
        });
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        assert_eq!(
            k.call(Program::address(0), &[]).await?,
            1,
            "the chain without its first frame"
        );
        let [inner, outer, chain] = [0_u64, 8, 16].map(|offset| k.read::<u64>(Program::data() + offset));
        let (inner, outer) = (inner?, outer?);
        let within = |address: u64, function| {
            let start = Program::address(function).get();
            (start..start + 0x180).contains(&address)
        };
        assert!(within(inner, 1), "{inner:#x}");
        assert!(within(outer, 0), "{outer:#x}");
        assert_eq!(chain?, outer);
        Ok(())
    });
    assert_eq!(
        machine.run(),
        RunEnd::Idle,
        "{}",
        machine.crash_report(None).unwrap_or_default()
    );
}

#[test]
fn a_status_has_its_win32_error() {
    run(|k| async move {
        for (status, error) in [
            (0, 0),
            (0xC000_000D, 87),
            (0xC000_0022, 5),
            (0xC000_0034, 2),
            (0xC000_009A, 1450),
            (0xC007_0057, 0x57),
            (0xE000_0001, 0xE000_0001),
        ] {
            for name in ["RtlNtStatusToDosError", "RtlNtStatusToDosErrorNoTeb"] {
                assert_eq!(
                    call(&k, name, &[status]).await? & 0xFFFF_FFFF,
                    error,
                    "{name} {status:#x}"
                );
            }
        }
        Ok(())
    });
    let (_, _, rule) =
        bugcheck_of(|k| async move { call(&k, "RtlNtStatusToDosError", &[0xC000_7777]).await.map(|_| ()) });
    assert_eq!(rule, "not-modelled");
}
