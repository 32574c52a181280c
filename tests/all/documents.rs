//! What the documents show is what the product does.

use std::fs;
use std::path::{Path, PathBuf};

use scopegate::config::{self, RegistryFile};
use scopegate::model::Reason;
use scopegate::registry::{Plan, PlanOptions, Registry};

fn root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    fs::read_to_string(root(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_configuration_and_the_registry_that_are_shipped_are_good() {
    let config = config::load(&root("config/scopegate.toml")).unwrap();
    let file = RegistryFile::load(&root("config/registry.example.toml")).unwrap();
    let plan = Plan::new(&Registry::default(), file.desired(), &config.grants, PlanOptions::default()).unwrap();
    assert!(plan.0.len() > 3, "{:?}", plan.0);
}

#[test]
fn the_program_in_the_readme_is_the_example_that_is_compiled() {
    let readme = read("README.md");
    let (_, block) = readme.split_once("```rust\n").unwrap();
    let (shown, _) = block.split_once("```").unwrap();
    let example = read("examples/layer.rs");
    let (_, program) = example.split_once("\n\n").unwrap();
    assert_eq!(shown.trim(), program.trim());
}

/// As forges make them of headings.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    heading
        .trim_start_matches('#')
        .trim()
        .to_lowercase()
        .chars()
        .filter(kept)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_within_a_document_leads_to_a_heading_and_the_operations_are_all_in_the_table() {
    for path in ["README.md", "docs/operations.md", "docs/reasons.md", "docs/access-log.md", "docs/metrics.md"] {
        let document = read(path);
        let anchors: Vec<_> = document.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
        let links = document.split("](#").skip(1).map(|rest| rest.split(')').next().unwrap());
        for link in links {
            assert!(anchors.iter().any(|anchor| anchor == link), "{path}: #{link} leads nowhere");
        }
    }
    let operations = read("docs/operations.md");
    let headings: Vec<_> = operations.lines().filter(|line| line.starts_with("## ")).collect();
    assert!(headings.len() > 10);
    for heading in headings {
        assert!(
            operations.contains(&format!("](#{})", anchor(heading))),
            "{heading} is not in the table of docs/operations.md"
        );
    }
}

#[test]
fn every_reason_is_documented_with_its_status() {
    let document = read("docs/reasons.md");
    for reason in Reason::ALL {
        let line = document.lines().find(|line| line.starts_with(&format!("| `{}` |", reason.code())));
        let line = line.unwrap_or_else(|| panic!("{reason} is not in docs/reasons.md"));
        assert!(line.contains(&reason.status().to_string()), "{line}");
    }
}
