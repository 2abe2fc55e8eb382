//! The source of Rust's library, of the very version of the compiler.
//!
//! It comes with the toolchain or from rustup. Where rustup cannot be reached, Debian's `rust-src` package has it; the
//! version that fits may be in another suite than the machine's own, so that suite's index is fetched from the mirror in
//! apt's configuration into a directory of ours. The machine's apt configuration stays as it is.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{packages, toolchain::Toolchain};
use crate::{process, workspace::Workspace};

/// Debian's suites by age of what they carry, the smallest index first.
const SUITES: [&str; 5] = [
    "stable-backports",
    "stable",
    "testing",
    "unstable",
    "oldstable-backports",
];

/// Debian's own keys.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Finds or fetches the source and returns its `library` directory.
///
/// # Errors
///
/// When it cannot be had; the message says what would bring it.
pub fn ensure(workspace: &Workspace, toolchain: &Toolchain) -> Result<PathBuf> {
    let version = &toolchain.version.semver.to_string();
    let with_toolchain = toolchain.sysroot.join("lib/rustlib/src/rust/library");
    if is_library(&with_toolchain) || rustup_adds_source(workspace) && is_library(&with_toolchain) {
        return Ok(with_toolchain);
    }
    let directory = workspace.provisioned().join("rust-src").join(version);
    let library = directory.join("library");
    if !is_library(&library) {
        from_debian(&directory, version).with_context(|| {
            format!(
                "the source of Rust's library {version} is needed and could not be had; \
                 `rustup target add {} {}` would do instead",
                crate::cross::DRIVER_TARGET,
                crate::cross::APP_TARGET
            )
        })?;
    }
    Ok(library)
}

fn is_library(directory: &Path) -> bool {
    directory.join("core/src/lib.rs").is_file() && directory.join("std/Cargo.toml").is_file()
}

fn rustup_adds_source(workspace: &Workspace) -> bool {
    let mut rustup = Command::new("rustup");
    rustup
        .current_dir(workspace.root())
        .args(["component", "add", "rust-src"]);
    process::read(&mut rustup).is_ok()
}

/// Fetches Debian's package of the library's source and unpacks it into `directory`.
fn from_debian(directory: &Path, version: &str) -> Result<()> {
    if !packages::on_path("apt-get") || !packages::on_path("dpkg-deb") {
        bail!("this machine has no apt");
    }
    let mirror = debian_mirror()?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    for suite in SUITES {
        let apt = Apt::new(&directory.join("apt"), &mirror, suite)?;
        if apt.update().is_err() {
            continue;
        }
        if let Some(package_version) = apt.version_of_rust_src(version)? {
            eprintln!("fetching the source of Rust's library {version} from Debian's {suite}");
            let package = apt.download(&package_version)?;
            return unpack(&package, directory, version);
        }
    }
    bail!("no suite on the Debian mirror has rust-src {version}");
}

/// The address of the Debian mirror in apt's configuration.
fn debian_mirror() -> Result<String> {
    let query = || {
        let mut indexes = Command::new("apt-get");
        indexes.args([
            "indextargets",
            "--format",
            "$(ORIGIN)|$(LABEL)|$(REPO_URI)",
            "Created-By: Packages",
        ]);
        process::read(&mut indexes).map(|list| {
            list.lines()
                .find_map(|line| line.strip_prefix("Debian|Debian|"))
                .map(str::to_owned)
        })
    };
    if let Some(mirror) = query()? {
        return Ok(mirror);
    }
    // Origins are known only once an index has been fetched.
    if let Some(mut update) = packages::apt_get() {
        process::read(update.arg("update"))?;
    }
    query()?.context("apt's configuration names no Debian mirror")
}

/// apt with sources and state of its own.
struct Apt {
    directory: PathBuf,
}

impl Apt {
    fn new(directory: &Path, mirror: &str, suite: &str) -> Result<Self> {
        for part in ["lists/partial", "cache/archives/partial", "sources"] {
            let path = directory.join(part);
            fs::create_dir_all(&path).with_context(|| format!("cannot create {}", path.display()))?;
        }
        let signed_by = if Path::new(KEYRING).exists() {
            format!("[signed-by={KEYRING}] ")
        } else {
            String::new()
        };
        fs::write(
            directory.join("sources.list"),
            format!("deb {signed_by}{mirror} {suite} main\n"),
        )?;
        Ok(Self {
            directory: directory.to_owned(),
        })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory);
        let options = [
            ("Dir::Etc::SourceList", "sources.list"),
            ("Dir::Etc::SourceParts", "sources"),
            ("Dir::State::Lists", "lists"),
            ("Dir::Cache", "cache"),
        ];
        for (option, path) in options {
            command
                .arg("-o")
                .arg(format!("{option}={}", self.directory.join(path).display()));
        }
        // As root, apt drops to a user that cannot write here.
        command.args(["-o", "APT::Sandbox::User=root"]);
        command
    }

    fn update(&self) -> Result<()> {
        process::read(
            self.command("apt-get")
                .args(["-o", "APT::Update::Error-Mode=any", "update"]),
        )
        .map(drop)
    }

    /// The version of the package that has upstream's `version`, if the suite has it.
    fn version_of_rust_src(&self, version: &str) -> Result<Option<String>> {
        let table = process::read(self.command("apt-cache").args(["madison", "rust-src"]))?;
        Ok(table
            .lines()
            .filter_map(|line| line.split('|').nth(1))
            .map(str::trim)
            .find(|candidate| is_upstream(candidate, version))
            .map(str::to_owned))
    }

    fn download(&self, package_version: &str) -> Result<PathBuf> {
        let package = format!("rust-src={package_version}");
        process::read(self.command("apt-get").args(["download", &package]))?;
        fs::read_dir(&self.directory)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .context("apt-get download left no package behind")
    }
}

/// Whether a Debian version such as `1.95.0+dfsg1-2~bpo13+1` packages upstream's `version`.
fn is_upstream(package_version: &str, version: &str) -> bool {
    package_version
        .strip_prefix(version)
        .is_some_and(|rest| rest.starts_with(['+', '-', '~']))
}

/// Unpacks the `library` directory and removes the package.
fn unpack(package: &Path, directory: &Path, version: &str) -> Result<()> {
    let mut archive = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start dpkg-deb")?;
    let contents = archive.stdout.take().context("dpkg-deb has no output")?;
    let mut tar = Command::new("tar");
    tar.arg("-x").arg("-C").arg(directory).arg("--strip-components=4");
    tar.arg(format!("./usr/src/rustc-{version}/library")).stdin(contents);
    let unpacked = process::read(&mut tar);
    let archive_status = archive.wait()?;
    unpacked?;
    if !archive_status.success() {
        bail!("dpkg-deb cannot read {}", package.display());
    }
    fs::remove_file(package).with_context(|| format!("cannot remove {}", package.display()))
}

#[cfg(test)]
mod tests {
    use super::is_upstream;

    #[test]
    fn debian_versions_name_their_upstream() {
        assert!(is_upstream("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_upstream("1.95.0-1", "1.95.0"));
        assert!(!is_upstream("1.95.01-1", "1.95.0"));
        assert!(!is_upstream("1.94.1+dfsg1-1", "1.95.0"));
    }
}
