//! The endpoints behind the stack: called on a worker, answered on the control runtime, where the store is.

use std::sync::Arc;

use http::header;
use tokio::runtime::Handle;

use crate::endpoints::{self, Endpoints};
use crate::gateway::{Answering, Asked, Caller, OwnAnswers, Visit};
use crate::model::{Reason, Refusal};
use crate::policy::Target;
use crate::store::Store;

pub(super) struct Answers {
    pub endpoints: Arc<Endpoints<Store>>,
    /// The control runtime.
    pub control: Handle,
}

impl OwnAnswers for Answers {
    /// A caller that leaves does not stop what it began: a token may have been issued already.
    fn answer(&self, asked: Asked) -> Answering {
        let endpoints = Arc::clone(&self.endpoints);
        let answering = call_of(asked).map(|call| self.control.spawn(async move { endpoints.answer(call).await }));
        Box::pin(async move {
            match answering {
                Ok(answering) => answering.await.unwrap_or(Err(Refusal::new(Reason::GatewayInternal))),
                Err(refusal) => Err(refusal),
            }
        })
    }
}

fn call_of(asked: Asked) -> Result<endpoints::Call, Refusal> {
    let Asked { request, call, visit } = asked;
    let Visit { route, state, caller, host_account, params } = visit;
    let Target::Endpoint(endpoint) = route.target else { return Err(Reason::RouteUnknown.into()) };
    let (head, body) = request.into_parts();
    Ok(endpoints::Call {
        endpoint,
        method: head.method,
        params,
        query: head.uri.query().map(str::to_owned),
        content_type: head.headers.get(header::CONTENT_TYPE).cloned(),
        body,
        caller: match caller {
            Caller::Anonymous => endpoints::Caller::Anybody,
            Caller::Service(service) => {
                let (name, account) = (service.name.to_string(), service.account.clone());
                endpoints::Caller::Service { name, account }
            }
            Caller::App(verified) => {
                let (app, proof) = (Arc::clone(verified.app()), Arc::clone(verified.proof()));
                endpoints::Caller::App { app, proof }
            }
        },
        host_account,
        state,
        now: call.now,
        request_id: call.id.as_str().to_owned(),
    })
}
