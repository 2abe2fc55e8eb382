//! Bytes, and arrays that are sorted and searched by a routine of the driver's.

use iced_x86::code_asm::{dword_ptr, eax, rcx, rdx};

use crate::{
    bugcheck::BugCheckCode as Code,
    machine::testing::Program,
    mm::Va,
    rtl::testing::{buffer, bugcheck_of, call, narrow, run},
    sched::{RunEnd, ThreadSpec},
};

#[test]
fn a_byte_is_looked_for_in_so_many() {
    run(|k| async move {
        let bytes = narrow(&k, "ab\0cd")?;
        assert_eq!(call(&k, "memchr", &[bytes, b'c'.into(), 5]).await?, bytes + 3);
        assert_eq!(call(&k, "memchr", &[bytes, b'c'.into(), 3]).await?, 0);
        assert_eq!(call(&k, "memchr", &[bytes, 0x100 + u64::from(b'a'), 5]).await?, bytes);
        Ok(())
    });
}

#[test]
fn arrays_are_sorted_and_searched_with_the_drivers_comparison() {
    // int compare(const int *a, const int *b) { return *a - *b; }
    let program = Program::default().function(|f| {
        f.asm.mov(eax, dword_ptr(rcx)).unwrap();
        f.asm.sub(eax, dword_ptr(rdx)).unwrap();
    });
    let machine = program.machine(1);
    machine.spawn(ThreadSpec::system("test"), |k| async move {
        let numbers = [5_u32, 3, 9, 1, 1, 7, 2, 8];
        let array = buffer(&k, 4 * numbers.len())?;
        for (index, &number) in numbers.iter().enumerate() {
            k.write(Va(array) + 4 * index, number)?;
        }
        let compare = Program::address(0).get();
        call(&k, "qsort", &[array, 8, 4, compare]).await?;
        for (index, expected) in [1_u32, 1, 2, 3, 5, 7, 8, 9].into_iter().enumerate() {
            assert_eq!(k.read::<u32>(Va(array) + 4 * index)?, expected);
        }
        let key = Va(buffer(&k, 4)?);
        k.write(key, 7_u32)?;
        assert_eq!(
            call(&k, "bsearch", &[key.get(), array, 8, 4, compare]).await?,
            array + 20
        );
        k.write(key, 6_u32)?;
        assert_eq!(call(&k, "bsearch", &[key.get(), array, 8, 4, compare]).await?, 0);
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
fn a_pure_virtual_call_is_an_exception() {
    let (code, exception, rule) = bugcheck_of(|k| async move { call(&k, "_purecall", &[]).await.map(|_| ()) });
    assert_eq!(
        (code, exception, rule),
        (Code::KMODE_EXCEPTION_NOT_HANDLED, 0xC000_0002, "pure-virtual-call")
    );
}
