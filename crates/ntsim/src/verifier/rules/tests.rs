//! The table is what it says of itself.

use std::collections::BTreeSet;

use super::{After, all, find};
use crate::verifier::{RuleSet, Setting};

#[test]
fn every_rule_has_one_name_advice_and_a_page() {
    let mut names = BTreeSet::new();
    for rule in all() {
        assert!(names.insert(rule.name), "{} is in the table twice", rule.name);
        assert!(
            rule.name
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
            "{} is not in kebab case",
            rule.name
        );
        assert!(rule.advice.ends_with('.'), "{}: advice is a sentence", rule.name);
        assert!(!rule.page.is_empty() && !rule.page.starts_with('/'), "{}", rule.name);
    }
}

#[test]
fn a_set_of_rules_has_room_for_all() {
    assert!(all().count() <= RuleSet::ROOM);
}

#[test]
fn what_windows_stops_by_itself_cannot_be_let_pass() {
    let kernel: Vec<_> = all().filter(|rule| rule.setting == Setting::Kernel).collect();
    assert!(!kernel.is_empty());
    for rule in kernel {
        assert_eq!(rule.after, After::Stops, "{}", rule.name);
    }
    assert!(find("no-such-rule").is_none());
}
