//! The profiles in the binary.

const PROFILES: [(&str, &str); 4] = [
    ("kore", include_str!("../../config/profiles/kore.toml")),
    ("khoros", include_str!("../../config/profiles/khoros.toml")),
    ("icr", include_str!("../../config/profiles/icr.toml")),
    ("oauth", include_str!("../../config/profiles/oauth.toml")),
];

pub(super) fn text(name: &str) -> Option<&'static str> {
    PROFILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PROFILES.iter().map(|(name, _)| *name)
}
