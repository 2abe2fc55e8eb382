//! That a reachable panic fails a build.

use anyhow::{Result, bail};

use super::packages::PLANTED_PANIC;
use crate::{
    build::{Builder, Profile},
    image::Check,
    process::Show,
    workspace::Workspace,
};

/// Builds the driver with the planted `unwrap` and checks that the image is refused for it, and for nothing else.
///
/// # Errors
///
/// When the build fails, the image is accepted, or it is refused for another reason.
pub fn is_refused(workspace: &Workspace) -> Result<String> {
    let builder = Builder::new(workspace, Profile::Release, Show::OnFailure)?;
    let builder = builder.into_directory(workspace.provisioned().join(PLANTED_PANIC));
    let image = builder.driver(PLANTED_PANIC)?;
    let findings = builder.check(&image, &builder.known_exports()?)?;
    if let Some(other) = findings.iter().find(|finding| finding.check != Check::Panic) {
        bail!("the image is refused for another reason: {other}");
    }
    let by_symbols = findings.iter().any(|it| it.what.contains("contains core::panicking"));
    let by_import = findings.iter().any(|it| it.what.contains("imports"));
    if !by_symbols || !by_import {
        bail!("the image has an unwrap in it, and this is all that was found: {findings:?}");
    }
    Ok(format!("refused by {} findings", findings.len()))
}
