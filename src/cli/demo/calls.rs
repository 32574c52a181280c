//! The demo's calls, ready to paste.

use std::net::SocketAddr;

use super::Failure;
use super::setting::{BOT, OTHER_BOT, Setting};

/// A call: what it shows, the line, and the status that it gives.
struct Call {
    about: &'static str,
    line: String,
    status: u16,
}

pub(super) fn print(setting: &Setting, proxy: SocketAddr, telemetry: SocketAddr, upstream: &str) {
    println!("Scopegate takes calls at http://{proxy} and sends the good ones to {upstream}");
    println!("Health and metrics: http://{telemetry}/readyz http://{telemetry}/metrics\n");
    println!("Paste a line; behind each # is the status that it gives. The tokens are good for a day.\n");
    match calls(setting, proxy) {
        Ok(calls) => {
            for Call { about, line, status } in calls {
                println!("# {about}\n{line} # {status}\n");
            }
        }
        Err(failure) => eprintln!("scopegate: {failure}"),
    }
    println!("Each refusal is told here as it happens. Ctrl-C ends the demo.\n");
}

fn calls(setting: &Setting, proxy: SocketAddr) -> Result<Vec<Call>, Failure> {
    let changelogs = |bot: &str| format!("'http://{proxy}/api/public/bot/{bot}/changelogs?limit=10'");
    let auth = |token: String| format!("-H 'auth: {token}'");
    let get = |token: String, bot: &str| format!("curl -s -i {} {}", auth(token), changelogs(bot));
    let (ci, chat) = (&setting.ci, &setting.chat);
    let single_use = setting.single_use(ci)?;
    let call = |about, line, status| Call { about, line, status };
    Ok(vec![
        call("A good call: app ci holds logs:change_logs on its bot", get(setting.token(ci)?, BOT), 200),
        call(
            "A good call of an account-level app, on a bot of its account",
            get(setting.token(&setting.admin)?, BOT),
            200,
        ),
        call("A token with a jti is for one call: the first use", get(single_use.clone(), BOT), 200),
        call("The same token again", get(single_use, BOT), 401),
        call("The payload was changed after it was signed", get(setting.tampered(ci)?, BOT), 401),
        call("The token has expired", get(setting.expired(ci)?, BOT), 401),
        call("The claim is called appid instead of appId", get(setting.misnamed(ci)?, BOT), 401),
        call("No token at all", format!("curl -s -i {}", changelogs(BOT)), 401),
        call(
            "The right token in the wrong header",
            format!("curl -s -i -H 'Authorization: Bearer {}' {}", setting.token(ci)?, changelogs(BOT)),
            401,
        ),
        call("A missing scope: app chat-reports may read chat history alone", get(setting.token(chat)?, BOT), 401),
        call(
            "A wrong method: the route is for GET",
            format!("curl -s -i -X POST {} {}", auth(setting.token(ci)?), changelogs(BOT)),
            405,
        ),
        call("Another account's bot", get(setting.token(ci)?, OTHER_BOT), 401),
        call("Another account's app", get(setting.token(&setting.stranger)?, BOT), 401),
        call("A bot that does not exist", get(setting.token(&setting.admin)?, "st-does-not-exist"), 400),
        call(
            "A route of your own, with a Bearer token and a body",
            format!(
                "curl -s -i -H 'Authorization: Bearer {}' -d '{{\"name\":\"lamp\"}}' http://{proxy}/items/7",
                setting.token(ci)?
            ),
            200,
        ),
        call("The same without a token: problem+json", format!("curl -s -i http://{proxy}/items/7"), 401),
    ])
}
