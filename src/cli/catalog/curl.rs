//! The catalogue as a shell script.

use super::export::{Call, Exported, Part};
use crate::model::shell_word;

/// Variables that a shell or the script itself has a meaning for.
const TAKEN: [&str; 14] = [
    "PATH", "HOME", "IFS", "USER", "PWD", "OLDPWD", "SHELL", "ENV", "TERM", "LANG", "TMPDIR", "TOKEN", "BASE_URL",
    "CALL",
];

/// A script that makes one call of many, named by its first argument; or the only one there is. A token is never an
/// argument of curl, where every user of the machine could see it.
pub(super) fn script(export: &Exported<'_>) -> String {
    let mut text = format!(
        "#!/bin/sh\n\
         # Calls through Scopegate. The token is taken from TOKEN, parameters of paths from variables of their names:\n\
         #   export TOKEN=$(scopegate jwt mint --quiet --client-id {} --secret-file FILE)\n\
         {}\
         # BASE_URL names another gateway. What follows is passed on to curl, such as -i, -d '{{}}' or -G -d limit=10.\n\
         # Exit status: curl's; 22 where the answer is an error.\n\
         set -eu\n\
         : \"${{BASE_URL:={}}}\"\n\n{CALL}",
        shell_word(&export.client_id),
        usage(export),
        escape_default(&export.base_url),
    );
    match &export.calls[..] {
        [only] => text.push_str(&format!("\n{}{}", comment(only), line(only))),
        calls => {
            text.push_str("\nCALL=${1:-}\n[ $# -eq 0 ] || shift\ncase $CALL in\n");
            for call in calls {
                text.push_str(&format!("{}{})\n    {}    ;;\n", comment(call), shell_word(&call.id), line(call)));
            }
            text.push_str(LIST);
            for call in calls {
                let shown = format!("{} {} {}", call.id, call.method, call.pattern.as_str());
                text.push_str(&format!("    printf '%s\\n' {}\n", shell_word(&shown)));
            }
            text.push_str("    exit 64\n    ;;\nesac\n");
        }
    }
    text
}

/// The header's name and scheme are arguments; the token is not.
const CALL: &str = r#"# call METHOD HEADER SCHEME PATH [curl's options]
call() {
    method=$1 header=$2 scheme=$3 path=$4
    shift 4
    if [ -n "$header" ]; then
        : "${TOKEN:?the token of the app that calls}"
        printf '%s: %s%s\n' "$header" "${scheme:+$scheme }" "$TOKEN" |
            curl -sS --fail-with-body -X "$method" -H @- "$@" "$BASE_URL$path"
    else
        curl -sS --fail-with-body -X "$method" "$@" "$BASE_URL$path"
    fi
}
"#;

const LIST: &str = "*)\n    echo 'name one of these calls:' >&2\n    exec >&2\n";

fn usage(export: &Exported<'_>) -> String {
    let example = export.calls.iter().find(|call| variables(call).next().is_some()).or(export.calls.first());
    let Some(call) = example else { return String::new() };
    let mut assigned = variables(call).map(|name| format!("{name}=…")).collect::<Vec<_>>().join(" ");
    if !assigned.is_empty() {
        assigned.push(' ');
    }
    let named = if export.calls.len() == 1 { String::new() } else { format!(" {}", one_line(&call.id)) };
    format!("#   {assigned}sh FILE{named} -i\n")
}

fn comment(call: &Call<'_>) -> String {
    let group = call.route.group.as_deref().map(|group| format!("{group}: ")).unwrap_or_default();
    format!("# {}{}; {}\n", one_line(&group), one_line(call.title()), one_line(&call.needs()))
}

fn line(call: &Call<'_>) -> String {
    let (header, scheme) = call.credential().map_or(("", ""), |(header, scheme)| (header.as_str(), scheme));
    let path: String = call
        .parts()
        .map(|part| match part {
            Part::Literal(text) => shell_word(&format!("/{text}")),
            Part::Param(name) | Part::Rest(name) => format!("\"/${{{}:?}}\"", variable(name)),
        })
        .collect();
    let body = if call.may_have_body() { " -H 'content-type: application/json'" } else { "" };
    format!("call {} {} {} {path}{body} \"$@\"\n", call.method, shell_word(header), shell_word(scheme))
}

fn variables<'c>(call: &'c Call<'_>) -> impl Iterator<Item = String> + use<'c> {
    call.parts().filter_map(|part| match part {
        Part::Literal(_) => None,
        Part::Param(name) | Part::Rest(name) => Some(variable(name)),
    })
}

/// `botId` is BOT_ID.
fn variable(name: &str) -> String {
    let mut words = String::new();
    for (i, letter) in name.chars().enumerate() {
        let begins = letter.is_ascii_uppercase() && i > 0 && !words.ends_with('_');
        words.push_str(if begins { "_" } else { "" });
        words.push(letter.to_ascii_uppercase());
    }
    let is_taken = TAKEN.contains(&words.as_str()) || words.starts_with(|c: char| c.is_ascii_digit());
    if is_taken { format!("PARAM_{words}") } else { words }
}

/// Inside double quotes and braces.
fn escape_default(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        if matches!(letter, '"' | '\\' | '$' | '`' | '}') {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}

/// Titles come from files, and may hold anything.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_become_variables_that_no_shell_knows() {
        assert_eq!(variable("botId"), "BOT_ID");
        assert_eq!(variable("run_id"), "RUN_ID");
        assert_eq!(variable("path"), "PARAM_PATH");
        assert_eq!(variable("2nd"), "PARAM_2ND");
    }
}
