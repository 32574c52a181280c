//! How upstreams learn who calls: under names of the configuration, or in a token that we sign.

mod names;
mod tokens;
