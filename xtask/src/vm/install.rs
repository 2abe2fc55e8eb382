//! Makes an image that the tests can run in: an unattended installation of Windows from the user's ISO.
//!
//! Windows Setup finds the answer file on the second disk, by its name. At the first logon that has the guest run
//! `windows/Complete-Installation.ps1`, which tells of the end as a run of the tests does.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use super::{DISK, Options, clear, play, qemu::Machine};
use crate::{package, process, provision, workspace::Workspace};

/// The answer file's name, by which Windows Setup finds it.
pub const ANSWER_FILE: &str = "autounattend.xml";

/// The size of the new disk. The image grows as it is written to.
const SIZE: &str = "64G";

/// Installs Windows from `iso` into the image, which must not exist yet. Returns what to exit with, as a run of the tests does.
///
/// # Errors
///
/// When something is in the way, or the installation cannot be started.
pub fn run(workspace: &Workspace, iso: &Path, run: &Path, options: &Options) -> Result<u8> {
    let image = &options.image;
    ensure!(
        !image.exists(),
        "{} exists: an installation makes a new image",
        image.display()
    );
    ensure!(iso.is_file(), "there is no {}", iso.display());
    provision::qemu_img()?;
    clear(run)?;
    let disk = run.join(DISK);
    let scripts = disk.join(package::SCRIPTS);
    package::copy_scripts(&workspace.scripts(), &scripts)?;
    let template = workspace.scripts().join(ANSWER_FILE);
    let template = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    let answers = answer_file(
        &template,
        options.index,
        options.product_key.as_deref().unwrap_or_default(),
    )?;
    fs::write(disk.join(ANSWER_FILE), answers).with_context(|| format!("cannot write {}", disk.display()))?;
    process::read(
        Command::new("qemu-img")
            .args(["create", "-q", "-f", "qcow2"])
            .arg(image)
            .arg(SIZE),
    )?;

    let machine = Machine {
        image,
        keep: true,
        iso: Some(iso),
        disk: &disk,
        run,
        agent: false,
        firmware: options.firmware,
        memory: options.memory,
        cpus: options.cpus,
    };
    let mut limits = options.limits();
    // Windows Setup tells the host nothing.
    limits.silence = limits.total;
    let code = play(&machine, options.accelerator, limits)?;
    if code == 0 {
        println!("{} is ready for `cargo xtask vm --image`", image.display());
    } else {
        println!("{} is not complete; remove it before the next try", image.display());
    }
    Ok(code)
}

/// The answer file with what the user has chosen.
fn answer_file(template: &str, index: u32, product_key: &str) -> Result<String> {
    ensure!(index > 0, "the editions on an ISO are counted from 1");
    ensure!(
        product_key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'),
        "a product key has letters, digits and hyphens"
    );
    Ok(template
        .replace("@IMAGE_INDEX@", &index.to_string())
        .replace("@PRODUCT_KEY@", product_key))
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};

    use super::*;

    fn template() -> String {
        fs::read_to_string(Workspace::locate().scripts().join(ANSWER_FILE)).unwrap()
    }

    /// The text of the one element that this path of names leads to, from anywhere in the file.
    fn text(document: &Document<'_>, path: &[&str]) -> String {
        let ends_so = |node: &Node<'_, '_>| {
            let names: Vec<&str> = node.ancestors().map(|it| it.tag_name().name()).collect();
            path.iter().rev().zip(&names).all(|(wanted, name)| wanted == name)
        };
        let found: Vec<_> = document
            .descendants()
            .filter(Node::is_element)
            .filter(ends_so)
            .collect();
        assert_eq!(found.len(), 1, "{path:?}");
        found[0].text().unwrap_or_default().to_owned()
    }

    #[test]
    fn the_answer_file_is_xml_with_the_users_choices() {
        let answers = answer_file(&template(), 6, "VK7JG-NPHTM").unwrap();
        assert!(!answers.contains('@'));
        let document = Document::parse(&answers).unwrap();
        assert_eq!(text(&document, &["MetaData", "Value"]), "6");
        assert_eq!(text(&document, &["ProductKey", "Key"]), "VK7JG-NPHTM");
        let command = text(&document, &["FirstLogonCommands", "SynchronousCommand", "CommandLine"]);
        assert!(command.contains(r"\scripts\Complete-Installation.ps1"), "{command}");
        // Windows Setup installs on the partition that the file has made as the third.
        assert_eq!(text(&document, &["InstallTo", "PartitionID"]), "3");
        let in_namespace =
            |node: &Node<'_, '_>| node.has_tag_name(("urn:schemas-microsoft-com:unattend", "CreatePartition"));
        assert_eq!(document.descendants().filter(in_namespace).count(), 3);
        let passes: Vec<_> = document
            .descendants()
            .filter_map(|node| node.attribute("pass"))
            .collect();
        assert_eq!(passes, ["windowsPE", "specialize", "oobeSystem"]);
    }

    #[test]
    fn what_would_break_the_file_is_refused() {
        assert!(answer_file(&template(), 0, "").is_err());
        assert!(answer_file(&template(), 1, "<x>").is_err());
    }
}
