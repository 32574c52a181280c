pub mod clock;
pub mod jose;
pub mod model;
pub mod registry;
pub mod secret;
pub mod store;
