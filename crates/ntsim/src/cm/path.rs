//! Names of keys.

/// What `CurrentControlSet` leads to.
const CURRENT_CONTROL_SET: &str = "\\registry\\machine\\system\\currentcontrolset";
const CONTROL_SET: &str = "\\registry\\machine\\system\\controlset001";

/// The one form of an absolute path by which a key is known: in lower case, with symbolic links followed and no `\` at its end.
pub(crate) fn canonical(path: &str) -> String {
    let path = path.to_lowercase();
    let path = path.trim_end_matches('\\');
    match path.strip_prefix(CURRENT_CONTROL_SET) {
        Some(rest) if rest.is_empty() || rest.starts_with('\\') => format!("{CONTROL_SET}{rest}"),
        _ => path.to_owned(),
    }
}

/// The key above one.
pub(super) fn parent(canonical: &str) -> Option<&str> {
    let (parent, _) = canonical.rsplit_once('\\')?;
    Some(parent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_the_current_control_set_do_not_matter() {
        let one = canonical("\\Registry\\Machine\\System\\CurrentControlSet\\Services\\x\\");
        assert_eq!(
            one,
            canonical("\\REGISTRY\\MACHINE\\SYSTEM\\ControlSet001\\Services\\X")
        );
        assert_eq!(
            canonical("\\Registry\\Machine\\System\\CurrentControlSetX"),
            "\\registry\\machine\\system\\currentcontrolsetx"
        );
        assert_eq!(
            parent(&one),
            Some("\\registry\\machine\\system\\controlset001\\services")
        );
    }
}
