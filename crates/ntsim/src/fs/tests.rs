//! Files as drivers use them.

use std::{cell::RefCell, rc::Rc};

use ntlayout::io_status_block as iosb;

use super::*;
use crate::{
    bugcheck::Outcome,
    kernel::Config,
    machine::Machine,
    ob::{
        handle::Handle,
        testing::{call, close, counted, memory, open, run},
    },
    rtl::unicode_string,
    sched::ThreadSpec,
    status::NtStatus,
};

const OPEN: u64 = 1;
const CREATE: u64 = 2;
const OVERWRITE_IF: u64 = 5;
const SYNCHRONOUS: u64 = 0x20;

/// `ZwCreateFile` with everything shared: the handle.
async fn create(k: &Kernel, name: &str, disposition: u64, options: u64) -> Outcome<Result<Handle, NtStatus>> {
    shared(k, name, disposition, options, 7).await
}

async fn shared(
    k: &Kernel,
    name: &str,
    disposition: u64,
    options: u64,
    share: u64,
) -> Outcome<Result<Handle, NtStatus>> {
    let block = memory(k, iosb::SIZE)?;
    let more = [block.get(), 0, 0x80, share, disposition, options | SYNCHRONOUS, 0, 0];
    open(k, "ZwCreateFile", name, &more).await
}

/// Reads or writes at the file's position: the status and how many bytes.
async fn transfer(k: &Kernel, routine: &str, file: Handle, buffer: Va, length: u64) -> Outcome<(NtStatus, u64)> {
    let block = memory(k, iosb::SIZE)?;
    let arguments = [file.0, 0, 0, 0, block.get(), buffer.get(), length, 0, 0];
    let status = call(k, routine, &arguments).await?;
    Ok((status, k.read(block + iosb::INFORMATION)?))
}

#[test]
fn what_a_driver_writes_is_in_the_file() {
    run(|k| async move {
        let name = "\\SystemRoot\\Temp\\log.txt";
        let file = create(&k, name, CREATE, 0).await?.unwrap();
        let buffer = memory(&k, 16)?;
        k.write_bytes(buffer, b"one two ")?;
        assert_eq!(
            transfer(&k, "ZwWriteFile", file, buffer, 4).await?,
            (NtStatus::SUCCESS, 4)
        );
        assert_eq!(
            transfer(&k, "ZwWriteFile", file, buffer + 4_u64, 4).await?,
            (NtStatus::SUCCESS, 4)
        );
        assert_eq!(
            transfer(&k, "ZwReadFile", file, buffer, 4).await?.0,
            NtStatus::END_OF_FILE
        );
        let block = memory(&k, iosb::SIZE)?;
        assert_eq!(
            call(&k, "ZwFlushBuffersFile", &[file.0, block.get()]).await?,
            NtStatus::SUCCESS
        );
        close(&k, file).await?;
        assert_eq!(
            read_file(&k, "c:\\windows\\TEMP\\Log.txt").as_deref(),
            Some(&b"one two "[..])
        );
        assert_eq!(create(&k, name, CREATE, 0).await?, Err(NtStatus::OBJECT_NAME_COLLISION));
        let again = create(&k, name, OVERWRITE_IF, 0).await?.unwrap();
        close(&k, again).await?;
        assert_eq!(read_file(&k, "C:\\Windows\\Temp\\log.txt").as_deref(), Some(&b""[..]));
        Ok(())
    });
}

#[test]
fn what_a_scenario_puts_in_a_file_a_driver_reads() {
    run(|k| async move {
        write_file(&k, "C:\\Data\\firmware.bin", &[1, 2, 3, 4, 5]);
        let file = create(&k, "\\??\\C:\\data\\Firmware.BIN", OPEN, 0).await?.unwrap();
        let (buffer, block) = (memory(&k, 64)?, memory(&k, iosb::SIZE)?);
        let standard = [file.0, block.get(), buffer.get(), 24, 5];
        assert_eq!(call(&k, "ZwQueryInformationFile", &standard).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u64>(buffer + 8_u64)?, 5, "EndOfFile");
        assert_eq!(
            transfer(&k, "ZwReadFile", file, buffer, 3).await?,
            (NtStatus::SUCCESS, 3)
        );
        assert_eq!(
            transfer(&k, "ZwReadFile", file, buffer, 3).await?,
            (NtStatus::SUCCESS, 2)
        );
        assert_eq!(k.read::<u16>(buffer)?, 0x0504);
        k.write(buffer, 2_u64)?;
        let end = [file.0, block.get(), buffer.get(), 8, 20];
        assert_eq!(call(&k, "ZwSetInformationFile", &end).await?, NtStatus::SUCCESS);
        let name = [file.0, block.get(), buffer.get(), 64, 9];
        assert_eq!(call(&k, "ZwQueryInformationFile", &name).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(buffer)?, 36, "bytes of \\data\\Firmware.BIN");
        close(&k, file).await?;
        assert_eq!(read_file(&k, "C:\\Data\\firmware.bin"), Some(vec![1, 2]));
        let attributes = crate::ob::testing::attributes_of(&k, Handle(0), "\\??\\C:\\data", 0x240)?;
        let asked = [attributes.get(), buffer.get()];
        assert_eq!(call(&k, "ZwQueryFullAttributesFile", &asked).await?, NtStatus::SUCCESS);
        assert_eq!(k.read::<u32>(buffer + 48_u64)?, DIRECTORY);
        assert!(remove(&k, "C:\\Data") && !remove(&k, "C:\\Data"));
        Ok(())
    });
}

#[test]
fn opens_fail_as_documented() {
    run(|k| async move {
        write_file(&k, "C:\\x\\file", b"");
        for (name, disposition, options, status) in [
            ("\\??\\C:\\x\\none", OPEN, 0, NtStatus::OBJECT_NAME_NOT_FOUND),
            ("\\??\\C:\\none\\none", OPEN, 0, NtStatus::OBJECT_PATH_NOT_FOUND),
            ("\\??\\C:\\none\\none", CREATE, 0, NtStatus::OBJECT_PATH_NOT_FOUND),
            ("\\??\\C:\\x", OPEN, 0x40, NtStatus::FILE_IS_A_DIRECTORY),
            ("\\??\\C:\\x\\file", OPEN, 1, NtStatus::NOT_A_DIRECTORY),
            ("\\??\\C:\\x\\fi*le", OPEN, 0, NtStatus::OBJECT_NAME_INVALID),
            ("\\??\\D:\\x", OPEN, 0, NtStatus::OBJECT_PATH_NOT_FOUND),
        ] {
            assert_eq!(create(&k, name, disposition, options).await?, Err(status), "{name}");
        }
        let first = shared(&k, "\\??\\C:\\x\\file", OPEN, 0, 1).await?.unwrap();
        let second = create(&k, "\\??\\C:\\x\\file", OPEN, 0).await?;
        assert_eq!(second, Err(NtStatus::SHARING_VIOLATION));
        close(&k, first).await
    });
}

#[test]
fn a_file_is_deleted_with_its_last_handle() {
    run(|k| async move {
        write_file(&k, "C:\\x\\file", b"1");
        let name = "\\??\\C:\\x\\file";
        let one = create(&k, name, OPEN, 0).await?.unwrap();
        let other = create(&k, name, OPEN, 0).await?.unwrap();
        let (flag, block) = (memory(&k, 1)?, memory(&k, iosb::SIZE)?);
        k.write(flag, 1_u8)?;
        let dispose = [one.0, block.get(), flag.get(), 1, 13];
        assert_eq!(call(&k, "ZwSetInformationFile", &dispose).await?, NtStatus::SUCCESS);
        assert_eq!(create(&k, name, OPEN, 0).await?, Err(NtStatus::DELETE_PENDING));
        close(&k, one).await?;
        assert!(read_file(&k, "C:\\x\\file").is_some());
        close(&k, other).await?;
        assert!(read_file(&k, "C:\\x\\file").is_none());
        write_file(&k, "C:\\x\\file", b"2");
        let attributes = crate::ob::testing::attributes_of(&k, Handle(0), name, 0x240)?;
        assert_eq!(call(&k, "ZwDeleteFile", &[attributes.get()]).await?, NtStatus::SUCCESS);
        assert!(read_file(&k, "C:\\x\\file").is_none());
        Ok(())
    });
}

#[test]
fn a_directory_is_enumerated() {
    run(|k| async move {
        for name in ["b.txt", "A.txt", "c.doc"] {
            write_file(&k, &format!("C:\\dir\\{name}"), b"12345");
        }
        let directory = create(&k, "\\??\\C:\\dir", OPEN, 1).await?.unwrap();
        let (buffer, block, pattern) = (memory(&k, 512)?, memory(&k, iosb::SIZE)?, counted(&k, "*.TXT")?);
        let query = |pattern: Va, single: u64| {
            let name = pattern.get();
            [directory.0, 0, 0, 0, block.get(), buffer.get(), 512, 1, single, name, 0]
        };
        let routine = "ZwQueryDirectoryFile";
        assert_eq!(call(&k, routine, &query(pattern, 1)).await?, NtStatus::SUCCESS);
        let name_of = |k: &Kernel, at: Va| -> Outcome<String> {
            let length: u32 = k.read(at + 60_u64)?;
            let string = memory(k, 16)?;
            k.write(string, u16::try_from(length).unwrap())?;
            k.write(string + 8_u64, at + 64_u64)?;
            unicode_string::read(k, string)
        };
        assert_eq!(name_of(&k, buffer)?, "A.txt");
        assert_eq!(k.read::<u64>(buffer + 40_u64)?, 5);
        assert_eq!(call(&k, routine, &query(Va::NULL, 0)).await?, NtStatus::SUCCESS);
        assert_eq!(name_of(&k, buffer)?, "b.txt");
        assert_eq!(k.read::<u32>(buffer)?, 0, "the last entry");
        assert_eq!(call(&k, routine, &query(Va::NULL, 0)).await?, NtStatus::NO_MORE_FILES);
        close(&k, directory).await?;
        let windows = create(&k, "\\SystemRoot", OPEN, 1).await?.unwrap();
        let absent = counted(&k, "*.sys")?;
        let none = [
            windows.0,
            0,
            0,
            0,
            block.get(),
            buffer.get(),
            512,
            3,
            0,
            absent.get(),
            0,
        ];
        assert_eq!(call(&k, routine, &none).await?, NtStatus::NO_SUCH_FILE);
        let size = [windows.0, block.get(), buffer.get(), 24, 3];
        assert_eq!(
            call(&k, "ZwQueryVolumeInformationFile", &size).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(k.read::<u32>(buffer + 20_u64)?, 512, "bytes per sector");
        close(&k, windows).await
    });
}

/// Reads byte after byte of a synchronous file until it has read `count`.
async fn read_bytes(k: Kernel, file: Handle, count: usize, seen: Rc<RefCell<Vec<u8>>>) -> Outcome<()> {
    let buffer = memory(&k, 8)?;
    for _ in 0..count {
        assert_eq!(
            transfer(&k, "ZwReadFile", file, buffer, 1).await?,
            (NtStatus::SUCCESS, 1)
        );
        seen.borrow_mut().push(k.read(buffer)?);
    }
    Ok(())
}

/// The requests of a synchronous file take turns: each begins where the one before it has ended.
#[test]
fn two_threads_read_a_synchronous_file_byte_by_byte() {
    for seed in 1..=20 {
        let machine = Machine::new(Config {
            seed,
            ..Config::default()
        });
        let machine = machine.unwrap();
        machine.spawn(ThreadSpec::system("test"), |k| async move {
            let file = create(&k, "\\SystemRoot\\Temp\\digits", CREATE, 0).await?.unwrap();
            let buffer = memory(&k, 16)?;
            k.write_bytes(buffer, b"0123456789")?;
            transfer(&k, "ZwWriteFile", file, buffer, 10).await?;
            k.write(buffer, 0_u64)?;
            let block = memory(&k, iosb::SIZE)?;
            let rewind = [file.0, block.get(), buffer.get(), 8, 14];
            assert_eq!(call(&k, "ZwSetInformationFile", &rewind).await?, NtStatus::SUCCESS);
            let seen = Rc::new(RefCell::new(Vec::new()));
            let readers = [(); 2].map(|()| {
                let seen = seen.clone();
                k.spawn(ThreadSpec::system("reader"), move |k| read_bytes(k, file, 5, seen))
            });
            for reader in readers {
                k.join(reader).await?;
            }
            seen.borrow_mut().sort_unstable();
            assert_eq!(*seen.borrow(), b"0123456789", "seed {seed}");
            close(&k, file).await
        });
        let _ = machine.run();
        assert_eq!(machine.crash_report(None), None);
    }
}
