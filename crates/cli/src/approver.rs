//! Who answers when a run asks for an approval.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{BufRead, Write};

use failback::Aws;
use failback_states::Clock;
use serde_json::json;
use tokio::sync::Notify;

use crate::lambda::Invocation;

/// Virtual milliseconds a person takes to read the question and to answer.
const THINKING_MS: i64 = 90_000;

/// How often an answer is tried: a person, too, tries again when a call fails.
const TRIES: usize = 10;

/// Who answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Approver {
    /// Nobody: the run ends when its patience does.
    #[default]
    #[value(skip)]
    Nobody,
    /// Whoever sits at the terminal.
    Ask,
    /// Everything is approved.
    Auto,
    /// Everything is rejected.
    Reject,
}

/// A question that a run asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// Under what it is answered.
    pub approval_id: String,
    /// What was published.
    pub message: String,
}

impl Question {
    /// The question that an invocation asked, if it asked one.
    pub fn of(invocation: &Invocation) -> Option<Self> {
        if invocation.function != "request_approval" {
            return None;
        }
        let answer = invocation.answer.as_ref().ok()?;
        Some(Self {
            approval_id: answer["approval_id"].as_str()?.to_owned(),
            message: answer["message"].as_str()?.to_owned(),
        })
    }
}

/// Questions that nobody has answered yet.
#[derive(Debug, Default)]
pub struct Questions {
    open: RefCell<VecDeque<Question>>,
    asked: Notify,
}

impl Questions {
    /// Takes a question in.
    pub fn ask(&self, question: Question) {
        self.open.borrow_mut().push_back(question);
        self.asked.notify_one();
    }

    /// Answers questions as they come, for ever, through the function that a person would invoke.
    pub async fn answer(
        &self,
        approver: Approver,
        aws: &Aws,
        clock: &Clock,
    ) -> std::convert::Infallible {
        loop {
            let next = self.open.borrow_mut().pop_front();
            match next {
                Some(question) => approver.answer(aws, clock, &question).await,
                None => self.asked.notified().await,
            }
        }
    }
}

impl Approver {
    async fn answer(self, aws: &Aws, clock: &Clock, question: &Question) {
        let decision = match self {
            Self::Nobody => return,
            Self::Ask if at_terminal(&question.message) => "approve",
            Self::Auto => "approve",
            Self::Ask | Self::Reject => "reject",
        };
        let payload = json!({
            "approval_id": question.approval_id,
            "decision": decision,
            "who": "the operator of the rehearsal",
            "why": "it is a rehearsal",
        });
        for _ in 0..TRIES {
            clock.sleep_ms(THINKING_MS).await;
            match failback::call("answer_approval", aws, payload.clone()).await {
                Err(error) if is_transient(&error) => {}
                _ => return,
            }
        }
    }
}

fn is_transient(error: &failback::FailbackError) -> bool {
    failback::ErrorName::from(error).class() == failback::ErrorClass::Transient
}

/// Shows the question and waits for `y`; anything else, and the end of the input, is a no.
fn at_terminal(question: &str) -> bool {
    println!("\n{question}");
    print!("Approve? [y/N] ");
    let mut line = String::new();
    let read =
        std::io::stdout().flush().and_then(|()| std::io::stdin().lock().read_line(&mut line));
    read.is_ok() && ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str())
}
