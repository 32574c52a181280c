//! The demo's calls, ready to paste.

use std::net::SocketAddr;
use std::time::Duration;

use super::Failure;
use super::setting::{BOT, INSTALLATION, KHOROS_APP, OTHER_BOT, SERVICE, Setting};

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
            for (platform, calls) in calls {
                println!("==== {platform} ====\n");
                for Call { about, line, status } in calls {
                    println!("# {about}\n{line} # {status}\n");
                }
            }
        }
        Err(failure) => eprintln!("scopegate: {failure}"),
    }
    println!("Each refusal is told here as it happens. Ctrl-C ends the demo.\n");
}

fn call(about: &'static str, line: String, status: u16) -> Call {
    Call { about, line, status }
}

/// By platform. Khoros' calls need a password, which is taken on loopback alone.
fn calls(setting: &Setting, proxy: SocketAddr) -> Result<Vec<(&'static str, Vec<Call>)>, Failure> {
    let mut all = vec![("Kore, and routes of your own", kore(setting, proxy)?)];
    if proxy.ip().is_loopback() {
        all.push(("Khoros: tokens that the gateway issues", khoros(setting, proxy)));
    }
    all.push(("ICR: apps with a private key, and tokens for their installations", icr(setting, proxy)?));
    Ok(all)
}

/// The token is fetched by the call that uses it, out of the answer of another.
fn fetched(name: &str, line: &str) -> String {
    format!(r#"$({line} | sed -E 's/.*"{name}": ?"([^"]+)".*/\1/')"#)
}

fn khoros(setting: &Setting, proxy: SocketAddr) -> Vec<Call> {
    let token = |app: &str| format!("http://{proxy}/api/v2/tokens/khorosapi/ownerId/{app}");
    let basic = format!("-u '{SERVICE}:{}'", setting.password);
    let first = |app: &str| format!("curl -s {basic} -X POST {}", token(app));
    let respond = format!("-d '{{\"text\":\"hello\"}}' http://{proxy}/bots/v3/respond");
    vec![
        call(
            "A service account gets an app its token, which is good for 90 days",
            format!("{} -i", first(KHOROS_APP)),
            200,
        ),
        call("A second one is refused: the first is refreshed, or given up", format!("{} -i", first(KHOROS_APP)), 409),
        call("Whether there is a token, and when it ends", format!("curl -s -i {basic} {}", token(KHOROS_APP)), 200),
        call(
            "An app that nobody registered gets a token, and uses it",
            format!("curl -s -i -H \"Authorization: Bearer {}\" {respond}", fetched("token", &first("new-bot"))),
            200,
        ),
        call("Version 3 takes tokens, and no password", format!("curl -s -i {basic} {respond}"), 401),
        call("Another password", format!("curl -s -i -u {SERVICE}:guess {}", token(KHOROS_APP)), 401),
        call(
            "The path of a refresh, as some documents have it",
            format!("curl -s -i -X PUT http://{proxy}/bot/v3/tokens/appId/{KHOROS_APP}"),
            404,
        ),
    ]
}

fn icr(setting: &Setting, proxy: SocketAddr) -> Result<Vec<Call>, Failure> {
    let bearer = |token: &str| format!("-H 'Authorization: Bearer {token}'");
    let own = bearer(&setting.icr_token(Duration::from_secs(540))?);
    let tokens = format!("http://{proxy}/app/installations/{INSTALLATION}/access_tokens");
    let get = fetched("token", &format!("curl -s -X POST {own} {tokens}"));
    Ok(vec![
        call(
            "An app asks who it is, with a token of its own: good for nine minutes",
            format!("curl -s -i {own} http://{proxy}/app"),
            200,
        ),
        call(
            "It gets a token for an installation, good for an hour",
            format!("curl -s -i -X POST {own} {tokens}"),
            201,
        ),
        call(
            "And uses one",
            format!("curl -s -i -H \"Authorization: token {get}\" http://{proxy}/installation/repositories"),
            200,
        ),
        call(
            "It asks for more than the installation has",
            format!("curl -s -i -X POST {own} -d '{{\"permissions\":{{\"contents\":\"write\"}}}}' {tokens}"),
            422,
        ),
        call(
            "A token of its own that is good for too long",
            format!("curl -s -i {} http://{proxy}/app", bearer(&setting.icr_token(Duration::from_secs(3600))?)),
            401,
        ),
    ])
}

fn kore(setting: &Setting, proxy: SocketAddr) -> Result<Vec<Call>, Failure> {
    let changelogs = |bot: &str| format!("'http://{proxy}/api/public/bot/{bot}/changelogs?limit=10'");
    let auth = |token: String| format!("-H 'auth: {token}'");
    let get = |token: String, bot: &str| format!("curl -s -i {} {}", auth(token), changelogs(bot));
    let (ci, chat) = (&setting.ci, &setting.chat);
    let single_use = setting.single_use(ci)?;
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
