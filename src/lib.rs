pub mod clock;
pub mod jose;
pub mod model;
pub mod policy;
pub mod registry;
pub mod replay;
pub mod secret;
pub mod verify;
