//! The logs, lock slots and windows of the rules of a policy.

use authlimit::policy::{Counting, Enforcement, Policy, Rule, Subject};

/// Which log a rule uses: the subject's own, or that of its n-th rule with `COUNT-DENIED`.
pub(super) type LogKind = (Subject, Option<usize>);

/// Whether `subject` counts distinct identities.
pub(super) fn counts_distinct(subject: Subject) -> bool {
    matches!(subject, Subject::EmailsPerIp | Subject::IpsPerEmail)
}

/// Whether the rule may refuse.
pub(super) fn is_enforced(rule: &Rule) -> bool {
    rule.enforcement() == Enforcement::Enforced
}

/// The log of rule number `index`.
pub(super) fn log_of(policy: &Policy, index: usize) -> LogKind {
    let counts_denied = |rule: &&Rule| rule.counting() == Counting::AlsoDenied;
    let rule = &policy.rules()[index];
    let earlier = policy.rules()[..index].iter().filter(counts_denied);
    let earlier = earlier.filter(|other| other.subject() == rule.subject());
    let number = counts_denied(&rule).then(|| earlier.count());
    (rule.subject(), number)
}

/// The logs of all rules, each once.
pub(super) fn all_logs(policy: &Policy) -> Vec<LogKind> {
    let mut all = Vec::new();
    for index in 0..policy.rules().len() {
        let log = log_of(policy, index);
        if !all.contains(&log) {
            all.push(log);
        }
    }
    all
}

/// The lock slot of rule number `index`: its log, and its index among the log's rules with `LOCK`. `None` if it has
/// no `LOCK`.
pub(super) fn lock_slot(policy: &Policy, index: usize) -> Option<(LogKind, usize)> {
    policy.rules()[index].lock()?;
    let log = log_of(policy, index);
    let earlier = (0..index).filter(|earlier| log_of(policy, *earlier) == log);
    let locking = earlier.filter(|earlier| policy.rules()[*earlier].lock().is_some());
    Some((log, locking.count()))
}

/// The length of a rule's window in milliseconds.
pub(super) fn window(rule: &Rule) -> u64 {
    rule.window().length().get()
}

/// What makes a rule the same one in another policy.
pub(super) fn rule_key(rule: &Rule) -> (Subject, u32, u64, Counting) {
    (rule.subject(), rule.limit().get(), window(rule), rule.counting())
}
