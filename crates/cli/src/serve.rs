//! The command `failback serve`: the sandbox and the interpreter over HTTP, for the AWS CLI, boto3
//! and any other client.

mod dialect;
mod functions;
mod listen;
mod metrics;
mod seats;
mod site;
mod sts;

use std::convert::Infallible;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use failback_sandbox::{Sandbox, SpecError, WorldSpec};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::task::LocalSet;

pub use self::listen::Limits;
use self::site::{Site, shown};
use crate::definitions::BadDefinition;
use crate::drill::EPOCH_MS;
use crate::rehearse::BAD_USAGE;

/// How often ended executions are counted and the oldest forgotten.
const TIDY_EVERY: Duration = Duration::from_secs(1);

/// Stack of the thread that serves: expressions nest, and each level of an evaluation takes its part.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What `failback serve` is told.
#[derive(Debug, clap::Args)]
pub struct Serve {
    /// The port; 0 takes a free one.
    #[arg(long, default_value_t = 4566)]
    port: u16,
    /// The address to listen on. Nothing is verified, signatures included: keep it on this machine.
    #[arg(long, value_name = "ADDR", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// How many times as fast as real time the world goes.
    #[arg(long, value_name = "N", default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// The two Regions; the workshop's when absent. Its clients are left out.
    #[arg(long, value_name = "FILE")]
    world: Option<PathBuf>,
    /// Decides everything that is left to chance.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// What the world's clock shows at the start, in milliseconds since the Unix epoch.
    #[arg(long, value_name = "MS", default_value_t = EPOCH_MS)]
    epoch_ms: i64,
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=1_000_000.0).contains(&speed) {
        Ok(speed)
    } else {
        Err("a speed is between 0.001 and 1000000".to_owned())
    }
}

/// Serves until SIGINT or SIGTERM; exit code 0 then, 2 when it cannot begin.
pub fn main(arguments: &Serve) -> ExitCode {
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("failback: {problem}");
            ExitCode::from(BAD_USAGE)
        }
    }
}

fn serve(arguments: &Serve) -> Result<(), String> {
    let world = match &arguments.world {
        None => WorldSpec::workshop(),
        Some(path) => {
            let text = std::fs::read_to_string(path)
                .map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
            WorldSpec::from_json(&text)
                .map_err(|e| format!("{} is not a world: {e}", path.display()))?
        }
    };
    let options = Options {
        address: SocketAddr::new(arguments.bind, arguments.port),
        speed: arguments.speed,
        world,
        seed: arguments.seed,
        epoch_ms: arguments.epoch_ms,
        limits: Limits::default(),
    };
    runtime()?.block_on(until_told(options))
}

fn runtime() -> Result<Runtime, String> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("the runtime cannot be built: {e}"))
}

/// Listens for signals here and serves in another thread, so that a machine whose expression never
/// ends cannot keep the command from ending.
async fn until_told(options: Options) -> Result<(), String> {
    let cannot = |e: std::io::Error| format!("signals cannot be handled: {e}");
    let mut interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(cannot)?;
    let (speed, epoch_ms) = (options.speed, options.epoch_ms);
    let (ready, is_ready) = oneshot::channel();
    let thread = std::thread::Builder::new().name("serve".to_owned()).stack_size(STACK_BYTES);
    let (alive, gone) = oneshot::channel::<Infallible>();
    let serve = move || {
        serve_here(&options, ready);
        drop(alive);
    };
    thread.spawn(serve).map_err(|e| e.to_string())?;
    let address = is_ready.await.map_err(|_| "the server has panicked".to_owned())??;
    println!("failback serves http://{address} at speed {speed} from {}", shown(epoch_ms));
    // Whoever waits for this line reads it through a pipe.
    std::io::stdout().flush().map_err(|e| e.to_string())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = gone => return Err("the server has panicked".to_owned()),
    }
    Ok(())
}

/// Serves on this thread for ever, once it has said where.
fn serve_here(options: &Options, ready: oneshot::Sender<Result<SocketAddr, String>>) {
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        // Whoever waited for an answer is told why there is none; there is nobody else to tell.
        Err(problem) => return drop(ready.send(Err(problem))),
    };
    LocalSet::new().block_on(&runtime, async {
        match Server::bind(options).await {
            Ok(server) => {
                let waited = ready.send(Ok(server.address()));
                if waited.is_ok() {
                    match server.run().await {}
                }
            }
            Err(problem) => drop(ready.send(Err(problem.to_string()))),
        }
    });
}

/// What to serve, and where.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 takes a free one.
    pub address: SocketAddr,
    /// How many times as fast as real time the world goes.
    pub speed: f64,
    /// The two Regions. Their clients are left out.
    pub world: WorldSpec,
    /// Decides everything that is left to chance.
    pub seed: u64,
    /// What the world's clock shows at the start, in milliseconds since the epoch.
    pub epoch_ms: i64,
    /// Bounds on what clients may do.
    pub limits: Limits,
}

impl Default for Options {
    /// The workshop, in real time, on a free port of the loopback interface.
    fn default() -> Self {
        Self {
            address: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
            speed: 1.0,
            world: WorldSpec::workshop(),
            seed: 1,
            epoch_ms: EPOCH_MS,
            limits: Limits::default(),
        }
    }
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum CannotServe {
    /// The address cannot be listened on.
    #[error("{0} cannot be listened on: {1}")]
    Address(SocketAddr, std::io::Error),
    /// The world contradicts itself.
    #[error("the world cannot be built: {0}")]
    World(#[from] SpecError),
    /// A definition of the repository is broken.
    #[error(transparent)]
    Definition(#[from] BadDefinition),
}

/// A world behind a socket.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    site: Rc<Site>,
    limits: Limits,
}

impl Server {
    /// Builds the world and opens the socket. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`CannotServe`].
    pub async fn bind(options: &Options) -> Result<Self, CannotServe> {
        let site = Rc::new(Site::new(options)?);
        let refused = |e| CannotServe::Address(options.address, e);
        let listener = TcpListener::bind(options.address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address, site, limits: options.limits })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The world, to look at from beside.
    pub fn sandbox(&self) -> Sandbox {
        self.site.sandbox.clone()
    }

    /// Serves for ever. Needs a `LocalSet`: the interpreter lives on one thread.
    pub async fn run(self) -> Infallible {
        tokio::task::spawn_local(drive(self.site.clone()));
        tokio::task::spawn_local(tidy(self.site.clone()));
        listen::accept(self.listener, self.site, self.limits).await
    }
}

/// Drives the interpreter, and goes on when an execution panics: the others are not to blame.
async fn drive(site: Rc<Site>) {
    loop {
        let engine = site.engine.clone();
        let driving = tokio::task::spawn_local(async move { engine.drive().await });
        match driving.await {
            Err(error) if error.is_panic() => eprintln!("failback: an execution panicked"),
            _ => return,
        }
    }
}

async fn tidy(site: Rc<Site>) {
    let mut ticks = tokio::time::interval(TIDY_EVERY);
    loop {
        ticks.tick().await;
        site.tidy();
    }
}
