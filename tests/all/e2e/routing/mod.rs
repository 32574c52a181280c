//! Where a call goes: hosts by name and by pattern, and paths that upstreams get in another form.

mod cors;
mod encodings;
mod hosts;
mod paths;

use super::harness::{App, Call, Gateway, Recorder, Registry, Setup};

fn app() -> App {
    App::new("caller", "default", &[], &[])
}

/// A gateway with these routes beside `/any/…`.
fn start(routes: &str) -> (Gateway, Recorder) {
    let upstream = Recorder::start();
    let gateway = Gateway::start(Setup::bearer(&upstream.url(), routes), &Registry::new().app(&app()));
    (gateway, upstream)
}

fn get(target: &str) -> Call {
    Call::get(target).bearer(app().token())
}

/// A route behind the bearer token.
fn route(id: &str, path: &str, more: &str) -> String {
    format!(
        "[[route]]\nid = {id:?}\nmethods = [\"GET\"]\npath = {path:?}\nauthenticator = \"bearer\"\nscope = \"any\"\n{more}\n"
    )
}
