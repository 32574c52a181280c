//! The endpoints behind the stack: called on a worker, answered on a runtime of their own, where they may wait.

use std::io;
use std::sync::Arc;
use std::thread;

use http::header;
use http::request::Parts;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use crate::endpoints::{self, Endpoints};
use crate::gateway::{Answering, Asked, Caller, OwnAnswers, Visit};
use crate::model::{Reason, Refusal};
use crate::policy::Target;
use crate::store::Store;

/// Calls in the making. One that is about to be dropped still counts, so the gateway's own limit is none here.
const AT_ONCE: usize = 128;

pub(super) struct Answers {
    endpoints: Arc<Endpoints<Store>>,
    places: Arc<Semaphore>,
    runtime: Handle,
    /// Dropped, it ends the runtime.
    _end: oneshot::Sender<()>,
}

impl Answers {
    /// On a runtime and a thread of its own: whoever floods the endpoints delays neither what the control runtime follows in
    /// the store nor the workers.
    pub fn start(endpoints: Endpoints<Store>) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, (end, ended)) = (runtime.handle().clone(), oneshot::channel());
        thread::Builder::new().name("endpoints".into()).spawn(move || runtime.block_on(ended))?;
        let (endpoints, places) = (Arc::new(endpoints), Arc::new(Semaphore::new(AT_ONCE)));
        Ok(Self { endpoints, places, runtime: handle, _end: end })
    }
}

impl OwnAnswers for Answers {
    fn expect_body(&self, head: &Parts, visit: &Visit) -> Result<usize, Refusal> {
        let Target::Endpoint(endpoint) = visit.route.target else { return Err(Reason::RouteUnknown.into()) };
        endpoints::expect_body(endpoint, head.headers.get(header::CONTENT_TYPE), head.uri.query())
    }

    /// A caller that leaves drops its call: what has not been committed by then never is, so that no token is issued that
    /// has no holder. What was committed is followed within a second.
    fn answer(&self, asked: Asked) -> Answering {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let refusal =
                Refusal::new(Reason::GatewayOverloaded).expected(format!("{AT_ONCE} calls to endpoints at once"));
            return Box::pin(async { Err(refusal) });
        };
        let endpoints = Arc::clone(&self.endpoints);
        let answering = call_of(asked).map(|call| {
            AbortOnDrop(self.runtime.spawn(async move {
                let _place = place;
                endpoints.answer(call).await
            }))
        });
        Box::pin(async move {
            match answering {
                Ok(mut answering) => (&mut answering.0).await.unwrap_or(Err(Refusal::new(Reason::GatewayInternal))),
                Err(refusal) => Err(refusal),
            }
        })
    }
}

/// A task that ends with the one that waits for it.
struct AbortOnDrop<T>(JoinHandle<T>);

impl<T> Drop for AbortOnDrop<T> {
    fn drop(&mut self) {
        self.0.abort();
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
        from: call.address(),
        state,
        now: call.now,
        request_id: call.id.as_str().to_owned(),
    })
}
