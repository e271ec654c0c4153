//! One rehearsal: a world, a request, and the execution from its start to its end.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use failback::{Aws, Stack};
use failback_plan::verify::{ClusterExpectation, Expectation, MustBe, Row};
use failback_plan::{Request, plan};
use failback_sandbox::{Sandbox, WorldSpec};
use failback_states::{Clock, Definition, Engine, EventType, HistoryEvent, Outcome};
use serde::Deserialize;
use serde_json::Value;

use crate::approver::{Approver, Question, Questions};
use crate::definitions::{self, machine_arn, machine_name};
use crate::floor::Moments;
use crate::lambda::{Invocation, Lambda};
use crate::phases::{self, PHASES, SWITCHED, TABLES, Table};
use crate::states::{Door, StepFunctions};
use crate::stopwatch::Stopwatch;

/// 2026-01-05T03:00:00Z: virtual time begins at three in the morning.
pub(crate) const EPOCH_MS: i64 = 1_767_582_000_000;

/// What to rehearse.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The two Regions.
    pub world: WorldSpec,
    /// The execution's input.
    pub input: Value,
    /// Decides everything that is left to chance.
    pub seed: u64,
}

impl Setup {
    /// The workshop that the runbook was written for.
    pub fn workshop(seed: u64) -> Self {
        let input = include_str!("../../../statemachine/examples/workshop.json");
        let input = serde_json::from_str(input).expect("the shipped example is JSON");
        Self { world: WorldSpec::workshop(), input, seed }
    }

    /// The same database after a managed failover, for which a switchover is enough.
    pub fn managed(seed: u64) -> Self {
        let input = include_str!("../../../statemachine/examples/managed.json");
        let input = serde_json::from_str(input).expect("the shipped example is JSON");
        Self { world: WorldSpec::managed(), input, seed }
    }
}

/// Why a rehearsal could not begin.
#[derive(Debug, thiserror::Error)]
pub enum CannotBegin {
    /// A definition of the repository is broken.
    #[error(transparent)]
    Definition(#[from] definitions::BadDefinition),
    /// The world contradicts itself.
    #[error("the world cannot be built: {0}")]
    World(#[from] failback_sandbox::SpecError),
    /// The execution was refused.
    #[error("the execution cannot be started: {0}")]
    Start(#[from] failback_states::StartError),
}

/// What to tell whoever watches.
#[derive(Debug)]
pub enum News<'a> {
    /// A phase of [`PHASES`] began at this virtual time.
    PhaseBegan(usize, i64),
    /// A state of any machine was entered at this virtual time.
    StateEntered(&'a str, i64),
    /// A table of the runbook, read through the SDK.
    Table(&'a TableShown),
}

/// A table as it was read after its phase.
#[derive(Debug, Clone, serde::Serialize)]
pub struct TableShown {
    /// The section of the runbook that it ends.
    pub title: &'static str,
    /// Its rows.
    pub rows: Vec<Row>,
}

/// Runs what is rehearsed on this thread, in virtual time.
///
/// # Errors
/// The system denies a runtime what it needs.
pub fn in_virtual_time<T>(rehearsed: impl Future<Output = T>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|e| format!("the runtime cannot be built: {e}"))?;
    Ok(runtime.block_on(rehearsed))
}

/// Everything there is to rehearse with; tests reach into its parts.
pub struct Drill {
    /// The two Regions.
    pub sandbox: Sandbox,
    /// The interpreter.
    pub engine: Engine,
    /// Virtual time.
    pub clock: Clock,
    /// SDK clients that reach the sandbox.
    pub aws: Aws,
    /// What the functions did.
    pub invocations: Rc<RefCell<Vec<Invocation>>>,
    lambda: Rc<Lambda>,
    time_in_sandbox: Stopwatch,
    watch: Rc<RefCell<Watch>>,
    /// What runs have asked and nobody has answered.
    pub questions: Rc<Questions>,
    request: Option<Request>,
    /// How the functions reach Step Functions.
    _door: Door,
}

/// Told of everything that happens in a run.
pub type Observer = Box<dyn Fn(&News<'_>)>;

/// What is noted while an execution runs.
#[derive(Default)]
struct Watch {
    phase_began_ms: BTreeMap<usize, i64>,
    moments: Moments,
    tables: Vec<TableShown>,
    observer: Option<Observer>,
    approver: Approver,
}

/// How an execution ended and what was noted meanwhile.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Status, output, error and cause.
    pub outcome: Outcome,
    /// Its ARN.
    pub arn: String,
    /// When each phase began, by its index in [`PHASES`].
    pub phase_began_ms: BTreeMap<usize, i64>,
    /// What the parts of its floor are told from.
    pub moments: Moments,
    /// The tables that were reached.
    pub tables: Vec<TableShown>,
}

impl Drill {
    /// Builds the world and loads the machines. Needs a runtime whose clock is paused.
    ///
    /// # Errors
    /// [`CannotBegin`].
    pub fn new(setup: &Setup) -> Result<Self, CannotBegin> {
        Ok(Self::build(setup, definitions::load()?, |_| {})?.watched())
    }

    /// The same, with a stack that knows the request: an execution's input may be `{}`, and events
    /// can be heard. What else it says is up to `change`.
    ///
    /// # Errors
    /// [`CannotBegin`].
    pub fn deployed(setup: &Setup, change: impl FnOnce(&mut Stack)) -> Result<Self, CannotBegin> {
        let parameters = |stack: &mut Stack| {
            stack.environment_request = Some(setup.input.to_string());
            change(stack);
        };
        Ok(Self::build(setup, definitions::load()?, parameters)?.watched())
    }

    /// The same with other machines, and with nobody who looks through the API meanwhile: every
    /// call is a function's.
    ///
    /// # Errors
    /// [`CannotBegin`].
    pub fn unwatched(
        setup: &Setup,
        machines: Vec<(String, Definition)>,
    ) -> Result<Self, CannotBegin> {
        Self::build(setup, machines, |_| {})
    }

    fn watched(self) -> Self {
        self.note_phases();
        self.after_invocations();
        self
    }

    fn build(
        setup: &Setup,
        machines: Vec<(String, Definition)>,
        change: impl FnOnce(&mut Stack),
    ) -> Result<Self, CannotBegin> {
        let clock = Clock::new(EPOCH_MS);
        let for_world = clock.clone();
        let sandbox = Sandbox::new(&setup.world, setup.seed, Arc::new(move || for_world.now_ms()))?;
        let time_in_sandbox = Stopwatch::default();
        let door = Door::new();
        let client = door.client(&sandbox, time_in_sandbox.timing(sandbox.http_client()));
        let request = Request::parse(&setup.input).ok();
        let mut stack = stack(&sandbox, &setup.world, request.as_ref());
        change(&mut stack);
        let aws = Aws::new(sdk_config(client), stack).with_web(sandbox.web(None));
        let lambda = Rc::new(Lambda::new(aws.clone(), sandbox.clone(), clock.clone(), setup.seed));
        let engine = Engine::new(clock.clone(), lambda.clone(), setup.seed);
        let states = StepFunctions::new(engine.clone(), setup.world.account.clone());
        for (arn, definition) in machines {
            states.install(&arn, definition);
        }
        door.open(Rc::new(states));
        Ok(Self {
            invocations: lambda.invocations.clone(),
            request,
            watch: Rc::default(),
            questions: Rc::default(),
            sandbox,
            engine,
            clock,
            aws,
            lambda,
            time_in_sandbox,
            _door: door,
        })
    }

    /// Takes in the questions that runs ask; [`Drill::new`] does so by itself.
    pub fn take_questions(&self) {
        let questions = self.questions.clone();
        self.lambda.after_each(Rc::new(move |invocation| {
            if let Some(question) = Question::of(invocation) {
                questions.ask(question);
            }
            Box::pin(std::future::ready(()))
        }));
    }

    /// What invokes the functions.
    pub fn lambda(&self) -> &Lambda {
        &self.lambda
    }

    /// Has the observer told what happens.
    pub fn observe(&self, observer: Observer) {
        self.watch.borrow_mut().observer = Some(observer);
    }

    /// Has somebody answer when a run asks.
    pub fn approve_by(&self, approver: Approver) {
        self.watch.borrow_mut().approver = approver;
    }

    /// Runs the failback with this input to its end.
    ///
    /// # Errors
    /// [`CannotBegin::Start`].
    pub async fn run(&self, name: &str, input: Value) -> Result<Ended, CannotBegin> {
        let arn = self.engine.start_execution(&machine_arn("failback"), Some(name), input)?;
        let approver = self.watch.borrow().approver;
        let outcome = tokio::select! {
            outcome = self.engine.wait(&arn) => outcome,
            never = self.questions.answer(approver, &self.aws, &self.clock) => match never {},
        };
        let watch = self.watch.borrow();
        Ok(Ended {
            outcome,
            arn,
            phase_began_ms: watch.phase_began_ms.clone(),
            moments: watch.moments.clone(),
            tables: watch.tables.clone(),
        })
    }

    /// The Region that the request fails back to.
    pub fn home_region(&self) -> Option<&str> {
        self.request.as_ref().map(|request| request.home.region.as_str())
    }

    /// State transitions of all executions, as AWS bills them.
    pub fn transitions(&self) -> u64 {
        let executions = self.engine.list_executions();
        executions.iter().map(|e| self.engine.transitions(&e.execution_arn)).sum()
    }

    /// Real time spent in functions, with the SDK and the sandbox.
    pub fn time_in_functions(&self) -> Duration {
        self.lambda.time.total()
    }

    /// Real time in which the sandbox answered.
    pub fn time_in_sandbox(&self) -> Duration {
        self.time_in_sandbox.total()
    }

    fn note_phases(&self) {
        let watch = self.watch.clone();
        self.engine.subscribe(Box::new(move |arn: &str, event: &HistoryEvent| {
            let Some(state) = event.state_name() else { return };
            if !event.event_type.enters_a_state() {
                return;
            }
            let machine = machine_name(arn);
            let is_parent = machine == phases::MACHINE;
            let began = phases::begun_by(state)
                .filter(|_| is_parent && event.event_type != EventType::ChoiceStateEntered);
            let at_ms = event.timestamp_ms;
            let mut watch = watch.borrow_mut();
            watch.moments.enter(machine, state, at_ms);
            let fresh = began.filter(|i| !watch.phase_began_ms.contains_key(i));
            if let Some(index) = fresh {
                watch.phase_began_ms.insert(index, at_ms);
            }
            if let Some(observer) = &watch.observer {
                if let Some(index) = fresh {
                    observer(&News::PhaseBegan(index, at_ms));
                }
                observer(&News::StateEntered(state, at_ms));
            }
        }));
    }

    /// Notes the runbook's table whenever the run has proven one: as the function read it through
    /// the SDK or, where it looked at less, as it is read now. Takes in the questions that are asked.
    fn after_invocations(&self) {
        let (watch, aws) = (self.watch.clone(), self.aws.clone());
        let questions = self.questions.clone();
        let request = Rc::new(self.request.clone());
        self.lambda.after_each(Rc::new(move |invocation| {
            let (watch, aws, request) = (watch.clone(), aws.clone(), request.clone());
            if let Some(question) = Question::of(invocation) {
                questions.ask(question);
            }
            Box::pin(async move {
                let Some(request) = &*request else { return };
                let mut tables = TABLES.iter().chain([&SWITCHED]);
                let Some(table) = tables.find(|t| t.after == invocation.state) else { return };
                let done = |answer: &&Value| answer["state"] == "DONE";
                let Some(answer) = invocation.answer.as_ref().ok().filter(done) else { return };
                let rows = match rows_of(answer) {
                    Some(rows) => rows,
                    None => read_rows(&aws, clusters_of(request, table)).await,
                };
                let shown = TableShown { title: table.title, rows };
                let mut watch = watch.borrow_mut();
                if let Some(observer) = &watch.observer {
                    observer(&News::Table(&shown));
                }
                watch.tables.push(shown);
            })
        }));
    }

    /// Titles, begin and length in virtual milliseconds of the phases that ran.
    pub fn phase_lengths(ended: &Ended) -> Vec<(&'static str, i64)> {
        let end_ms = ended.outcome.stopped_ms.unwrap_or(ended.outcome.started_ms);
        let mut begun: Vec<(usize, i64)> =
            ended.phase_began_ms.iter().map(|(i, at)| (*i, *at)).collect();
        begun.sort_by_key(|(i, at)| (*at, *i));
        let ends = begun.iter().skip(1).map(|(_, at)| *at).chain([end_ms]);
        begun.iter().zip(ends).map(|((i, at), end)| (PHASES[*i].title, end - at)).collect()
    }
}

/// The clusters that a table is about.
fn clusters_of(request: &Request, table: &Table) -> Vec<ClusterExpectation> {
    let (home, away) = (&request.home, &request.away);
    let home_id = if table.home_restored { &home.restored_cluster_id } else { &home.cluster_id };
    let away_id = if table.away_restored { &away.restored_cluster_id } else { &away.cluster_id };
    // Only their rows are used: what is expected of them does not matter here.
    let cluster = |region: &String, id: &String| ClusterExpectation {
        region: region.clone(),
        cluster_id: id.clone(),
        must_be: MustBe::Deleted,
    };
    vec![cluster(&home.region, home_id), cluster(&away.region, away_id)]
}

/// The rows in the answer of `verify_topology`, if it looked at both sides: a switchover keeps other
/// clusters than the request would have rebuilt.
fn rows_of(answer: &Value) -> Option<Vec<Row>> {
    let rows = Vec::<Row>::deserialize(answer.get("table")?).ok()?;
    (rows.len() > 1).then_some(rows)
}

/// Their rows, by describe calls alone.
async fn read_rows(aws: &Aws, clusters: Vec<ClusterExpectation>) -> Vec<Row> {
    let expect = Expectation { clusters, network: Vec::new(), closed: Vec::new() };
    let input = failback::verify_topology::Input { expect };
    let answer = failback::verify_topology::verify_topology(aws, input).await;
    answer.map(|output| output.table).unwrap_or_default()
}

/// Makes the table and the topic that the stack has, in away: the Region whose health is not in
/// question. It is the world's second Region when there is no request.
pub(crate) fn stack(sandbox: &Sandbox, world: &WorldSpec, request: Option<&Request>) -> Stack {
    let region = request.map(|request| request.away.region.as_str());
    let second =
        || world.regions.get(1).or(world.regions.first()).map(|region| region.name.as_str());
    let Some(region) = region.or_else(second) else { return Stack::default() };
    Stack {
        environment_request: None,
        dry_run: None,
        table_arn: Some(sandbox.create_table(region, "failback")),
        topic_arn: Some(sandbox.create_topic(region, "failback")),
        await_machine_arn: Some(machine_arn("await-recovery")),
        events_as_requested: false,
    }
}

/// The SDK's own retries are off: the definition's are what is rehearsed, and theirs would draw
/// their back-off from a random source that no seed reaches.
pub fn sdk_config(client: SharedHttpClient) -> SdkConfig {
    let credentials = Credentials::new("AKIDSANDBOX", "not-a-secret", None, None, "sandbox");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(client)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .retry_config(RetryConfig::disabled())
        // An answer in this process does not stall.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build()
}

/// The plan that an execution of `failback` made, read from the history of its phases.
pub fn plan_of(engine: &Engine, arn: &str) -> Option<plan::Plan> {
    let name = arn.rsplit(':').next().unwrap_or_default();
    let phases = format!(":execution:{}:{name}-", phases::MACHINE);
    let executions = engine.list_executions();
    let phases = executions.iter().find(|e| e.execution_arn.contains(&phases))?;
    let events = engine.history(&phases.execution_arn);
    let planned = events
        .iter()
        .find(|e| e.event_type == EventType::TaskSucceeded && e.detail("output").is_some())?;
    serde_json::from_value(planned.json_detail("output")?["Payload"].clone()).ok()
}
