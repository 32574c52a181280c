//! Several people at once.

use serde_json::json;

use super::{BOT, create, offline, text};
use crate::e2e::harness::texts;

const PEOPLE: usize = 6;

#[test]
fn of_changes_made_at_the_same_time_none_is_lost() {
    let setup = offline();
    let id = text(&create(&setup, &["--name", "ci", "--account", "acme", "--bot", BOT])["client_id"]);
    let bots: Vec<_> = (0..PEOPLE).map(|i| format!("st-{i}")).collect();
    for bot in &bots {
        setup.succeed(&["bot", "add", bot, "--account", "acme"]);
    }
    let add = |bot: &String| setup.run(&["app", "set", &id, "--add-bot", bot]);
    std::thread::scope(|scope| {
        let adding: Vec<_> = bots.iter().map(|bot| scope.spawn(|| add(bot))).collect();
        for added in adding {
            let (out, err) = texts(&added.join().unwrap());
            assert!(out.contains("1 change applied"), "{out}{err}");
        }
    });
    let shown = setup.json(&["app", "show", &id, "--json"]);
    let mut wanted = bots;
    wanted.push(BOT.to_owned());
    wanted.sort();
    assert_eq!(shown["bots"], json!(wanted));
}

#[test]
fn of_two_who_want_one_name_at_the_same_time_one_gets_it() {
    let setup = offline();
    let create =
        || setup.run(&["app", "create", "--name", "ci", "--account", "acme", "--secret-out", "/dev/null/none"]);
    // A secret that can't be handed over makes no app.
    assert_eq!(create().status.code(), Some(1));
    let create = || setup.run(&["app", "create", "--name", "ci", "--account", "acme"]).status.success();
    let done: Vec<_> = std::thread::scope(|scope| {
        let people: Vec<_> = (0..PEOPLE).map(|_| scope.spawn(create)).collect();
        people.into_iter().map(|person| person.join().unwrap()).collect()
    });
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{done:?}");
    assert_eq!(setup.json(&["app", "list", "--json"]).as_array().unwrap().len(), 1);
}
