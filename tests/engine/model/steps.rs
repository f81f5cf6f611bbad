//! Random steps for a limiter.

use super::Request;
use super::policies::{any_policies, has_devices};
use authlimit::limiter::List;
use authlimit::policy::Policy;
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt;

/// A few IPs, some of them spellings of the same one, so that attempts collide. All IPv6 addresses share one /48.
pub(crate) const IPS: [&str; 7] =
    ["203.0.113.7", "::ffff:203.0.113.7", "203.0.113.8", "2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:2::1", ""];

/// A few emails, most of them spellings of the same one; one has a plus-tag.
pub(crate) const EMAILS: [&str; 7] =
    ["victim@x.org", "Victim@x.org", "VICTIM @x.org", "own@x.org", "Own@X.org", "victim+tag@x.org", ""];

/// Devices; the empty one is an error.
const DEVICES: [&str; 3] = ["phone", "laptop", ""];

/// List entries: networks of every size that contain some of the IPs, and emails.
const ENTRIES: [&str; 11] = [
    "203.0.113.7/32",
    "203.0.113.8/31",
    "203.0.113.0/24",
    "0.0.0.0/0",
    "2001:db8:0:1::2/128",
    "2001:db8:0:1::/64",
    "2001:db8::/32",
    "::/0",
    "Victim@x.org",
    "own@x.org",
    "victim+tag@x.org",
];

/// Start times of clocks: the earliest possible one, and a recent one.
pub(crate) const EPOCHS: [u64; 2] = [1, 1_700_000_000_000];

/// An initial policy and the steps that follow.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) policy: Policy,
    pub(crate) steps: Vec<Step>,
}

/// What UNLOCK clears.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    Ip(&'static str),
    Email(&'static str),
    Both(&'static str, &'static str),
    Device(&'static str),
    All,
}

/// One thing that happens to a limiter.
#[derive(Clone)]
pub(crate) enum Step {
    Check(Request),
    Peek(Request),
    Reset(Request),
    Refund(Request),
    Unlock(Target),
    /// Adds a list entry, for some milliseconds or permanently.
    ListAdd(List, &'static str, Option<u64>),
    ListRemove(List, &'static str),
    ChangePolicy(Policy),
    /// The clock advances by some milliseconds.
    Wait(u64),
    /// The clock advances to some milliseconds before or after something expires, such as an attempt or a lock. The
    /// number selects the moment; 0 is the next.
    WaitForEnd(usize, i64),
    /// The clock is set back by some milliseconds.
    SetBack(u64),
    /// Background maintenance reclaims what has expired.
    Tick,
    /// The server restarts from its stored state.
    Restart,
    /// A new replica loads the primary's stored state.
    Resync,
    /// The replica takes over, and the primary becomes its replica.
    FailOver,
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "POLICY {}", self.policy)?;
        let mut steps = self.steps.iter();
        steps.try_for_each(|step| writeln!(f, "{step:?}"))
    }
}

impl fmt::Debug for Step {
    /// In the words of a command, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(request) => write!(f, "CHECK {request:?}"),
            Self::Peek(request) => write!(f, "PEEK {request:?}"),
            Self::Reset(request) => write!(f, "RESET {request:?}"),
            Self::Refund(request) => write!(f, "REFUND {request:?}"),
            Self::Unlock(target) => write!(f, "UNLOCK {target:?}"),
            Self::ListAdd(list, entry, ttl) => {
                write!(f, "{} ADD '{entry}' for {ttl:?} ms", list.word())
            }
            Self::ListRemove(list, entry) => write!(f, "{} DEL '{entry}'", list.word()),
            Self::ChangePolicy(policy) => write!(f, "POLICY {policy}"),
            Self::Wait(millis) => write!(f, "wait {millis} ms"),
            Self::WaitForEnd(which, offset) => write!(f, "wait for end {which} and {offset} ms"),
            Self::SetBack(millis) => write!(f, "set the clock back {millis} ms"),
            Self::Tick => f.write_str("reclaim"),
            Self::Restart => f.write_str("restart"),
            Self::Resync => f.write_str("make a new replica"),
            Self::FailOver => f.write_str("fail over"),
        }
    }
}

/// Every request of cost 1 with the tests' IPs and emails, without a device and with one.
pub(crate) fn all_requests() -> impl Iterator<Item = Request> {
    let devices = [None, Some(DEVICES[0])];
    let pairs = IPS.into_iter().flat_map(|ip| EMAILS.map(|email| (ip, email)));
    pairs.flat_map(move |(ip, email)| devices.map(|device| Request { ip, email, device, cost: 1 }))
}

/// A request, mostly by one IP on one email, sometimes without one of them. Unless `with_devices`, a device is rare,
/// since it is an error.
pub(crate) fn any_request(with_devices: bool) -> impl Strategy<Value = Request> {
    let ip = prop_oneof![
        40 => select(IPS[..2].to_vec()),
        20 => select(IPS[2..6].to_vec()),
        1 => Just(""),
    ];
    let email = prop_oneof![
        40 => select(EMAILS[..2].to_vec()),
        20 => select(EMAILS[2..6].to_vec()),
        1 => Just(""),
    ];
    let device = prop_oneof![
        100 => Just(None),
        50 * u32::from(with_devices) => select(DEVICES[..2].to_vec()).prop_map(Some),
        1 => select(DEVICES.to_vec()).prop_map(Some),
    ];
    let cost = prop_oneof![30 => Just(1), 4 => 2..5_u32, 1 => 1..32_u32];
    (ip, email, device, cost).prop_map(|(ip, email, device, cost)| Request { ip, email, device, cost })
}

/// CHECK, PEEK, RESET or REFUND.
pub(crate) fn any_command(with_devices: bool) -> impl Strategy<Value = Step> {
    let request = || any_request(with_devices);
    prop_oneof![
        32 => request().prop_map(Step::Check),
        4 => request().prop_map(Step::Peek),
        2 => request().prop_map(Step::Reset),
        4 => request().prop_map(Step::Refund),
    ]
}

/// UNLOCK of anything.
fn any_unlock() -> impl Strategy<Value = Step> {
    let ip = || select(IPS[..6].to_vec());
    let email = || select(EMAILS[..6].to_vec());
    let target = prop_oneof![
        ip().prop_map(Target::Ip),
        email().prop_map(Target::Email),
        (ip(), email()).prop_map(|(ip, email)| Target::Both(ip, email)),
        select(DEVICES[..2].to_vec()).prop_map(Target::Device),
        Just(Target::All),
    ];
    target.prop_map(Step::Unlock)
}

/// A change of a list. Most entries expire soon, or the lists would decide every attempt.
fn any_listing() -> impl Strategy<Value = Step> {
    let list = || select(List::ALL.to_vec());
    let entry = || select(ENTRIES.to_vec());
    let ttl = prop_oneof![
        6 => (1..50_u64).prop_map(Some),
        2 => (1..2_000_u64).prop_map(Some),
        1 => Just(None),
    ];
    prop_oneof![
        (list(), entry(), ttl).prop_map(|(list, entry, ttl)| Step::ListAdd(list, entry, ttl)),
        (list(), entry()).prop_map(|(list, entry)| Step::ListRemove(list, entry)),
    ]
}

/// Time that passes, often very little.
pub(crate) fn any_wait() -> impl Strategy<Value = Step> {
    let which = prop_oneof![3 => Just(0), 2 => 0..5_usize, 1 => any::<usize>()];
    prop_oneof![
        12 => (0..4_u64).prop_map(Step::Wait),
        4 => (0..2_000_u64).prop_map(Step::Wait),
        1 => (0..4_000_000_u64).prop_map(Step::Wait),
        1 => select(vec![86_400_000, 2_592_000_001]).prop_map(Step::Wait),
        12 => (which, -1..2_i64).prop_map(|(which, offset)| Step::WaitForEnd(which, offset)),
    ]
}

/// A clock that is set back: within the tolerance or beyond it.
pub(crate) fn any_set_back() -> impl Strategy<Value = Step> {
    let little = prop_oneof![0..1_000_u64, select(vec![999, 1_000])];
    let much = prop_oneof![1_001..5_000_u64, 1_001..100_000_000_u64];
    prop_oneof![little, much].prop_map(Step::SetBack)
}

/// An initial policy and up to 400 steps of every kind for one server. Half of the cases never set the clock back, and
/// half have no list entries.
pub(crate) fn any_case() -> impl Strategy<Value = Case> {
    any_case_of_everything(false, Just(Step::Restart))
}

/// The same with steps of a primary and its replica, and with a small capacity or a large one.
pub(crate) fn any_case_with_servers(with_capacity: bool) -> impl Strategy<Value = Case> {
    any_case_of_everything(with_capacity, any_server_step())
}

/// A step of a primary and its replica.
pub(crate) fn any_server_step() -> impl Strategy<Value = Step> + Clone {
    select(vec![Step::Tick, Step::Restart, Step::Resync, Step::FailOver])
}

/// A policy and steps, including those of `server`.
fn any_case_of_everything(
    with_capacity: bool,
    server: impl Strategy<Value = Step> + Clone,
) -> impl Strategy<Value = Case> {
    let kinds = (any::<bool>(), any::<bool>());
    (any_policies(with_capacity), kinds).prop_flat_map(move |(policies, (is_set_back, has_lists))| {
        let first = policies[0].clone();
        let steps = proptest::collection::vec(any_step(policies, is_set_back, has_lists, server.clone()), 1..400);
        (Just(first), steps).prop_map(|(policy, steps)| Case { policy, steps })
    })
}

/// A step of a server, or of any other kind, with changes between `policies`. If the clock `is_set_back`, nothing is
/// reclaimed, unless by `server`.
pub(crate) fn any_step(
    policies: Vec<Policy>,
    is_set_back: bool,
    has_lists: bool,
    server: impl Strategy<Value = Step>,
) -> impl Strategy<Value = Step> {
    let with_devices = policies.iter().any(has_devices);
    prop_oneof![
        120 => any_command(with_devices),
        40 => any_wait(),
        3 => any_unlock(),
        8 * u32::from(has_lists) => any_listing(),
        2 => select(policies).prop_map(Step::ChangePolicy),
        2 * u32::from(is_set_back) => any_set_back(),
        // Reclaiming can change how far behind a set-back clock is, which the model does not know.
        2 * u32::from(!is_set_back) => Just(Step::Tick),
        2 => server,
    ]
}
