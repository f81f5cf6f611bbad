//! Snapshots of limiters, to check that they are the same after a restart, in a copy or on a replica.

use redis::{Connection, Value};

use super::client::{Verdict, batch, command, digest};
use super::replies::{elements, policy};

/// Limiters, sorted by key.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Snapshot(pub(crate) Vec<LimiterSnapshot>);

/// One limiter of a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LimiterSnapshot {
    pub(crate) key: String,
    /// The digest of the whole value.
    pub(crate) digest: String,
    pub(crate) policy: String,
    pub(crate) answers: Vec<Answer>,
    /// Empty if there are no questions for the limiter, because its entries may be expiring.
    pub(crate) lists: ListAnswers,
}

/// The replies to LIST without the times, which change: the networks, and the number of emails.
pub(crate) type ListAnswers = Vec<(Vec<Value>, Value)>;

/// An attempt to send to PEEK.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Question {
    ip: String,
    email: String,
    device: Option<String>,
}

/// The reply of PEEK without the times, which change.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    question: Question,
    pub(crate) allowed: bool,
    pub(crate) limit: i64,
    pub(crate) remaining: i64,
    pub(crate) rule: String,
    /// With RULES, for each rule: words, limit, remaining, shadow.
    pub(crate) rows: Vec<[Value; 4]>,
}

impl Question {
    /// Creates an attempt from this IP address on this email.
    pub(crate) fn new(ip: String, email: String) -> Self {
        Self { ip, email, device: None }
    }

    /// Sets the device of the attempt, if any.
    pub(crate) fn by(self, device: Option<String>) -> Self {
        Self { device, ..self }
    }

    /// Returns the words of the PEEK command.
    fn words(&self, key: &str, rules: bool) -> Vec<String> {
        let mut words = vec!["AUTHLIMIT.PEEK".to_owned(), key.to_owned()];
        words.extend([self.ip.clone(), self.email.clone()]);
        words.extend(self.device.iter().flat_map(|id| ["DEVICE".to_owned(), id.clone()]));
        words.extend(rules.then(|| "RULES".to_owned()));
        words
    }
}

impl Snapshot {
    /// Takes a snapshot of the limiter stored at `at`, and names it `key`.
    #[track_caller]
    pub(crate) fn of_limiter(client: &mut Connection, key: &str, at: &str, questions: &[Question]) -> LimiterSnapshot {
        let words = questions.iter().flat_map(|question| [false, true].map(|rules| question.words(at, rules)));
        let replies = batch(client, words);
        let answers = questions.iter().zip(replies.chunks(2)).map(|(question, replies)| Answer::new(question, replies));
        let listed = match questions {
            [] => Vec::new(),
            _ => ["ALLOW", "DENY"].map(|list| listed(client, list, at)).to_vec(),
        };
        LimiterSnapshot {
            key: key.to_owned(),
            answers: answers.collect(),
            lists: listed,
            digest: digest(client, at),
            policy: policy(client, at),
        }
    }

    /// Checks that two snapshots are equal. Compares answers first, because their differences are the most readable.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self, what: &str) {
        let keys = |snapshot: &Self| -> Vec<String> {
            let limiters = snapshot.0.iter();
            limiters.map(|limiter| limiter.key.clone()).collect()
        };
        assert_eq!(keys(self), keys(other), "{what}");
        for (mine, others) in self.0.iter().zip(&other.0) {
            for (mine, others) in mine.answers.iter().zip(&others.answers) {
                assert_eq!(mine, others, "{what}");
            }
            assert_eq!(mine, others, "{what}");
        }
    }
}

impl Answer {
    /// Parses the replies of PEEK, without and with RULES.
    #[track_caller]
    fn new(question: &Question, replies: &[Result<Value, String>]) -> Self {
        let [Ok(verdict), Ok(rows)] = replies else {
            panic!("{question:?}: {replies:?}");
        };
        let verdict = Verdict::from_reply(verdict);
        let verdict = verdict.unwrap_or_else(|| panic!("{question:?}: {replies:?}"));
        let columns = |row: &Value| {
            let row = elements(row);
            [0, 1, 2, 6].map(|column| row[column].clone())
        };
        Self {
            question: question.clone(),
            allowed: verdict.allowed,
            limit: verdict.limit,
            remaining: verdict.remaining,
            rule: verdict.rule,
            rows: elements(rows).iter().map(columns).collect(),
        }
    }
}

/// Returns the networks of a list and its number of emails.
#[track_caller]
fn listed(client: &mut Connection, list: &str, at: &str) -> (Vec<Value>, Value) {
    let reply = command(client, &["AUTHLIMIT.LIST", at, list]);
    let reply = elements(&reply.expect("a limiter has lists"));
    let networks = elements(&reply[1]);
    let names = networks.iter().map(|pair| elements(pair)[0].clone());
    (names.collect(), reply[3].clone())
}
