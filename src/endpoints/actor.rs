//! Who stands in the audit for a call.

use super::{Call, Caller};
use crate::registry::{Actor, SERVICE_ACTOR};

impl Call {
    pub(super) fn actor(&self, why: &str) -> Actor {
        let name = match &self.caller {
            Caller::Anybody => "anybody".to_owned(),
            Caller::App { app, .. } => format!("app:{}", app.client_id),
            Caller::Service { name, .. } => format!("{SERVICE_ACTOR}{name}"),
        };
        Actor { name, why: Some(why.to_owned()), at: self.now }
    }
}
