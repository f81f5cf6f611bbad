//! What the rules of a policy go by.

use authlimit::policy::{Counting, Enforcement, Policy, Rule, Subject};

/// Which log a rule goes by: the subject's own, or that of its n-th rule with `COUNT-DENIED`.
pub(super) type LogKind = (Subject, Option<usize>);

/// Whether a rule for `subject` limits how many different ones there are.
pub(super) fn counts_different_ones(subject: Subject) -> bool {
    matches!(subject, Subject::EmailsPerIp | Subject::IpsPerEmail)
}

/// Whether the rule may refuse.
pub(super) fn is_enforced(rule: &Rule) -> bool {
    rule.enforcement() == Enforcement::Enforced
}

/// The series that rule number `index` goes by.
pub(super) fn series_of(policy: &Policy, index: usize) -> LogKind {
    let counts_denied = |rule: &&Rule| rule.counting() == Counting::AlsoDenied;
    let rule = &policy.rules()[index];
    let earlier = policy.rules()[..index].iter().filter(counts_denied);
    let earlier = earlier.filter(|other| other.subject() == rule.subject());
    let number = counts_denied(&rule).then(|| earlier.count());
    (rule.subject(), number)
}

/// The series of all rules, each once.
pub(super) fn all_series(policy: &Policy) -> Vec<LogKind> {
    let mut all = Vec::new();
    for index in 0..policy.rules().len() {
        let series = series_of(policy, index);
        if !all.contains(&series) {
            all.push(series);
        }
    }
    all
}

/// Where the locks of rule number `index` are: its series, and its place among those of the series that have a
/// `LOCK`. `None` if it has none.
pub(super) fn lock_place(policy: &Policy, index: usize) -> Option<(LogKind, usize)> {
    policy.rules()[index].lock()?;
    let series = series_of(policy, index);
    let earlier = (0..index).filter(|earlier| series_of(policy, *earlier) == series);
    let locking = earlier.filter(|earlier| policy.rules()[*earlier].lock().is_some());
    Some((series, locking.count()))
}

/// The length of a rule's window in milliseconds.
pub(super) fn window(rule: &Rule) -> u64 {
    rule.window().length().get()
}
