//! What the server does with clients that are not well-behaved, over real sockets.

mod served;

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use failback_cli::serve::Limits;
use serde_json::json;
use served::{Ask, Served, serve};

const MEBIBYTE: usize = 1024 * 1024;

fn workshop() -> Served {
    serve(1.0, Limits::default())
}

/// Calls of every protocol, each of which is answered with 200.
fn calls() -> Vec<Ask<'static>> {
    let rds = Ask::form("rds", "Action=DescribeDBClusters&Version=2014-10-31");
    let zones = Ask { method: "GET", path: "/2013-04-01/hostedzone", ..Ask::form("route53", "") };
    let metrics = Ask {
        path: "/service/GraniteServiceVersion20100801/operation/ListMetrics",
        ..Ask::form("monitoring", "")
    };
    let metrics_in_json = Ask { body: b"{}".to_vec(), ..Ask::form("monitoring", "") }
        .with("Content-Type", "application/x-amz-json-1.0")
        .with("X-Amz-Target", "GraniteServiceVersion20100801.ListMetrics");
    vec![
        rds,
        Ask::form("ec2", "Action=DescribeVpcs&Version=2016-11-15"),
        zones,
        metrics.with("Content-Type", "application/cbor").with("Smithy-Protocol", "rpc-v2-cbor"),
        metrics_in_json,
        Ask::form("monitoring", "Action=ListMetrics&Version=2010-08-01"),
        Ask::form("sts", "Action=GetCallerIdentity&Version=2011-06-15"),
        Ask::states("ListStateMachines", "{}"),
    ]
}

#[test]
fn every_protocol_is_answered() {
    let served = workshop();
    for call in calls() {
        let reply = served.call(&call);
        assert_eq!(reply.status, 200, "{} {}: {}", call.service, call.path, reply.body);
        assert!(reply.head.contains("\r\nx-amzn-requestid: "), "{}", reply.head);
        assert!(reply.head.contains("\r\ndate: Mon, 05 Jan 2026 03:00:"), "{}", reply.head);
    }
}

#[test]
fn request_without_a_signature_is_refused() {
    let served = workshop();
    for call in calls() {
        let unsigned = String::from_utf8(call.bytes()).unwrap();
        let unsigned = unsigned.replace("Authorization: ", "X-Nothing: ");
        let reply = served.send(unsigned.as_bytes()).unwrap();
        assert_eq!(reply.status, 403, "{}", call.service);
        let code = reply.code().unwrap();
        assert!(code.starts_with("MissingAuthenticationToken"), "{code}");
    }
    let browser = served.send(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    browser.assert_refused(403, "MissingAuthenticationToken");
}

#[test]
fn unknown_services_regions_and_operations_get_an_error_of_their_protocol() {
    let served = workshop();
    served.call(&Ask::form("rds", "Action=RebootTheMoon")).assert_refused(400, "InvalidAction");
    served.call(&Ask::form("ec2", "Action=RunInstances")).assert_refused(400, "InvalidAction");
    served.call(&Ask::form("sqs", "Action=SendMessage")).assert_refused(400, "InvalidAction");
    served.call(&Ask::form("sts", "Action=AssumeRole")).assert_refused(400, "InvalidAction");
    served.states("TestState", &json!({})).assert_refused(400, "UnknownOperationException");
    served
        .call(&Ask { service: "dynamodb", ..Ask::states("ListTables", "{}") })
        .assert_refused(400, "UnknownOperationException");
    for call in calls() {
        let reply = served.call(&call.clone().in_region("mars-north-1"));
        assert!(reply.status == 200 || reply.code().is_some(), "{reply:?}");
    }
    served.assert_serves();
}

#[test]
fn bodies_that_cannot_be_read_are_refused_and_change_nothing() {
    let served = workshop();
    let before = served.sandbox.fingerprint();
    let deep_json = "[".repeat(100_000);
    let bodies: [&[u8]; 6] = [
        b"\x00\xff\xfe%%%=&=&&;",
        b"<ChangeResourceRecordSetsRequest><ChangeBatch><Changes>",
        b"{\"stateMachineArn\": ",
        deep_json.as_bytes(),
        &[0x81; 100_000],
        b"\xbf\x61",
    ];
    let record_sets = Ask {
        path: "/2013-04-01/hostedzone/Z04873361KQ3ZLLX2R0JB/rrset",
        ..Ask::form("route53", "")
    };
    let with_bodies: Vec<Ask<'_>> = calls().into_iter().chain([record_sets]).collect();
    for body in bodies {
        for call in with_bodies.iter().filter(|call| call.method == "POST") {
            let reply = served.call(&Ask { body: body.to_vec(), ..call.clone() });
            // A number is a body too, in CBOR, and one that asks for nothing.
            let asks_nothing = call.service == "monitoring" && reply.status == 200;
            assert!(asks_nothing || reply.code().is_some(), "{}: {reply:?}", call.service);
        }
    }
    assert_eq!(served.sandbox.fingerprint(), before);
    served.assert_serves();
}

#[test]
fn wrong_content_type_is_refused_where_it_decides() {
    let served = workshop();
    for content_type in ["text/plain", "application/json", "application/x-www-form-urlencoded"] {
        let call = Ask::states("ListStateMachines", "{}").with("Content-Type", content_type);
        served.call(&call).assert_refused(400, "UnknownOperationException");
    }
    let mut without = Ask::states("ListStateMachines", "{}");
    without.headers.retain(|(name, _)| *name != "Content-Type");
    served.call(&without).assert_refused(400, "UnknownOperationException");
    let other = Ask::form("rds", "{}").with("Content-Type", "application/json");
    served.call(&other).assert_refused(400, "InvalidAction");
}

#[test]
fn parameter_of_a_mebibyte_is_refused_and_not_repeated() {
    let served = workshop();
    let before = served.sandbox.fingerprint();
    let long = "a".repeat(MEBIBYTE);
    let create = "Action=CreateGlobalCluster&Engine=aurora-mysql&GlobalClusterIdentifier=";
    let refused = served.call(&Ask::form("rds", &format!("{create}{long}")));
    refused.assert_refused(400, "InvalidParameterValue");
    let arn = format!("arn:aws:states:us-west-2:123456789012:execution:failback:{long}");
    let refused = served.states("DescribeExecution", &json!({ "executionArn": arn }));
    refused.assert_refused(400, "ValidationException");
    assert!(refused.body.len() < 1_000);
    let machine = "arn:aws:states:us-west-2:123456789012:stateMachine:failback";
    let input = json!({ "stateMachineArn": machine, "input": json!({ "a": long }).to_string() });
    served.states("StartExecution", &input).assert_refused(400, "InvalidExecutionInput");
    let input = json!({ "stateMachineArn": machine, "name": long });
    served.states("StartExecution", &input).assert_refused(400, "InvalidName");
    assert_eq!(served.sandbox.fingerprint(), before);
}

#[test]
fn body_beyond_the_limit_is_refused() {
    let limits = Limits { body_bytes: MEBIBYTE, ..Limits::default() };
    let served = serve(1.0, limits);
    let large = Ask { body: vec![b'a'; 2 * MEBIBYTE], ..Ask::form("rds", "") };
    served.send(&large.bytes()).unwrap().assert_refused(413, "RequestEntityTooLarge");
    let chunk = [format!("{MEBIBYTE:x}\r\n").into_bytes(), vec![b'a'; MEBIBYTE], b"\r\n".to_vec()];
    let head = format!("{}Transfer-Encoding: chunked\r\n\r\n", large.head()).into_bytes();
    let chunked = [head, chunk.concat(), chunk.concat(), b"0\r\n\r\n".to_vec()].concat();
    // The refusal may be lost where the rest of the body meets a closed connection.
    if let Some(reply) = served.send(&chunked) {
        reply.assert_refused(413, "RequestEntityTooLarge");
    }
    served.assert_serves();
}

#[test]
fn request_that_breaks_the_protocol_loses_its_connection() {
    let served = workshop();
    let before = served.sandbox.fingerprint();
    let head = Ask::form("rds", "").head();
    for broken in [
        format!("{head}Transfer-Encoding: chunked\r\n\r\nnot-hex\r\nAction=x\r\n0\r\n\r\n"),
        format!("{head}Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nAction"),
        format!("{head}Content-Length: 12\r\nContent-Length: 13\r\n\r\nAction=abcdef"),
        format!("{head}Content-Length: -1\r\n\r\nAction=abcdef"),
        format!("{head}X-Long: {}\r\n\r\n", "a".repeat(MEBIBYTE)),
        "GET /".to_owned() + &"a".repeat(MEBIBYTE) + " HTTP/1.1\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(),
        "\u{16}\u{3}\u{1}hello".to_owned() + "\r\n\r\n",
    ] {
        let reply = served.send(broken.as_bytes());
        assert!(reply.is_none_or(|reply| reply.status >= 400));
    }
    assert_eq!(served.sandbox.fingerprint(), before);
    served.assert_serves();
}

#[test]
fn client_that_does_not_finish_its_request_is_dropped() {
    let short = Duration::from_millis(200);
    let served = serve(1.0, Limits { head: short, body: short, ..Limits::default() });
    let mut half_head = served.connect();
    half_head.write_all(b"POST / HTTP/1.1\r\nHost: loc").unwrap();
    let mut half_body = served.connect();
    let head = Ask::form("rds", "").head();
    half_body.write_all(format!("{head}Content-Length: 100\r\n\r\nAction=").as_bytes()).unwrap();
    let mut answer = Vec::new();
    half_head.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"));
    answer.clear();
    half_body.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"));
    served.assert_serves();
}

#[test]
fn two_thousand_silent_connections_keep_nobody_out() {
    let served = workshop();
    let silent: Vec<_> = (0..2_000)
        .map(|n| {
            let mut stream = served.connect();
            if n % 2 == 0 {
                // The server may have sent it away by now.
                let _ = stream.write_all(b"POST / HTTP/1.1\r\nHost: ");
            }
            if n % 100 == 0 {
                served.assert_serves();
            }
            stream
        })
        .collect();
    served.assert_serves();
    drop(silent);
    served.assert_serves();
}

/// The exit code of a server after a signal.
fn told_to_stop(mut server: Child, signal: &str) -> Option<i32> {
    let id = server.id().to_string();
    assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    let (ended, has_ended) = mpsc::channel();
    std::thread::spawn(move || ended.send(server.wait()));
    has_ended.recv_timeout(Duration::from_secs(10)).expect("it ends").unwrap().code()
}

#[test]
fn command_serves_until_it_is_told_to_stop() {
    for signal in ["-INT", "-TERM"] {
        let mut server = Command::new(env!("CARGO_BIN_EXE_failback"))
            .args(["serve", "--port", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.starts_with("failback serves http://127.0.0.1:"), "{line}");
        assert_eq!(told_to_stop(server, signal), Some(0), "after {signal}");
    }
}

#[test]
fn expression_that_never_ends_does_not_keep_the_command_from_ending() {
    // Not signalled before the evaluation has begun: the start of the execution is answered first.
    let mut server = Command::new(env!("CARGO_BIN_EXE_failback"))
        .args(["serve", "--port", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap();
    let definition = json!({
        "QueryLanguage": "JSONata", "TimeoutSeconds": 9, "StartAt": "A", "States": { "A": {
            "Type": "Pass", "End": true,
            "Output": format!("{{% $contains('{}', /^(a+)+b$/) %}}", "a".repeat(60)),
        }}
    });
    let create =
        json!({ "name": "hangs", "roleArn": "arn:any", "definition": definition.to_string() });
    let machine = "arn:aws:states:us-west-2:123456789012:stateMachine:hangs";
    for (operation, input) in
        [("CreateStateMachine", create), ("StartExecution", json!({ "stateMachineArn": machine }))]
    {
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        stream.write_all(&Ask::states(operation, &input.to_string()).bytes()).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(told_to_stop(server, "-TERM"), Some(0));
}

#[test]
fn command_says_why_it_cannot_serve() {
    let served = workshop();
    let port = served.address.port().to_string();
    for arguments in [["--port", &port], ["--speed", "0"], ["--world", "/no/such/file"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_failback"));
        let ended = command.arg("serve").args(arguments).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(!ended.stderr.is_empty());
    }
}
