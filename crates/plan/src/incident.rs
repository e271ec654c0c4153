//! What the stack was told of home's Region, and which incident that makes.
//!
//! Notices arrive late, twice and in any order, several of them for one trouble: nothing is taken
//! from the order in which they arrive. An incident lasts from the first notice of a trouble until
//! no trouble is known any more, and at its end, once, somebody may think of a failback.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A thing that somebody says about home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// What it is about: the ARN of the event or of the alarm.
    pub about: String,
    /// Which communication about it this is: the same one may be delivered twice.
    pub communication: String,
    /// A word for people: the service, or the alarm's name.
    pub what: String,
    /// What it says.
    pub says: Says,
    /// When it was said, in epoch milliseconds.
    pub said_ms: i64,
}

/// What a notice says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// Home is in trouble.
    Trouble,
    /// Nothing is known: an alarm without data.
    Nothing,
    /// All is well.
    Well {
        /// And it was not before: the notice itself says so.
        again: bool,
    },
}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// In trouble, as far as is known.
    Open,
    /// Nothing is known of it, which is no good news.
    Silent,
    /// Over.
    Over,
}

/// The last notice of a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// A word for people.
    pub what: String,
    /// How it stands.
    pub standing: Standing,
    /// When that was said, in epoch milliseconds.
    pub said_ms: i64,
    /// By which communication.
    pub communication: String,
}

/// From the first trouble to the moment in which none is known any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Its name, fit for an execution and never used again.
    pub id: String,
    /// By which notice it ended: what it was about, and the communication. Absent while it lasts.
    pub ended_by: Option<(String, String)>,
}

/// All that is remembered of home's Region.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Register {
    /// What notices were about → the last one of it.
    pub things: BTreeMap<String, Told>,
    /// The last incident.
    pub incident: Option<Incident>,
}

/// What became of a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Heard {
    /// It was known already, or something later was.
    Known,
    /// It is remembered; nothing follows from it.
    Noted,
    /// Home may be well again, were it not for these.
    StillOpen(Vec<String>),
    /// No trouble is known any more: the incident of this name is over.
    Over(String),
}

/// For how long it is remembered that something is over, in milliseconds: longer than a duplicate
/// can be under way.
const KEPT_MS: i64 = 30 * 86_400_000;

impl Register {
    /// Takes in a notice. Hearing the notice by which an incident ended once more ends it once more:
    /// whoever heard it first may have died before anything came of it.
    pub fn hear(&mut self, notice: &Notice) -> Heard {
        let before = self.things.get(&notice.about);
        if before.is_some_and(|told| told.is_later_than(notice)) {
            return self.ended_by(notice).map_or(Heard::Known, Heard::Over);
        }
        let was = before.map(|told| told.standing);
        self.things.retain(|_, told| {
            told.standing != Standing::Over || notice.said_ms - told.said_ms < KEPT_MS
        });
        self.note(notice, was);
        let news = match notice.says {
            Says::Trouble => was != Some(Standing::Open),
            Says::Nothing => false,
            Says::Well { again } => again && was.is_none_or(|was| was == Standing::Silent),
        };
        let lasts = self.incident.as_ref().is_some_and(|incident| incident.ended_by.is_none());
        if news && !lasts {
            self.incident = Some(Incident { id: name(notice), ended_by: None });
        }
        match notice.says {
            Says::Well { .. } if news || lasts => self.end(notice),
            _ => Heard::Noted,
        }
    }

    /// What is in trouble, or of which nothing is known.
    pub fn open(&self) -> Vec<String> {
        let open = self.things.iter().filter(|(_, told)| told.standing != Standing::Over);
        open.map(|(about, told)| format!("{} ({about})", told.what)).collect()
    }

    fn note(&mut self, notice: &Notice, was: Option<Standing>) {
        let standing = match notice.says {
            Says::Trouble => Standing::Open,
            // An alarm without data does not end the trouble it told of.
            Says::Nothing if was == Some(Standing::Open) => Standing::Open,
            Says::Nothing => Standing::Silent,
            Says::Well { .. } => Standing::Over,
        };
        let told = Told {
            what: notice.what.clone(),
            standing,
            said_ms: notice.said_ms,
            communication: notice.communication.clone(),
        };
        self.things.insert(notice.about.clone(), told);
    }

    fn end(&mut self, notice: &Notice) -> Heard {
        let open = self.open();
        if !open.is_empty() {
            return Heard::StillOpen(open);
        }
        let Some(incident) = &mut self.incident else { return Heard::Noted };
        incident.ended_by = Some((notice.about.clone(), notice.communication.clone()));
        Heard::Over(incident.id.clone())
    }

    /// The incident that this very notice ended, unless another one has begun since.
    fn ended_by(&self, notice: &Notice) -> Option<String> {
        let incident = self.incident.as_ref()?;
        let (about, communication) = incident.ended_by.as_ref()?;
        let same = *about == notice.about && *communication == notice.communication;
        (same && self.open().is_empty()).then(|| incident.id.clone())
    }
}

impl Told {
    /// Whether a notice is this one once more, or an older one. Of two said at the same moment the
    /// one that tells of trouble counts.
    fn is_later_than(&self, notice: &Notice) -> bool {
        let at_once = notice.said_ms == self.said_ms
            && self.standing == Standing::Open
            && notice.says != Says::Trouble;
        self.communication == notice.communication || notice.said_ms < self.said_ms || at_once
    }
}

/// At most 42 characters: an execution's name, of which its children's names keep the last 50.
fn name(notice: &Notice) -> String {
    const WORD_CHARS_MAX: usize = 20;
    let word = notice.what.to_ascii_lowercase();
    let word: String = word
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(WORD_CHARS_MAX)
        .collect();
    let digest = Sha256::digest(format!("{}\n{}", notice.about, notice.communication));
    let digits: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("incident-{word}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const RDS: &str = "arn:aws:health:us-east-1::event/RDS/AWS_RDS_OPERATIONAL_ISSUE/1";
    const EC2: &str = "arn:aws:health:us-east-1::event/EC2/AWS_EC2_OPERATIONAL_ISSUE/2";
    const AGAIN: Says = Says::Well { again: true };
    const WELL: Says = Says::Well { again: false };

    fn notice(about: &str, at: i64, says: Says) -> Notice {
        let what = about.split('/').nth(1).unwrap_or("alarm").to_owned();
        Notice {
            about: about.to_owned(),
            communication: format!("{about}-{at}"),
            what,
            says,
            said_ms: at,
        }
    }

    /// What becomes of each notice in turn.
    fn heard(register: &mut Register, notices: &[(&str, i64, Says)]) -> Vec<Heard> {
        notices.iter().map(|(about, at, says)| register.hear(&notice(about, *at, *says))).collect()
    }

    fn id(heard: &Heard) -> &str {
        match heard {
            Heard::Over(id) => id,
            other => panic!("no incident is over: {other:?}"),
        }
    }

    #[test]
    fn incident_is_over_when_the_last_of_its_events_is() {
        let mut register = Register::default();

        let heard = heard(
            &mut register,
            &[(RDS, 1, Says::Trouble), (EC2, 2, Says::Trouble), (RDS, 3, AGAIN), (EC2, 4, AGAIN)],
        );

        assert_eq!(heard[..2], [Heard::Noted, Heard::Noted]);
        assert_eq!(heard[2], Heard::StillOpen(vec![format!("EC2 ({EC2})")]));
        assert!(id(&heard[3]).starts_with("incident-rds-"), "{heard:?}");
    }

    #[test]
    fn notice_that_comes_twice_ends_the_same_incident_or_nothing() {
        let mut register = Register::default();
        let first = heard(&mut register, &[(RDS, 1, Says::Trouble), (RDS, 2, AGAIN)]);

        let again = heard(&mut register, &[(RDS, 2, AGAIN), (RDS, 1, Says::Trouble)]);

        assert_eq!(again, [first[1].clone(), Heard::Known]);
        // A further update of an event that is over is no second end.
        assert_eq!(heard(&mut register, &[(RDS, 5, AGAIN)]), [Heard::Noted]);
    }

    #[test]
    fn end_that_nobody_was_told_the_beginning_of_is_an_end() {
        let mut register = Register::default();
        let heard = heard(&mut register, &[(EC2, 7, AGAIN)]);
        assert!(id(&heard[0]).starts_with("incident-ec2-"));
    }

    #[test]
    fn open_notice_that_arrives_after_the_end_opens_nothing() {
        let mut register = Register::default();
        let late = heard(&mut register, &[(RDS, 9, AGAIN), (RDS, 3, Says::Trouble)]);
        assert_eq!(late[1], Heard::Known);
        assert!(register.open().is_empty());
    }

    #[test]
    fn event_that_opens_again_is_another_incident() {
        let mut register = Register::default();

        let heard = heard(
            &mut register,
            &[(RDS, 1, Says::Trouble), (RDS, 2, AGAIN), (RDS, 3, Says::Trouble), (RDS, 4, AGAIN)],
        );

        assert_ne!(id(&heard[1]), id(&heard[3]));
        let duplicate = register.hear(&notice(RDS, 2, AGAIN));
        assert_eq!(duplicate, Heard::Known, "the first end is no end any more");
    }

    #[test]
    fn of_two_notices_of_one_moment_the_trouble_counts() {
        let mut other = notice(RDS, 5, AGAIN);
        other.communication = "another".to_owned();
        for open_first in [true, false] {
            let mut register = Register::default();
            let mut both = [notice(RDS, 5, Says::Trouble), other.clone()];
            if !open_first {
                both.reverse();
            }
            for notice in &both {
                register.hear(notice);
            }
            assert_eq!(register.open().len(), 1, "open first: {open_first}");
        }
    }

    #[test]
    fn alarm_that_was_in_no_trouble_ends_nothing() {
        let mut register = Register::default();
        let heard = heard(&mut register, &[("alarm", 1, Says::Nothing), ("alarm", 2, WELL)]);
        assert_eq!(heard, [Heard::Noted, Heard::Noted]);
    }

    #[test]
    fn alarm_that_comes_back_by_way_of_no_data_ends_its_incident() {
        let mut register = Register::default();
        let heard = heard(
            &mut register,
            &[("alarm", 1, Says::Trouble), ("alarm", 2, Says::Nothing), ("alarm", 3, WELL)],
        );
        assert!(matches!(heard[2], Heard::Over(_)), "{heard:?}");
    }

    #[test]
    fn alarm_without_data_holds_the_end_up() {
        let mut register = Register::default();
        let heard = heard(
            &mut register,
            &[("alarm", 1, Says::Nothing), (RDS, 2, AGAIN), ("alarm", 3, WELL)],
        );
        assert!(matches!(heard[1], Heard::StillOpen(_)), "{heard:?}");
        assert!(id(&heard[2]).starts_with("incident-rds-"));
    }

    #[test]
    fn what_is_over_for_long_is_forgotten_and_what_is_open_never() {
        let mut register = Register::default();
        heard(&mut register, &[(RDS, 0, Says::Trouble), ("alarm", 1, AGAIN)]);
        heard(&mut register, &[(EC2, KEPT_MS + 2, AGAIN)]);
        let left: Vec<&str> = register.things.keys().map(String::as_str).collect();
        assert_eq!(left, [EC2, RDS]);
    }

    #[test]
    fn name_of_an_incident_fits_an_execution_and_its_children() {
        let mut long = notice("alarm", 1, AGAIN);
        long.what = "failback-home-Kanarienvogel in Übersee, der ruft".to_owned();
        let name = name(&long);
        assert!(name.len() <= 50, "{name}");
        assert!(name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'), "{name}");
    }
}
