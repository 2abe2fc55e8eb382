//! `cargo xtask build`: the driver, the test drivers, eductl.exe; and the checks of what came out.

pub mod test_drivers;

use std::{
    env,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    slice,
};

use anyhow::{Context, Result, bail};
use version_resource::{Kind, Version};

use crate::{
    cross::{APP_TARGET, Cross, DRIVER_TARGET},
    image::{self, Expectation, Expected, Finding, KnownExports},
    process::Show,
    workspace::Workspace,
};

/// How things are compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// Optimised, as shipped.
    Release,
    /// Unoptimised, with debug assertions.
    Debug,
}

impl Profile {
    /// The profile that `--debug` selects.
    pub fn from_debug_flag(debug: bool) -> Self {
        if debug { Self::Debug } else { Self::Release }
    }

    /// The name of the profile's directory.
    pub fn directory(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }

    /// The name that cargo's `--profile` takes.
    fn cargo_name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "dev",
        }
    }
}

/// The shipped driver's package.
const DRIVER: &str = "customdpc";

/// The shipped driver.
const DRIVER_FILE: &str = "customdpc.sys";

/// The app for Windows.
pub const APP: &str = "eductl.exe";

/// Builds everything for Windows into `target/driver/<profile>` and checks the driver images, whose paths it returns.
///
/// # Errors
///
/// When set-up or compilation fails, or an image is not what it must be.
pub fn build(workspace: &Workspace, profile: Profile, show: Show) -> Result<Vec<PathBuf>> {
    let builder = Builder::new(workspace, profile, show)?;
    builder.cross.check_app_links()?;
    let mut images = vec![builder.driver(DRIVER)?];
    images.extend(builder.drivers(&test_drivers::names(workspace)?)?);
    builder.app()?;
    builder.check_all(&images)?;
    builder.check_app()?;
    Ok(images)
}

/// Builds the shipped driver alone, checks its image, and returns its path.
///
/// # Errors
///
/// As [`build`].
pub fn shipped_driver(workspace: &Workspace, profile: Profile, show: Show) -> Result<PathBuf> {
    let builder = Builder::new(workspace, profile, show)?;
    let driver = builder.driver(DRIVER)?;
    builder.check_all(slice::from_ref(&driver))?;
    Ok(driver)
}

/// Builds what ships, the driver and eductl.exe, checks the driver's image, and returns the directory of both.
///
/// # Errors
///
/// As [`build`].
pub fn shipped(workspace: &Workspace, profile: Profile, show: Show) -> Result<PathBuf> {
    let builder = Builder::new(workspace, profile, show)?;
    builder.cross.check_app_links()?;
    let driver = builder.driver(DRIVER)?;
    builder.app()?;
    builder.check_all(slice::from_ref(&driver))?;
    builder.check_app()?;
    Ok(builder.output)
}

/// Builds for Windows with one profile.
pub struct Builder<'w> {
    workspace: &'w Workspace,
    profile: Profile,
    show: Show,
    cross: Cross<'w>,
    output: PathBuf,
}

impl<'w> Builder<'w> {
    /// Sets up what is missing.
    ///
    /// # Errors
    ///
    /// When something is missing that cannot be fetched.
    pub fn new(workspace: &'w Workspace, profile: Profile, show: Show) -> Result<Self> {
        Ok(Self {
            workspace,
            profile,
            show,
            cross: Cross::prepare(workspace)?,
            output: workspace.output(profile.directory()),
        })
    }

    /// Puts the results into `directory`, apart from those of a build.
    pub fn into_directory(self, directory: PathBuf) -> Self {
        Self {
            output: directory,
            ..self
        }
    }

    /// Builds the driver of the package `name` and returns its image.
    ///
    /// # Errors
    ///
    /// When it does not compile or link.
    pub fn driver(&self, name: &str) -> Result<PathBuf> {
        let mut images = self.drivers(&[name.to_owned()])?;
        images.pop().context("one package has one image")
    }

    /// Builds the drivers of several packages at once, with cargo's features unified over them: the shipped driver is
    /// always built by itself.
    fn drivers(&self, names: &[String]) -> Result<Vec<PathBuf>> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let mut cargo = self.cross.cargo("build");
        cargo.args(["--profile", self.profile.cargo_name()]);
        for name in names {
            cargo.args(["--package", name]);
        }
        self.show.run(&mut cargo)?;

        names.iter().map(|name| self.publish_driver(name)).collect()
    }

    /// Puts a driver's image and its PDB where the results of a build are found.
    fn publish_driver(&self, name: &str) -> Result<PathBuf> {
        let library = name.replace('-', "_");
        let pdb_name = format!("{library}.pdb");
        let from = self.cargo_output(DRIVER_TARGET);
        let mut image = read(&from.join(format!("{library}.dll")))?;
        let mut pdb = read(&from.join(&pdb_name))?;
        image::finish(&mut image, &mut pdb).with_context(|| format!("cannot make {name}.sys"))?;
        self.publish(&pdb_name, &pdb)?;
        self.publish(&format!("{name}.sys"), &image)
    }

    /// Builds eductl.exe.
    fn app(&self) -> Result<()> {
        let mut cargo = self.cross.cargo_for_app("build");
        cargo.args([
            "--profile",
            self.profile.cargo_name(),
            "--package",
            "eductl",
            "--bin",
            "eductl",
        ]);
        self.show.run(&mut cargo)?;
        self.publish(APP, &read(&self.cargo_output(APP_TARGET).join(APP))?)
            .map(drop)
    }

    /// Where cargo puts what it builds for a target.
    fn cargo_output(&self, target: &str) -> PathBuf {
        self.workspace
            .cross_target()
            .join(target)
            .join(self.profile.directory())
    }

    /// Puts a result where the results of a build are found, unless it is there already: its time stamp then tells when it
    /// last changed.
    fn publish(&self, name: &str, contents: &[u8]) -> Result<PathBuf> {
        fs::create_dir_all(&self.output).with_context(|| format!("cannot create {}", self.output.display()))?;
        let path = self.output.join(name);
        if fs::read(&path).is_ok_and(|published| published == contents) {
            return Ok(path);
        }
        fs::write(&path, contents).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }

    /// The exports of Windows that the images were linked against.
    ///
    /// # Errors
    ///
    /// When the import libraries cannot be read.
    pub fn known_exports(&self) -> Result<KnownExports> {
        KnownExports::read(self.cross.import_libraries())
    }

    /// Checks an image.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn check(&self, image: &Path, known: &KnownExports) -> Result<Vec<Finding>> {
        let mut build_directories = vec![self.workspace.root().to_owned()];
        // A home that is the root directory is in every path.
        build_directories.extend(env::home_dir().filter(|home| home.parent().is_some()));
        let expectation = Expectation {
            known,
            optimised: self.profile == Profile::Release,
            build_directories: &build_directories,
            version: (image.file_name() == Some(OsStr::new(DRIVER_FILE))).then_some(Expected {
                file: DRIVER_FILE,
                kind: Kind::Driver,
                version: workspace_version()?,
            }),
        };
        image::check(image, &expectation)
    }

    /// Checks images and fails for what is found.
    fn check_all(&self, images: &[PathBuf]) -> Result<()> {
        let known = self.known_exports()?;
        let mut refusals = Vec::new();
        for image in images {
            for finding in self.check(image, &known)? {
                refusals.push(format!("{}: {finding}", self.relative(image).display()));
            }
        }
        fail_for(&refusals)
    }

    /// Checks what Windows shows of eductl.exe.
    fn check_app(&self) -> Result<()> {
        let expected = Expected {
            file: APP,
            kind: Kind::Program,
            version: workspace_version()?,
        };
        let findings = image::check_version(&read(&self.output.join(APP))?, &expected);
        let refusals: Vec<String> = findings.iter().map(|finding| format!("{APP}: {finding}")).collect();
        fail_for(&refusals)
    }

    /// `path` as seen from the workspace's root.
    fn relative<'p>(&self, path: &'p Path) -> &'p Path {
        path.strip_prefix(self.workspace.root()).unwrap_or(path)
    }
}

fn fail_for(refusals: &[String]) -> Result<()> {
    if !refusals.is_empty() {
        bail!("images failed their checks\n{}", refusals.join("\n"));
    }
    Ok(())
}

/// The workspace has one version for all its packages, this one among them.
fn workspace_version() -> Result<Version> {
    let mut version = Version::default();
    for (number, text) in version.iter_mut().zip(env!("CARGO_PKG_VERSION").split('.')) {
        *number = text.parse().context("the workspace's version is no file version")?;
    }
    Ok(version)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}
