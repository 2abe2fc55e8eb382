//! Directories and symbolic links.

use ntlayout::unicode_string as string;

use super::super::{
    handle::Handle,
    namespace::{self, Found},
    object,
    testing::*,
};
use crate::{kernel::Kernel, mm::Va, ob, rtl::unicode_string, status::NtStatus};

async fn link(k: &Kernel, name: &str, target: &str) -> crate::bugcheck::Outcome<NtStatus> {
    let arguments = [counted(k, name)?.get(), counted(k, target)?.get()];
    call(k, "IoCreateSymbolicLink", &arguments).await
}

async fn unlink(k: &Kernel, name: &str) -> crate::bugcheck::Outcome<NtStatus> {
    call(k, "IoDeleteSymbolicLink", &[counted(k, name)?.get()]).await
}

fn object_at(k: &Kernel, path: &str) -> crate::bugcheck::Outcome<Result<Va, NtStatus>> {
    Ok(match namespace::find(k, path, false)? {
        Ok(Found::Object(object) | Found::Device { device: object, .. }) => Ok(object),
        Ok(other) => panic!("{other:?}"),
        Err(status) => Err(status),
    })
}

#[test]
fn a_symbolic_link_leads_to_its_target_whatever_the_case_of_names() {
    run(|k| async move {
        assert_eq!(
            link(&k, "\\DosDevices\\Way", "\\KernelObjects").await?,
            NtStatus::SUCCESS
        );
        let target = object_at(&k, "\\kernelobjects")?.unwrap();
        for path in [
            "\\??\\Way",
            "\\dosdevices\\wAY",
            "\\GLOBAL??\\Way",
            "\\??\\GLOBALROOT\\??\\WAY\\",
        ] {
            assert_eq!(object_at(&k, path)?, Ok(target), "{path}");
        }
        assert_eq!(unlink(&k, "\\??\\WAY").await?, NtStatus::SUCCESS);
        assert_eq!(object_at(&k, "\\??\\Way")?, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        assert!(ob::leftovers(&k).is_empty());
        Ok(())
    });
}

#[test]
fn a_name_can_be_had_once() {
    run(|k| async move {
        assert_eq!(link(&k, "\\??\\One", "\\Device\\A").await?, NtStatus::SUCCESS);
        assert_eq!(
            link(&k, "\\DosDevices\\ONE", "\\Device\\B").await?,
            NtStatus::OBJECT_NAME_COLLISION
        );
        assert_eq!(
            link(&k, "\\??\\Nowhere\\One", "\\X").await?,
            NtStatus::OBJECT_PATH_NOT_FOUND
        );
        assert_eq!(link(&k, "One", "\\X").await?, NtStatus::OBJECT_PATH_SYNTAX_BAD);
        assert_eq!(unlink(&k, "\\??\\Two").await?, NtStatus::OBJECT_NAME_NOT_FOUND);
        assert_eq!(unlink(&k, "\\Device").await?, NtStatus::OBJECT_TYPE_MISMATCH);
        // Where it leads to does not matter until it is followed.
        assert_eq!(object_at(&k, "\\??\\One")?, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        assert_eq!(unlink(&k, "\\??\\One").await?, NtStatus::SUCCESS);
        let arguments = [counted(&k, "\\??\\One")?.get(), counted(&k, "\\Device\\A")?.get()];
        let unprotected = call(&k, "IoCreateUnprotectedSymbolicLink", &arguments).await?;
        assert_eq!(unprotected, NtStatus::SUCCESS);
        unlink(&k, "\\??\\One").await.map(|_| ())
    });
}

#[test]
fn a_link_that_is_left_behind_is_reported_with_the_call_that_made_it() {
    run(|k| async move {
        link(&k, "\\DosDevices\\Left", "\\Device\\A").await?;
        let left: Vec<String> = ob::leftovers(&k).iter().map(ToString::to_string).collect();
        assert_eq!(left.len(), 1, "{left:?}");
        assert!(
            left[0].starts_with("the symbolic link \\GLOBAL??\\Left, created at fffff800"),
            "{left:?}"
        );
        Ok(())
    });
}

#[test]
fn links_that_lead_in_a_circle_lead_nowhere() {
    run(|k| async move {
        link(&k, "\\??\\A", "\\??\\B").await?;
        link(&k, "\\??\\B", "\\??\\A").await?;
        assert_eq!(object_at(&k, "\\??\\A")?, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        Ok(())
    });
}

#[test]
fn a_link_object_is_created_opened_and_queried() {
    run(|k| async move {
        let target = counted(&k, "\\Device\\Target")?;
        let made = open(&k, "ZwCreateSymbolicLinkObject", "\\??\\Object", &[target.get()])
            .await?
            .unwrap();
        let again = open(&k, "ZwCreateSymbolicLinkObject", "\\??\\Object", &[target.get()]).await?;
        assert_eq!(again, Err(NtStatus::OBJECT_NAME_COLLISION));
        let opened = open(&k, "ZwOpenSymbolicLinkObject", "\\??\\OBJECT", &[])
            .await?
            .unwrap();
        let (buffer, length) = (room(&k, 64)?, memory(&k, 4)?);
        let arguments = [opened.0, buffer.get(), length.get()];
        assert_eq!(
            call(&k, "ZwQuerySymbolicLinkObject", &arguments).await?,
            NtStatus::SUCCESS
        );
        assert_eq!(unicode_string::read(&k, buffer)?, "\\Device\\Target");
        assert_eq!(k.read::<u32>(length)?, 30, "with a terminator");
        let small = [opened.0, room(&k, 10)?.get(), length.get()];
        assert_eq!(
            call(&k, "ZwQuerySymbolicLinkObject", &small).await?,
            NtStatus::BUFFER_TOO_SMALL
        );
        // It is temporary: the name goes with the last handle.
        close(&k, made).await?;
        assert!(namespace::find(&k, "\\??\\Object", true)?.is_ok());
        close(&k, opened).await?;
        assert_eq!(
            namespace::find(&k, "\\??\\Object", true)?,
            Err(NtStatus::OBJECT_NAME_NOT_FOUND)
        );
        let directory = open(&k, "ZwOpenSymbolicLinkObject", "\\Device", &[]).await?;
        assert_eq!(directory, Err(NtStatus::OBJECT_TYPE_MISMATCH));
        Ok(())
    });
}

#[test]
fn a_permanent_object_stays_until_it_is_made_temporary() {
    run(|k| async move {
        let attributes = attributes_of(&k, Handle(0), "\\BaseNamedObjects\\Keep", 0x250)?;
        let handle = open_by(&k, "ZwCreateDirectoryObject", attributes, &[]).await?.unwrap();
        close(&k, handle).await?;
        let handle = open(&k, "ZwOpenDirectoryObject", "\\BaseNamedObjects\\Keep", &[])
            .await?
            .unwrap();
        assert_eq!(call(&k, "ZwMakeTemporaryObject", &[handle.0]).await?, NtStatus::SUCCESS);
        close(&k, handle).await?;
        let gone = open(&k, "ZwOpenDirectoryObject", "\\BaseNamedObjects\\Keep", &[]).await?;
        assert_eq!(gone, Err(NtStatus::OBJECT_NAME_NOT_FOUND));
        Ok(())
    });
}

#[test]
fn a_name_is_relative_to_the_directory_that_is_its_root() {
    run(|k| async move {
        let root = open(&k, "ZwOpenDirectoryObject", "\\??", &[]).await?.unwrap();
        let attributes = attributes_of(&k, root, "C:", 0x240)?;
        let link = open_by(&k, "ZwOpenSymbolicLinkObject", attributes, &[]).await?.unwrap();
        let buffer = room(&k, 64)?;
        call(&k, "ZwQuerySymbolicLinkObject", &[link.0, buffer.get(), 0]).await?;
        assert_eq!(unicode_string::read(&k, buffer)?, "\\Device\\HarddiskVolume1");
        let absolute = attributes_of(&k, root, "\\??", 0x240)?;
        let refused = open_by(&k, "ZwOpenDirectoryObject", absolute, &[]).await?;
        assert_eq!(refused, Err(NtStatus::OBJECT_PATH_SYNTAX_BAD));
        close(&k, link).await?;
        close(&k, root).await
    });
}

#[test]
fn a_directory_is_enumerated_piece_by_piece() {
    run(|k| async move {
        for name in [
            "\\BaseNamedObjects\\b",
            "\\BaseNamedObjects\\A",
            "\\BaseNamedObjects\\c",
        ] {
            link(&k, name, "\\Device").await?;
        }
        let directory = open(&k, "ZwOpenDirectoryObject", "\\BaseNamedObjects", &[])
            .await?
            .unwrap();
        let (buffer, context, length) = (memory(&k, 256)?, memory(&k, 4)?, memory(&k, 4)?);
        let query = |single: u64, restart: u64, room: u64| {
            [
                directory.0,
                buffer.get(),
                room,
                single,
                restart,
                context.get(),
                length.get(),
            ]
        };
        let mut seen = Vec::new();
        let mut statuses = Vec::new();
        for restart in [1, 0, 0, 0] {
            let status = call(&k, "ZwQueryDirectoryObject", &query(1, restart, 256)).await?;
            statuses.push(status);
            if status == NtStatus::SUCCESS {
                seen.push((
                    unicode_string::read(&k, buffer)?,
                    unicode_string::read(&k, buffer + string::SIZE)?,
                ));
            }
        }
        assert_eq!(statuses.pop(), Some(NtStatus::NO_MORE_ENTRIES));
        let names: Vec<&str> = seen.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["A", "b", "c"]);
        assert!(seen.iter().all(|(_, kind)| kind == "SymbolicLink"));
        // Two fit, with the entry that ends them.
        let status = call(&k, "ZwQueryDirectoryObject", &query(0, 1, 160)).await?;
        assert_eq!((status, k.read::<u32>(context)?), (NtStatus::MORE_ENTRIES, 2));
        assert_eq!(unicode_string::read(&k, buffer + 2 * string::SIZE)?, "b");
        assert_eq!(k.read::<u64>(buffer + 4 * string::SIZE)?, 0);
        let status = call(&k, "ZwQueryDirectoryObject", &query(1, 1, 40)).await?;
        assert_eq!(status, NtStatus::BUFFER_TOO_SMALL);
        close(&k, directory).await
    });
}

#[test]
fn objects_have_names_and_types() {
    run(|k| async move {
        let object = object_at(&k, "\\device")?.unwrap();
        assert_eq!(object::type_of(&k, object), Some(object::Type::Directory));
        let (information, length) = (memory(&k, 64)?, memory(&k, 4)?);
        let arguments = [object.get(), information.get(), 64, length.get()];
        assert_eq!(call(&k, "ObQueryNameString", &arguments).await?, NtStatus::SUCCESS);
        assert_eq!(unicode_string::read(&k, information)?, "\\Device");
        assert_eq!(k.read::<u32>(length)?, 32);
        let small = [object.get(), information.get(), 31, length.get()];
        assert_eq!(
            call(&k, "ObQueryNameString", &small).await?,
            NtStatus::INFO_LENGTH_MISMATCH
        );
        let root = object_at(&k, "\\")?.unwrap();
        assert_eq!(namespace::name_of(&k, root).as_deref(), Some("\\"));
        Ok(())
    });
}
