//! A served world in a thread of this process, and a client that can misbehave.
#![allow(dead_code, reason = "every test binary uses its own part")]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use failback_cli::serve::{Limits, Options, Server};
use failback_sandbox::Sandbox;
use serde_json::Value;
use tokio::sync::oneshot;

/// How long a client waits for anything.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server, until it is dropped.
pub struct Served {
    pub address: SocketAddr,
    pub sandbox: Sandbox,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Serves the workshop with these limits, so many times as fast as real time.
pub fn serve(speed: f64, limits: Limits) -> Served {
    let (ready, is_ready) = mpsc::channel();
    let (stop, stopped) = oneshot::channel();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, async {
            let options = Options { speed, limits, ..Options::default() };
            let server = Server::bind(&options).await.unwrap();
            ready.send((server.address(), server.sandbox())).unwrap();
            tokio::select! {
                never = server.run() => match never {},
                _ = stopped => {}
            }
        });
    });
    let (address, sandbox) = is_ready.recv().unwrap();
    Served { address, sandbox, stop: Some(stop), thread: Some(thread) }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the server has panicked");
        }
    }
}

impl Served {
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes on a connection of their own and reads until the server closes it.
    pub fn send(&self, bytes: &[u8]) -> Option<Reply> {
        let mut stream = self.connect();
        // A server that has refused the beginning need not read the rest.
        let sent = stream.write_all(bytes);
        assert!(sent.as_ref().err().is_none_or(|e| closed(e.kind())), "{sent:?}");
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        assert!(read.as_ref().err().is_none_or(|e| closed(e.kind())), "{read:?}");
        Reply::parse(&answer)
    }

    pub fn call(&self, request: &Ask<'_>) -> Reply {
        self.send(&request.bytes()).expect("an answer")
    }

    /// A call of Step Functions in the Region of the repository's machines.
    pub fn states(&self, operation: &str, input: &Value) -> Reply {
        self.call(&Ask::states(operation, &input.to_string()))
    }

    /// The answer to a call of Step Functions that must succeed.
    pub fn must(&self, operation: &str, input: &Value) -> Value {
        let reply = self.states(operation, input);
        assert_eq!(reply.status, 200, "{operation}: {}", reply.body);
        reply.json()
    }

    /// That an ordinary client gets an ordinary answer.
    pub fn assert_serves(&self) {
        let reply =
            self.call(&Ask::form("rds", "Action=DescribeGlobalClusters&Version=2014-10-31"));
        assert_eq!(reply.status, 200);
        assert!(reply.body.contains("reinvent-dat348-gdb"), "{}", reply.body);
    }
}

fn closed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof)
}

/// A request.
#[derive(Clone)]
pub struct Ask<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub headers: Vec<(&'a str, String)>,
    pub body: Vec<u8>,
}

impl<'a> Ask<'a> {
    /// A call of awsQuery or ec2Query.
    pub fn form(service: &'a str, body: &str) -> Self {
        let content_type = "application/x-www-form-urlencoded; charset=utf-8".to_owned();
        Self {
            method: "POST",
            path: "/",
            service,
            region: "us-east-1",
            headers: vec![("Content-Type", content_type)],
            body: body.as_bytes().to_vec(),
        }
    }

    /// A call of Step Functions.
    pub fn states(operation: &str, body: &str) -> Self {
        Self {
            region: "us-west-2",
            headers: vec![
                ("Content-Type", "application/x-amz-json-1.0".to_owned()),
                ("X-Amz-Target", format!("AWSStepFunctions.{operation}")),
            ],
            ..Self::form("states", body)
        }
    }

    pub fn in_region(self, region: &'a str) -> Self {
        Self { region, ..self }
    }

    /// The same with another header, in place of one of that name.
    pub fn with(mut self, name: &'a str, value: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The head without `Content-Length` and the empty line.
    pub fn head(&self) -> String {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: {}\r\n",
            self.method,
            self.path,
            signature(self.service, self.region)
        );
        for (name, value) in &self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        head
    }

    pub fn bytes(&self) -> Vec<u8> {
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head(), self.body.len());
        [head.as_bytes(), &self.body].concat()
    }
}

pub fn signature(service: &str, region: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDSANDBOX/20260105/{region}/{service}/aws4_request, \
         SignedHeaders=host, Signature=00"
    )
}

/// An answer.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_owned(), body: body.to_owned() })
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
    }

    /// The error's code in whatever protocol, without its namespace.
    pub fn code(&self) -> Option<String> {
        if self.status < 400 {
            return None;
        }
        if let Some((_, rest)) = self.body.split_once("<Code>") {
            return Some(rest.split_once("</Code>")?.0.to_owned());
        }
        if let Some((_, rest)) = self.head.split_once("x-amzn-query-error: ") {
            return Some(rest.split(';').next()?.to_owned());
        }
        let body: Value = serde_json::from_str(&self.body).ok()?;
        Some(body["__type"].as_str()?.rsplit('#').next()?.to_owned())
    }

    pub fn assert_refused(&self, status: u16, code: &str) {
        let right = self.status == status && self.code().as_deref() == Some(code);
        assert!(right, "not {status} {code}: {self:?}");
    }
}
