//! Two AWS Regions in a process: RDS with its Data API, EC2, Route 53, CloudWatch, DynamoDB, SNS
//! and Secrets Manager on the real wire protocol.
//!
//! A [`World`] holds everything there is and moves by discrete events on a virtual clock; it knows
//! no threads and no real time. A [`Sandbox`] is the handle on it: an unchanged AWS SDK talks to it
//! through [`Sandbox::http_client`], or any other client through [`Sandbox::handle`].
//!
//! ```
//! use std::sync::Arc;
//! use failback_sandbox::{Sandbox, WorldSpec};
//!
//! let clock = Arc::new(|| 1_767_225_600_000_i64);
//! let sandbox = Sandbox::new(&WorldSpec::workshop(), 7, clock).expect("the shipped world");
//! assert!(sandbox.measured().moments_with_two_writable_clusters.is_empty());
//! ```

pub mod asked;
pub mod behaviour;
pub mod client;
pub mod data_api;
pub mod dns;
pub mod fault;
pub mod measure;
pub mod metrics;
pub mod network;
pub mod rds;
pub mod rows;
pub mod secret;
pub mod spec;
pub mod superset;
pub mod table;
pub mod topic;
pub mod wire;
pub mod workload;
pub mod world;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_smithy_runtime_api::client::http::{SharedHttpClient, SharedHttpConnector};

pub use asked::Asked;
pub use behaviour::{Behaviour, Check, Codes, Timings};
pub use fault::{Fault, Struck, Verb};
pub use measure::{Gap, Measured, SplitMoment};
pub use spec::{ClientLocation, SpecError, WorldSpec};
pub use topic::Message;
pub use world::{
    Call, ClusterName, EndpointKind, EndpointTarget, Event, Outcome, World, WriteRefused,
};

/// Says what time it is, in epoch milliseconds. It must not go back.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// A handle on a world; clones share it.
#[derive(Clone)]
pub struct Sandbox {
    world: Arc<Mutex<World>>,
    clock: Clock,
}

impl fmt::Debug for Sandbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox").finish_non_exhaustive()
    }
}

impl Sandbox {
    /// Builds the world that a spec describes. The seed decides all that is left to chance.
    ///
    /// # Errors
    /// [`SpecError`] when the spec contradicts itself.
    pub fn new(spec: &WorldSpec, seed: u64, now_ms: Clock) -> Result<Self, SpecError> {
        let world = World::new(spec, seed, now_ms())?;
        Ok(Self { world: Arc::new(Mutex::new(world)), clock: now_ms })
    }

    /// What the AWS SDK sends its requests through. Calls take no virtual time.
    #[must_use]
    pub fn http_client(&self) -> SharedHttpClient {
        client::http_client(self.clone())
    }

    /// What reaches the world's instances of Apache Superset; requests to any other host go where
    /// `others` leads, and fail without it. Calls take no virtual time.
    #[must_use]
    pub fn web(&self, others: Option<SharedHttpConnector>) -> SharedHttpConnector {
        superset::connector(self.clone(), others)
    }

    pub(crate) fn answer_superset(&self, request: &superset::Request) -> Option<superset::Reply> {
        superset::handle(&mut self.present(), request)
    }

    /// Carries out one HTTP request.
    pub fn handle(
        &self,
        method: &str,
        uri: &str,
        headers: impl IntoIterator<Item = (String, String)>,
        body: Vec<u8>,
    ) -> Outcome {
        match wire::Request::parse(method, uri, headers, body) {
            Ok(request) => self.present().handle(&request),
            Err(error) => Outcome::Answered(wire::error_response("rds", &error, "unsigned")),
        }
    }

    /// Has a call carried out by something beside this world. Faults meet it and it is recorded as
    /// all others are. `carry_out` is told how many milliseconds a fault lets it look back, and may
    /// call this sandbox itself.
    pub fn handle_elsewhere(
        &self,
        request: &wire::Request,
        carry_out: impl FnOnce(i64) -> wire::Response,
    ) -> Outcome {
        let admitted = self.present().admit(request);
        let carried_out = admitted.is_carried_out(request);
        let answer = carried_out.then(|| carry_out(admitted.stale_ms()));
        self.present().settle(request, admitted, answer)
    }

    /// Lets happen all that is due by now.
    pub fn advance(&self) {
        drop(self.present());
    }

    /// Looks at the world as it is now.
    pub fn with_world<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&self.present())
    }

    /// Changes the world by hand, as an operator or an accident would.
    pub fn change_world<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.present();
        let result = change(&mut world);
        world.note_globals(None);
        world.observe();
        result
    }

    /// What was measured since the start.
    #[must_use]
    pub fn measured(&self) -> Measured {
        self.present().measured()
    }

    /// Every call so far, or since they were last taken.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.present().calls.clone()
    }

    /// The calls after the first `seen` ones, without copying those.
    #[must_use]
    pub fn calls_after(&self, seen: usize) -> Vec<Call> {
        self.present().calls.get(seen..).unwrap_or_default().to_vec()
    }

    /// How many calls there were so far, or since they were last taken.
    #[must_use]
    pub fn calls_made(&self) -> usize {
        self.present().calls.len()
    }

    /// Takes the calls out of the record.
    #[must_use]
    pub fn take_calls(&self) -> Vec<Call> {
        std::mem::take(&mut self.present().calls)
    }

    /// What a mutation may change, in a form that is equal exactly when nothing was changed.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        self.present().fingerprint()
    }

    /// Makes a DynamoDB table whose key is the text `id`, and answers its ARN.
    #[must_use]
    pub fn create_table(&self, region: &str, name: &str) -> String {
        let world = &mut *self.present();
        world.tables.create(&world.account, region, name, world.now_ms)
    }

    /// Makes an SNS topic, and answers its ARN.
    #[must_use]
    pub fn create_topic(&self, region: &str, name: &str) -> String {
        let world = &mut *self.present();
        world.topics.create(&world.account, region, name)
    }

    /// Makes a secret with a cluster's user and password, and answers its ARN.
    #[must_use]
    pub fn create_secret(&self, region: &str, name: &str) -> String {
        let world = &mut *self.present();
        let text = r#"{"username":"failback","password":"not-a-secret"}"#;
        world.secrets.create(&world.account, region, name, text, world.now_ms)
    }

    /// What was published to topics, in order.
    #[must_use]
    pub fn messages(&self) -> Vec<Message> {
        self.present().topics.messages().to_vec()
    }

    /// Arms a fault.
    pub fn inject(&self, fault: Fault) {
        self.present().faults.arm(fault);
    }

    /// Chooses how the services behave where their documentation leaves a choice.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        self.present().behaviour = behaviour;
    }

    fn present(&self) -> MutexGuard<'_, World> {
        // A test that panicked while it looked has not left the world half changed.
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = (self.clock)();
        world.advance_to(now_ms);
        world
    }
}
