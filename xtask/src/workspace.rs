//! Where things lie in the tree.

use std::path::{Path, PathBuf};

/// The project's directories.
pub struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The workspace that this program was built in.
    pub fn locate() -> Self {
        let package = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = package.parent().expect("xtask lies in the workspace's root").to_owned();
        Self { root }
    }

    /// The root, which is also the driver's package.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Everything that set-up makes: import libraries, library source, sysroot.
    pub fn provisioned(&self) -> PathBuf {
        self.root.join("target/cross")
    }

    /// Cargo's target directory for cross builds, apart from the host's so that neither waits for the other's lock.
    pub fn cross_target(&self) -> PathBuf {
        self.provisioned().join("build")
    }

    /// The results of a build: `customdpc.sys` and what belongs to it.
    pub fn output(&self, profile: &str) -> PathBuf {
        self.root.join("target/driver").join(profile)
    }

    /// The driver package.
    pub fn package(&self) -> PathBuf {
        self.root.join("target/package")
    }

    /// What requests cost the release build when that was written down.
    pub fn bench_baseline(&self) -> PathBuf {
        self.root.join("bench/baseline.json")
    }

    /// What the last run of a virtual machine left.
    pub fn vm(&self) -> PathBuf {
        self.root.join("target/vm")
    }

    /// The scripts for Windows.
    pub fn scripts(&self) -> PathBuf {
        self.root.join("windows")
    }

    /// The template of the driver's INF.
    pub fn inf_template(&self) -> PathBuf {
        self.root.join("inf/customdpc.inx")
    }

    /// The lockfile of builds on Windows and of what runs here.
    pub fn lockfile(&self) -> PathBuf {
        self.root.join("Cargo.lock")
    }

    /// The lockfile of cross builds: the tree's own, but for the patched-in stand-in.
    pub fn cross_lockfile(&self) -> PathBuf {
        self.root.join("cross/Cargo.lock")
    }

    /// The stand-in for Microsoft's wdk-build.
    pub fn wdk_build(&self) -> PathBuf {
        self.root.join("cross/wdk-build")
    }
}
