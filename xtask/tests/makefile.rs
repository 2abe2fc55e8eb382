//! Whether `Makefile.toml` says what a build on Windows needs; only Windows can run it.

use std::{fs, path::Path};

use toml::{Table, Value};

fn makefile() -> Table {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Makefile.toml");
    let text = fs::read_to_string(path).expect("Makefile.toml is there");
    text.parse().expect("Makefile.toml is TOML")
}

#[test]
fn it_extends_the_flow_of_wdk_build_for_the_root_package_only() {
    let makefile = makefile();
    assert_eq!(makefile["extend"].as_str(), Some("target/rust-driver-makefile.toml"));
    assert_eq!(makefile["config"]["default_to_workspace"].as_bool(), Some(false));
    let script = makefile["config"]["load_script"]
        .as_str()
        .expect("there is a load script");
    assert!(script.contains("load_rust_driver_makefile"));
}

#[test]
fn it_builds_the_driver_not_the_default_members() {
    let makefile = makefile();
    let arguments = makefile["tasks"]["build"]["args"]
        .as_array()
        .expect("build has arguments");
    let arguments: Vec<&str> = arguments.iter().filter_map(Value::as_str).collect();
    assert!(arguments.windows(2).any(|pair| pair == ["--package", "customdpc"]));
    assert!(
        arguments
            .iter()
            .any(|argument| argument.contains("CARGO_MAKE_CARGO_BUILD_TEST_FLAGS"))
    );
}

#[test]
fn it_takes_the_inf_template_from_inf() {
    let makefile = makefile();
    let task = &makefile["tasks"]["copy-inx-to-output"];
    // Not with wdk-build's script: that one is a Rust program which finds its dependency beside wdk-build's own makefile.
    assert_eq!(task["clear"].as_bool(), Some(true));
    assert_eq!(task["script_runner"].as_str(), Some("@duckscript"));
    let script = task["script"].as_str().expect("there is a script");
    assert!(script.contains("/inf/${CARGO_MAKE_CRATE_FS_NAME}.inx\" \"${WDK_BUILD_OUTPUT_DIRECTORY}/"));
    assert!(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../inf/customdpc.inx")
            .is_file()
    );
}

/// What the package has beside the files that wdk-build puts into it.
#[test]
fn the_package_has_the_signed_app() {
    let makefile = makefile();
    let tasks = &makefile["tasks"];
    let names = |task: &str| -> Vec<&str> {
        let dependencies = tasks[task]["dependencies"].as_array().expect("there are dependencies");
        dependencies.iter().filter_map(Value::as_str).collect()
    };
    assert!(names("package-driver").contains(&"sign-app"));
    assert!(names("sign-app").contains(&"copy-app-to-package"));
    assert!(names("copy-app-to-package").contains(&"build-app"));
    assert_eq!(tasks["sign-app"]["run_task"].as_str(), Some("signtool-sign"));
    let signed = tasks["sign-app"]["env"]["WDK_BUILD_SIGNTOOL_SIGN_INPUT_FILE"].as_str();
    assert!(signed.is_some_and(|path| path.ends_with("_package/eductl.exe")));
}

#[test]
fn the_package_has_the_scripts() {
    let makefile = makefile();
    let dependencies = makefile["tasks"]["package-driver"]["dependencies"].as_array();
    let names: Vec<&str> = dependencies.unwrap().iter().filter_map(Value::as_str).collect();
    assert!(names.contains(&"copy-scripts-to-package"));
    let script = makefile["tasks"]["copy-scripts-to-package"]["script"].as_str().unwrap();
    for pattern in ["/windows/*.ps1\"", "/windows/*.psm1\""] {
        assert!(script.contains(pattern), "{pattern}");
    }
}

/// As in the package that `cargo xtask package` makes: Windows 10, version 2004, to Windows 11, version 24H2.
#[test]
fn the_catalog_is_for_the_same_releases_of_windows() {
    let makefile = makefile();
    let systems = &makefile["tasks"]["inf2cat"]["env"]["WDK_BUILD_INF2CAT_OS"];
    assert_eq!(
        systems["value"].as_str(),
        Some("10_VB_X64,10_CO_X64,10_NI_X64,10_GE_X64")
    );
}
