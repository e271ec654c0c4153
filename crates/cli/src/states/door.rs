//! The way from the functions' own clients to Step Functions.
//!
//! The SDK wants a client that may be called from any thread; the interpreter lives on one. So the
//! client holds only the number of a door, which this thread knows how to open.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use failback_sandbox::client::in_http;
use failback_sandbox::wire::Request;
use failback_sandbox::{Outcome, Sandbox};

use super::StepFunctions;

static NEXT: AtomicU64 = AtomicU64::new(0);

thread_local! {
    static OPEN: RefCell<BTreeMap<u64, Rc<StepFunctions>>> = RefCell::default();
}

/// A way to Step Functions for clients of this thread, closed when dropped.
#[derive(Debug)]
pub struct Door(u64);

impl Default for Door {
    fn default() -> Self {
        Self::new()
    }
}

impl Door {
    /// A door with nothing behind it yet.
    pub fn new() -> Self {
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// A client whose calls of Step Functions go through this door, past the sandbox's faults and
    /// into its record; all others go where `client` leads.
    pub fn client(&self, sandbox: &Sandbox, client: SharedHttpClient) -> SharedHttpClient {
        let (door, sandbox) = (self.0, sandbox.clone());
        http_client_fn(move |settings: &HttpConnectorSettings, components: &RuntimeComponents| {
            let others = client.http_connector(settings, components);
            SharedHttpConnector::new(Connector { door, sandbox: sandbox.clone(), others })
        })
    }

    /// Puts Step Functions behind the door.
    pub fn open(&self, step_functions: Rc<StepFunctions>) {
        OPEN.with_borrow_mut(|open| open.insert(self.0, step_functions));
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Out of the borrow first: with the last handle on the interpreter its executions go, and
        // what they hold. When the thread ends, everything behind its doors goes anyway.
        let closed = OPEN.try_with(|open| open.borrow_mut().remove(&self.0));
        drop(closed);
    }
}

/// Carries out a call, and lets the sandbox's faults meet it.
pub(crate) fn carry_out(
    sandbox: &Sandbox,
    step_functions: &StepFunctions,
    request: &Request,
) -> Outcome {
    sandbox.handle_elsewhere(request, |behind_ms| step_functions.answer(request, behind_ms))
}

#[derive(Debug)]
struct Connector {
    door: u64,
    sandbox: Sandbox,
    others: SharedHttpConnector,
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        if target.starts_with(super::TARGET) {
            HttpConnectorFuture::ready(self.answer(&request))
        } else {
            self.others.call(request)
        }
    }
}

impl Connector {
    fn answer(&self, request: &HttpRequest) -> Result<HttpResponse, ConnectorError> {
        // Cloned, so that what is called may call again.
        let step_functions = OPEN.with_borrow(|open| open.get(&self.door).cloned());
        let step_functions = step_functions.ok_or_else(|| {
            ConnectorError::other("Step Functions is not reached from this thread".into(), None)
        })?;
        let headers = request.headers().iter().map(|(k, v)| (k.to_owned(), v.to_owned()));
        let body = request.body().bytes().unwrap_or_default().to_vec();
        let request = Request::parse(request.method(), request.uri(), headers, body)
            .map_err(|error| ConnectorError::user(error.into()))?;
        in_http(carry_out(&self.sandbox, &step_functions, &request))
    }
}
