//! The programs in examples/ call a gateway.

use std::fs;
use std::process::{Command, Output};

use scopegate::jose::SigningKey;
use scopegate::model::Algorithm;
use scopegate::secret::Secret;
use serde_json::{Value, json};

use super::{APP_ID, KEY, world};
use crate::e2e::harness::texts;
use crate::e2e::interop::{library, root, run};

#[expect(dead_code, reason = "its main is the example's own")]
#[path = "../../../../examples/call_app.rs"]
mod call_app;

fn answered() -> Value {
    json!({ "status": 200, "body": "from the upstream" })
}

#[track_caller]
fn succeeded(output: &Output) {
    let (out, err) = texts(output);
    assert_eq!(output.status.code(), Some(0), "{err}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), answered());
}

#[test]
fn f164_the_typescript_example_calls_the_gateway() {
    library("node_modules/typescript");
    let folder = tempfile::tempdir_in(root().join("target/interop")).unwrap();
    fs::copy(root().join("examples/call_app.mts"), folder.path().join("call_app.mts")).unwrap();
    let mut compiler = Command::new("node");
    compiler.arg("../node_modules/typescript/bin/tsc").current_dir(folder.path());
    compiler.args(["--strict", "--skipLibCheck", "--module", "nodenext", "--target", "es2022", "--types", "node"]);
    run(compiler.args(["--noEmitOnError", "call_app.mts"]), "");

    let script = folder.path().join("call_app.mjs");
    let call = |environment: &[(&str, &str)]| {
        world().program("node", environment).arg(&script).arg(&world().url).output().unwrap()
    };
    let in_one_line = KEY.replace('\n', "\\n");
    succeeded(&call(&[("SCOPEGATE_APP_ID", APP_ID), ("SCOPEGATE_PRIVATE_KEY", &in_one_line)]));
    succeeded(&call(&[("SCOPEGATE_APP_ID", APP_ID), ("SCOPEGATE_PRIVATE_KEY_FILE", "app.key")]));
    let missing = call(&[("SCOPEGATE_PRIVATE_KEY_FILE", "app.key")]);
    assert!(missing.status.code() == Some(1) && texts(&missing).1.contains("SCOPEGATE_APP_ID is not set"));
    assert_eq!(
        call(&[("SCOPEGATE_APP_ID", "other"), ("SCOPEGATE_PRIVATE_KEY_FILE", "app.key")]).status.code(),
        Some(1)
    );
}

#[test]
fn f165_the_python_example_asks_for_the_key_and_the_app_and_calls_the_gateway() {
    let python = library("venv/bin/python");
    let call = |arguments: &[&str], environment: &[(&str, &str)], input: &str| {
        let mut command = world().program(python.to_str().unwrap(), environment);
        command.arg(root().join("examples/call_app.py")).args(arguments);
        fs::write(world().gateway.setup.path().join("answers.txt"), input).unwrap();
        command.stdin(fs::File::open(world().gateway.setup.path().join("answers.txt")).unwrap()).output().unwrap()
    };
    let answers = format!("app.key\n{APP_ID}\n");
    let asked = call(&[&world().url], &[], &answers);
    succeeded(&asked);
    assert_eq!(texts(&asked).1, "Path of the private key: The app's id: ");
    let token = call(&[], &[], &answers);
    assert_eq!(world().call(&texts(&token).0).status, 200);
    let in_one_line = KEY.replace('\n', "\\n");
    let set = [("SCOPEGATE_APP_ID", APP_ID), ("SCOPEGATE_PRIVATE_KEY", in_one_line.as_str())];
    let silent = call(&[&world().url], &set, "");
    succeeded(&silent);
    assert_eq!(texts(&silent).1, "");
    let missing = call(&[&world().url], &[], "");
    assert!(missing.status.code() == Some(1) && texts(&missing).1.contains("no answer to: Path of the private key"));
}

#[test]
fn the_rust_example_calls_the_gateway() {
    let key = SigningKey::from_pem(&Secret::new(KEY), Algorithm::Rs256).unwrap();
    let answer = call_app::call(&world().url, APP_ID, &key).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("from the upstream"), "{answer}");
    assert!(call_app::call(&world().url, "other", &key).unwrap().starts_with("HTTP/1.1 401"));
}
