//! Makes and checks driver packages.

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use driver_package::{
    certificate,
    inf::{self, Inf},
    make::{Sources, make},
    pfx,
    time::Timestamp,
    verify,
};

/// Driver packages, made and checked on any host.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Make a package.
    Make(Make),
    /// Check a package: INF, catalog, signatures.
    Verify {
        /// The package's directory.
        directory: PathBuf,
    },
    /// Check INF files.
    CheckInf {
        /// The files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

#[derive(clap::Args)]
struct Make {
    /// The directory of the unsigned images and their PDBs.
    #[arg(long)]
    images: PathBuf,
    /// The template of the INF.
    #[arg(long)]
    template: PathBuf,
    /// A program to sign and put into the directory beside the driver.
    #[arg(long = "program")]
    programs: Vec<String>,
    /// The package's directory.
    #[arg(long)]
    output: PathBuf,
    /// Sign with the certificate in this PFX file, instead of a new test certificate.
    #[arg(long)]
    sign_with: Option<PathBuf>,
    /// The PFX file's password; without it, that in the variable `PFX_PASSWORD`.
    #[arg(long, requires = "sign_with")]
    password: Option<String>,
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Make(options) => make_package(&options),
        Command::Verify { directory } => verify_package(&directory),
        Command::CheckInf { files } => check_infs(&files),
    };
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

fn make_package(options: &Make) -> Result<ExitCode> {
    let source = options.template.parent().context("the template is in no directory")?;
    let time = Timestamp::of_source(source)?;
    let signer = match &options.sign_with {
        Some(path) => pfx::read(path, &password(options))?,
        None => certificate::make(time)?,
    };
    let programs: Vec<&str> = options.programs.iter().map(String::as_str).collect();
    let sources = Sources {
        images: &options.images,
        template: &options.template,
        programs: &programs,
        // The workspace has one version for all its packages.
        version: env!("CARGO_PKG_VERSION"),
        time,
        signer: &signer,
    };
    for name in make(&sources, &options.output)? {
        println!("{}", options.output.join(name).display());
    }
    println!("signed by {}", signer.certificate().tbs_certificate().subject());
    Ok(ExitCode::SUCCESS)
}

/// A command line can be seen by others, a variable cannot.
fn password(options: &Make) -> String {
    let given = options.password.clone();
    given.or_else(|| env::var("PFX_PASSWORD").ok()).unwrap_or_default()
}

fn verify_package(directory: &Path) -> Result<ExitCode> {
    let report = verify::package(directory)?;
    for right in &report.right {
        println!("ok     {right}");
    }
    for wrong in &report.wrong {
        println!("WRONG  {wrong}");
    }
    Ok(if report.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn check_infs(files: &[PathBuf]) -> Result<ExitCode> {
    let mut errors = 0;
    for path in files {
        let name = path.display();
        let contents = std::fs::read(path).with_context(|| format!("cannot read {name}"))?;
        let inf = Inf::parse(&inf::decode(&contents).with_context(|| name.to_string())?);
        for finding in inf::check(&inf) {
            println!("{name}: {finding}");
            errors += usize::from(finding.is_error());
        }
    }
    println!("{} files, {errors} errors", files.len());
    Ok(ExitCode::from(u8::from(errors > 0)))
}
