//! A server answers as the naive model of the engine's tests does, to the millisecond, whatever its clock does.
//!
//! The server's clock is driven by the test ([`Clock`]), so no answer depends on how fast the machine is. Its timer is
//! stopped, because the model does not know when it reclaims.

use std::time::Instant;

use authlimit::limiter::Binding;
use authlimit::policy::{Policy, Rule};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, TestRng, TestRunner};
use redis::{Connection, Value};

use crate::model::run::Answer;
use crate::model::steps::{Case, Step, Target, any_case};
use crate::model::{Model, Request};
use crate::support::replies::ok;
use crate::support::storm::storm_size;
use crate::support::{Builder, Clock, DEADLINE, Verdict, command};

/// When the clock starts, in every case.
const EPOCH: u64 = 1_700_000_000_000;

/// Random commands with locks, devices, lists, changes of the policy, restarts, and a clock that advances and is set
/// back. `AUTHLIMIT_STORM` is how many.
#[test]
fn a_storm_is_answered_as_the_model_answers() {
    let clock = Clock::new(EPOCH);
    let server = Builder::default().clock(&clock).start();
    let mut client = server.connect();
    // The limiters of a replica are not reclaimed by its own clock.
    ok(&mut client, "CONFIG SET replica-read-only no");
    ok(&mut client, "REPLICAOF 127.0.0.1 1");
    let config = Config { failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let (mut sent, mut refused, mut set_back) = (0, 0, 0);
    while sent < storm_size(5_000) {
        let case = any_case().new_tree(&mut runner).expect("a case").current();
        set_back += case.steps.iter().filter(|step| matches!(step, Step::SetBack(_))).count();
        refused += check_case(&case, &clock, &mut client);
        sent += case.steps.len();
    }
    // Proves that the comparison is not vacuous.
    assert!(refused > sent / 10 && set_back > sent / 1_000, "{sent} {refused} {set_back}");
}

/// Checks that a server answers as the model for each step; returns the number of refused attempts.
#[track_caller]
fn check_case(case: &Case, clock: &Clock, client: &mut Connection) -> usize {
    let mut model = Model::new(case.policy.clone());
    let mut policy = case.policy.clone();
    let mut millis = EPOCH;
    set(clock, client, millis);
    assert!(command(client, &["DEL", "limiter"]).is_ok());
    ok(client, &format!("AUTHLIMIT.POLICY limiter {policy}"));
    let mut refused = 0;
    for (number, step) in case.steps.iter().enumerate() {
        let step = as_command(step);
        millis = step.clock_after(millis, &model);
        set(clock, client, millis);
        let answer = match (&step, step.run_on_model(&mut model, millis)) {
            // REFUND returns whether it took anything back, the model how much.
            (Step::Refund(_), Answer::Count(units)) => Answer::Count(units.min(1)),
            (_, answer) => answer,
        };
        if let Step::ChangePolicy(new) = &step {
            policy = new.clone();
        }
        let Some(words) = words(&step) else { continue };
        let reply = command(client, &words);
        assert!(is_answer(&reply, answer, &policy), "step {number} at {millis}: {reply:?} but {answer:?} in\n{case:?}");
        refused += usize::from(matches!(answer, Answer::Verdict(verdict) if !verdict.allowed));
    }
    refused
}

/// Sets the clock, and waits until the server shows it: Valkey asks for the time about once a millisecond, and adds the
/// microseconds since.
#[track_caller]
fn set(clock: &Clock, client: &mut Connection, millis: u64) {
    clock.set(millis);
    let started = Instant::now();
    while shown(client) != millis {
        assert!(started.elapsed() < DEADLINE, "the server does not show {millis}");
    }
}

/// Returns the time that a server shows, in milliseconds.
#[track_caller]
fn shown(client: &mut Connection) -> u64 {
    let [seconds, micros]: [u64; 2] = redis::cmd("TIME").query(client).expect("TIME answers");
    seconds * 1_000 + micros / 1_000
}

/// The step as a command can say it: the expiry of a list entry in whole seconds, and no cost of a RESET.
fn as_command(step: &Step) -> Step {
    match step {
        Step::ListAdd(list, entry, Some(millis)) => Step::ListAdd(*list, entry, Some(millis.div_ceil(1_000) * 1_000)),
        Step::Reset(request) => Step::Reset(Request { cost: 1, ..*request }),
        step => step.clone(),
    }
}

/// The command of a step; `None` if only the clock changes.
fn words(step: &Step) -> Option<Vec<String>> {
    let limiter = |name: &str| vec![format!("AUTHLIMIT.{name}"), "limiter".to_owned()];
    let name = match step {
        Step::Check(_) => "CHECK",
        Step::Peek(_) => "PEEK",
        Step::Reset(_) => "RESET",
        Step::Refund(_) => "REFUND",
        Step::Unlock(target) => {
            let of: &[&str] = match target {
                Target::Ip(ip) => &["IP", ip],
                Target::Email(email) => &["EMAIL", email],
                Target::Both(ip, email) => &["EMAIL", email, "IP", ip],
                Target::Device(device) => &["DEVICE", device],
                Target::All => &["ALL"],
            };
            return Some([limiter("UNLOCK"), of.iter().map(|word| (*word).to_owned()).collect()].concat());
        }
        Step::ListAdd(list, entry, ttl) => {
            let mut words = limiter(list.word());
            words.extend(["ADD".to_owned(), (*entry).to_owned()]);
            words.extend(ttl.iter().flat_map(|millis| ["TTL".to_owned(), (millis / 1_000).to_string()]));
            return Some(words);
        }
        Step::ListRemove(list, entry) => {
            return Some([limiter(list.word()), vec!["DEL".to_owned(), (*entry).to_owned()]].concat());
        }
        Step::ChangePolicy(policy) => {
            let rules = policy.to_string();
            return Some([limiter("POLICY"), rules.split(' ').map(str::to_owned).collect()].concat());
        }
        Step::Restart => return Some(vec!["DEBUG".to_owned(), "RELOAD".to_owned()]),
        _ => return None,
    };
    let request = step.request()?;
    let mut words = limiter(name);
    words.extend([request.ip.to_owned(), request.email.to_owned()]);
    words.extend(request.device.iter().flat_map(|id| ["DEVICE".to_owned(), (*id).to_owned()]));
    if request.cost > 1 {
        words.extend(["COST".to_owned(), request.cost.to_string()]);
    }
    Some(words)
}

/// Returns whether the server's reply is the model's answer.
fn is_answer(reply: &Result<Value, String>, answer: Answer, policy: &Policy) -> bool {
    match (reply, answer) {
        (Ok(reply), Answer::Verdict(verdict)) => {
            let Some(found) = Verdict::from_reply(reply) else { return false };
            let rule = match verdict.binding {
                Binding::Rule(rule) => policy.rules().get(rule).map_or("", Rule::words),
                Binding::Allow => "ALLOW",
                Binding::Deny => "DENY",
            };
            let figures = [found.limit, found.remaining, found.retry_after_ms, found.reset_ms];
            let expected = [
                verdict.limit.map(i64::from),
                verdict.remaining.map(i64::from),
                verdict.retry_after.map(|wait| wait.get().cast_signed()),
                verdict.reset.map(|wait| wait.get().cast_signed()),
            ];
            found.allowed == verdict.allowed
                && found.rule == rule
                && figures == expected.map(|figure| figure.unwrap_or(-1))
        }
        (Ok(Value::Int(number)), Answer::Count(count)) => usize::try_from(*number) == Ok(count),
        (Ok(reply), Answer::Nothing) => *reply == Value::Okay,
        (Err(error), Answer::Error) => !error.contains("internal error"),
        _ => false,
    }
}
