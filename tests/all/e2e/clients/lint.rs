//! Secrets in variables that browsers get.

use super::{APP_ID, KEY, world};
use crate::e2e::harness::texts;

#[test]
fn f169_secrets_in_variables_that_browsers_get_are_found() {
    let lint = |arguments: &[&str], environment: &[(&str, &str)]| {
        let output = world().run(&[&["jwt", "lint"][..], arguments].concat(), environment);
        let (out, err) = texts(&output);
        assert_eq!(err, "");
        (output.status.code(), out)
    };
    let clean = [("NEXT_PUBLIC_APP_ID", APP_ID), ("PRIVATE_KEY", KEY)];
    assert_eq!(lint(&[], &clean), (Some(0), "no secret is in a variable that browsers get\n".to_owned()));
    let (code, out) = lint(&[], &[("NEXT_PUBLIC_PRIVATE_KEY", KEY), ("VITE_TOKEN", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln")]);
    assert_eq!((code, out.lines().count()), (Some(1), 2), "{out}");
    assert!(out.contains("NEXT_PUBLIC_PRIVATE_KEY holds a private key") && out.contains("VITE_TOKEN holds a token"));
    assert!(!out.contains(&KEY[28..60]) && !out.contains("eyJ"), "{out}");
    assert_eq!(lint(&["--except", "VITE_TOKEN"], &[("VITE_TOKEN", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln")]).0, Some(0));

    let file = format!("APP_ID={APP_ID}\nREACT_APP_KEY=\"{KEY}\"\n");
    world().gateway.setup.write("leaky.env", &file);
    let (code, out) = lint(&["leaky.env"], &[]);
    assert!(code == Some(1) && out.starts_with("leaky.env: the variable REACT_APP_KEY holds a private key"), "{out}");
    assert_eq!(world().run(&["jwt", "lint", "none.env"], &[]).status.code(), Some(1));
}

#[test]
fn f169_mint_warns_of_the_key_that_it_uses() {
    let arguments = ["jwt", "mint", "--profile", "icr", "--app-id", APP_ID, "--key-env", "NEXT_PUBLIC_PRIVATE_KEY"];
    let output = world().run(&arguments, &[("NEXT_PUBLIC_PRIVATE_KEY", KEY)]);
    let (out, err) = texts(&output);
    assert_eq!((output.status.code(), world().call(&out).status), (Some(0), 200));
    assert!(err.contains("the variable NEXT_PUBLIC_PRIVATE_KEY holds a private key") && !err.contains(&KEY[28..60]));
}
