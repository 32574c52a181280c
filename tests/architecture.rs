//! The rules that no compiler checks: which module may use which, and how long anything may become.

#[path = "architecture/scan.rs"]
mod scan;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use scan::{Source, functions, line_of, paths};

/// A module uses only modules of later rows; those of one row do not know each other.
const ROWS: [&[&str]; 11] = [
    &["main"],
    &["cli"],
    &["process"],
    &["config"],
    &["gateway", "admin", "endpoints", "load"],
    &["policy", "tokens"],
    &["verify", "issuers"],
    &["registry", "replay", "net"],
    &["jose"],
    &["model", "password"],
    &["secret", "clock", "files", "health"],
];

/// Adapters at the edge: (module, who may name it, what it may use).
const EDGES: [(&str, &[&str], &[&str]); 2] = [
    (
        "store",
        &["process", "cli"],
        &["tokens", "registry", "replay", "jose", "model", "password", "secret", "clock", "files", "health"],
    ),
    (
        "telemetry",
        &["process", "cli"],
        &["gateway", "policy", "registry", "net", "jose", "model", "secret", "clock", "health"],
    ),
];

/// Crates that one module alone names.
const OWNED: [(&str, &str); 7] = [
    ("jsonwebtoken", "jose"),
    ("argon2", "password"),
    ("sqlx", "store"),
    ("governor", "gateway"),
    ("figment", "config"),
    ("toml", "config"),
    ("toml_edit", "config"),
];

const CATCH_ALLS: [&str; 8] = ["util", "utils", "common", "helper", "helpers", "misc", "prelude", "shared"];

const MAX_FILE: usize = 600;
const MAX_FUNCTION: usize = 100;
const MAX_P90: usize = 25;
const MAX_MAIN: usize = 40;

#[test]
fn modules_use_only_what_stands_below_them() {
    assert_none(&sources("src"), wrong_arrows);
}

#[test]
fn each_of_these_crates_is_named_by_one_module() {
    assert_none(&sources("src"), foreign_crates);
}

#[test]
fn files_and_functions_are_short() {
    let (src, tests) = (sources("src"), sources("tests"));
    assert_none(&src, too_long);
    assert_none(&tests, too_long);
    let p90 = ninetieth(&src);
    assert!(p90 <= MAX_P90, "a tenth of the functions in src have {p90} lines or more; {MAX_P90} are allowed");
}

#[test]
fn no_module_is_a_catch_all_and_no_import_hides_its_names() {
    assert_none(&sources("src"), catch_alls);
    assert_none(&sources("src"), globs);
}

#[test]
fn lints_are_expected_and_never_allowed() {
    assert_none(&sources("src"), allows);
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    read_folder(root, &root.join(folder), &mut found);
    assert!(found.len() > 1, "{folder} holds no source");
    found
}

fn read_folder(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    for path in entries.map(|e| e.path()) {
        if path.is_dir() {
            read_folder(root, &path, found);
        } else if path.extension().is_some_and(|e| e == "rs")
            && let (Ok(name), Ok(text)) = (path.strip_prefix(root), std::fs::read_to_string(&path))
        {
            found.push(Source::new(&name.to_string_lossy(), &text));
        }
    }
}

/// A rule gives each place that breaks it as (line, what is wrong).
type Faults = Vec<(usize, String)>;

fn assert_none(sources: &[Source], rule: impl Fn(&Source) -> Faults) {
    let mut report = String::new();
    for source in sources {
        for (line, what) in rule(source) {
            _ = writeln!(report, "{}:{line}: {what}", source.path);
        }
    }
    assert!(report.is_empty(), "\n{report}");
}

fn row(module: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&module))
}

/// Why `from` may not use `to`, if it may not.
fn forbidden(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    if let Some((_, users, _)) = EDGES.iter().find(|(edge, _, _)| *edge == to) {
        return (!users.contains(&from)).then(|| format!("{to} is named by {} alone, not by {from}", users.join(", ")));
    }
    let Some(to_row) = row(to) else { return Some(format!("{to} has no place in the table of modules")) };
    if let Some((_, _, used)) = EDGES.iter().find(|(edge, _, _)| *edge == from) {
        return (!used.contains(&to)).then(|| format!("{from} may use {}, not {to}", used.join(", ")));
    }
    let Some(from_row) = row(from) else { return Some(format!("{from} has no place in the table of modules")) };
    (to_row <= from_row).then(|| format!("{from} may not use {to}, which stands beside or above it"))
}

fn wrong_arrows(source: &Source) -> Faults {
    let module = source.module();
    let own = module[0];
    if own == "lib" {
        return Vec::new();
    }
    let uses = used_modules(source, &module);
    uses.into_iter().filter_map(|(line, used)| Some((line, forbidden(own, &used)?))).collect()
}

/// The top-level modules that a file names, by `crate::`, by enough `super::`, or by the crate's own name.
fn used_modules(source: &Source, module: &[&str]) -> BTreeSet<(usize, String)> {
    let mut used = BTreeSet::new();
    for root in ["crate", "scopegate"] {
        for named in paths(&source.product, root) {
            used.extend(named.segments.get(1).map(|top| (named.line, top.clone())));
        }
    }
    for named in paths(&source.product, "super") {
        let climbs = named.segments.iter().take_while(|s| *s == "super").count();
        if climbs >= module.len() {
            used.extend(named.segments.get(climbs).map(|top| (named.line, top.clone())));
        }
    }
    used.retain(|(_, name)| name.starts_with(|c: char| c.is_ascii_lowercase()));
    used
}

fn foreign_crates(source: &Source) -> Faults {
    let mut faults = Vec::new();
    for (name, owner) in OWNED.iter().filter(|(_, owner)| source.module()[0] != *owner) {
        let places = paths(&source.code, name);
        faults.extend(places.into_iter().map(|n| (n.line, format!("only {owner} names {name}"))));
    }
    faults
}

fn too_long(source: &Source) -> Faults {
    let mut faults = Vec::new();
    let limit = if source.path == "src/main.rs" { MAX_MAIN - 1 } else { MAX_FILE };
    if source.raw_lines > limit {
        faults.push((limit, format!("the file has {} lines; {limit} are allowed", source.raw_lines)));
    }
    for function in functions(&source.code).into_iter().filter(|f| f.length > MAX_FUNCTION) {
        let what = format!("{} has {} lines; {MAX_FUNCTION} are allowed", function.name, function.length);
        faults.push((function.line, what));
    }
    faults
}

/// Nine in ten functions have fewer lines, or as many.
fn ninetieth(sources: &[Source]) -> usize {
    let mut lengths: Vec<_> = sources.iter().flat_map(|s| functions(&s.code)).map(|f| f.length).collect();
    lengths.sort_unstable();
    lengths.get(lengths.len() * 9 / 10).copied().unwrap_or_default()
}

fn catch_alls(source: &Source) -> Faults {
    let module = source.module();
    let bad = module.iter().filter(|name| CATCH_ALLS.contains(name));
    let mut faults: Faults = bad.map(|name| (1, format!("{name} says nothing about what is in it"))).collect();
    for name in CATCH_ALLS {
        let places = source.product.match_indices(&format!("mod {name} ")).map(|(at, _)| at).collect::<Vec<_>>();
        faults.extend(places.into_iter().map(|at| (line_of(&source.product, at), format!("a module named {name}"))));
    }
    faults
}

fn globs(source: &Source) -> Faults {
    let roots = ["crate", "super", "scopegate"];
    let named = roots.iter().flat_map(|root| paths(&source.product, root));
    let globs = named.filter(|n| n.segments.last().is_some_and(|s| s == "*"));
    globs.map(|n| (n.line, format!("{} hides what is used", n.segments.join("::")))).collect()
}

fn allows(source: &Source) -> Faults {
    let places = ["#[allow(", "#![allow("].into_iter().flat_map(|a| source.code.match_indices(a));
    places.map(|(at, _)| (line_of(&source.code, at), "write #[expect(…, reason = …)]".to_owned())).collect()
}

#[test]
fn the_rules_find_what_breaks_them() {
    let faults = |rule: fn(&Source) -> Faults, path: &str, text: &str| {
        rule(&Source::new(path, text)).into_iter().map(|(line, _)| line).collect::<Vec<_>>()
    };
    assert_eq!(faults(wrong_arrows, "src/gateway/admit.rs", "// crate::store\nuse crate::{model, store::Store};"), [2]);
    assert_eq!(faults(wrong_arrows, "src/gateway/admit.rs", "use crate::admin::Console;"), [1]);
    assert_eq!(faults(wrong_arrows, "src/model/id.rs", "use crate::jose;\nuse super::super::policy;"), [1, 2]);
    assert_eq!(faults(wrong_arrows, "src/model/id.rs", "use crate::unheard_of::X;"), [1]);
    assert_eq!(faults(wrong_arrows, "src/model/id.rs", "#[cfg(test)]\nmod tests { use crate::jose; }"), []);
    assert_eq!(faults(wrong_arrows, "src/store/rows.rs", "use crate::registry::App;\nuse crate::config::File;"), [2]);
    assert_eq!(faults(wrong_arrows, "src/process.rs", "use crate::store::Store;\nuse super::cli;"), [2]);
    assert_eq!(faults(wrong_arrows, "src/gateway/forward/body.rs", "use super::super::hygiene;"), []);
    assert_eq!(faults(foreign_crates, "src/verify/checks.rs", "fn f() { jsonwebtoken::decode(x) }"), [1]);
    assert_eq!(faults(foreign_crates, "src/jose/sign.rs", "use jsonwebtoken::EncodingKey;"), []);
    assert_eq!(faults(foreign_crates, "src/cli/export.rs", "use toml::Table; use toml_edit::Table;"), [1, 1]);
    assert_eq!(faults(allows, "src/a.rs", "\n#[allow(dead_code)]"), [2]);
    assert_eq!(faults(globs, "src/a.rs", "use crate::b::*;\nuse bytes::*;"), [1]);
    assert_eq!(faults(catch_alls, "src/gateway/util/mod.rs", ""), [1]);
    assert_eq!(faults(catch_alls, "src/a.rs", "\nmod helpers { }"), [2]);
}

#[test]
fn lengths_are_measured() {
    let long = |n| format!("fn f() {{\n{}}}\n", "x;\n".repeat(n));
    let file = |n| Source::new("src/a.rs", &long(n));
    assert!(too_long(&file(98)).is_empty());
    assert_eq!(too_long(&file(99)).len(), 1, "a function of 101 lines");
    assert_eq!(too_long(&file(600)).len(), 2, "and a file of 602");
    assert_eq!(too_long(&Source::new("src/main.rs", &"\n".repeat(40))).len(), 1);
    assert!(too_long(&Source::new("src/main.rs", &"\n".repeat(39))).is_empty());
    let mix = [file(8), file(8), file(8), file(8), file(8), file(8), file(8), file(8), file(8), file(48)];
    assert_eq!(ninetieth(&mix), 50);
    assert_eq!(ninetieth(&mix[..9]), 10);
}
