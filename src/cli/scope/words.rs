//! Grants in words, for people.

use crate::model::{ClientId, Level, ScopeId, shell_word};
use crate::registry::{AppSettings, GrantTarget, ScopeCatalogue};

/// A scope with its title.
pub(super) fn titled(catalogue: &ScopeCatalogue, scope: &ScopeId, level: Level) -> String {
    match catalogue.get(scope.as_str(), level) {
        Some(definition) => format!("{scope} ({})", definition.title),
        None => format!("{scope} (not declared)"),
    }
}

/// An app, by its client id and its name.
pub(super) fn named(app: &AppSettings) -> String {
    format!("app {} ({})", app.client_id, app.name)
}

/// A command to paste, on the same configuration.
pub(super) fn command(rest: &str, app: &ClientId, target: &GrantTarget, config: &str) -> String {
    let bot = match target {
        GrantTarget::Bot(bot) => format!(" --bot {}", shell_word(bot.as_str())),
        GrantTarget::Account(_) => String::new(),
    };
    format!("scopegate scope {rest}{bot} --app {}{config}", shell_word(app.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::BotId;

    #[test]
    fn a_command_can_be_pasted_whatever_the_names_are() {
        let app = ClientId::new("it's a $(strange) name").unwrap();
        let target = GrantTarget::Bot(BotId::new("st-1").unwrap());
        let line = command("publish", &app, &target, "");
        assert_eq!(line, r"scopegate scope publish --bot st-1 --app 'it'\''s a $(strange) name'");
    }
}
