//! Measures the engine without a server: a check by the number of rules and identities, the canonical form of an email,
//! and parsing a policy. `AUTHLIMIT_BENCH_LARGE=1` adds ten million identities.
#![allow(clippy::arithmetic_side_effects, clippy::expect_used, reason = "a benchmark stops at the first surprise")]

use std::env;
use std::hint::black_box;

use authlimit::identity::{CanonicalEmail, PlusTags, Secret};
use authlimit::limiter::{AttemptRequest, Limiter};
use authlimit::policy::{Capacity, Cost, Policy};
use authlimit::table::Timestamp;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

mod identities;

use identities::{Draw, Identities};

/// Policies with one, three and five rules.
const POLICIES: [(usize, &str); 3] = [
    (1, "IP 100/1h"),
    (3, "IP 100/1h EMAIL 100/1h PAIR 100/15m"),
    (5, "IP 100/1h EMAIL 100/1h EMAIL 200/24h PAIR 100/15m IPS-PER-EMAIL 50/1h"),
];

/// Any time, in milliseconds since 1970.
const NOW: u64 = 1_700_000_000_000;

/// How many checks share a millisecond: logs neither fill up nor stay empty.
const CHECKS_PER_MILLISECOND: u64 = 100;

/// A limiter, and the attempts that it checks.
struct Bench {
    limiter: Limiter,
    draw: Draw,
    checks: u64,
}

impl Bench {
    /// Makes a limiter with one attempt by each of `identities` addresses, each on its own email.
    fn filled(policy: &str, identities: u32) -> Self {
        let policy = Policy::from_text(policy).expect("a policy");
        let secret = Secret::from_bytes(*b"a bench's secret");
        let mut bench = Self { limiter: Limiter::new(policy, secret), draw: Draw::once(identities), checks: 0 };
        for _ in 0..identities {
            bench.check();
        }
        // Each address stays with its email, so that the limiter knows every pair.
        bench.draw = Draw::pairs(identities, 1);
        bench
    }

    /// Checks the next attempt, from its bytes to its verdict.
    fn check(&mut self) {
        let Identities { address, email } = self.draw.next();
        let request = AttemptRequest { ip: address.as_bytes(), email: email.as_bytes(), device: None, cost: Cost::ONE };
        let millis = NOW + self.checks / CHECKS_PER_MILLISECOND;
        self.checks += 1;
        let clock = Timestamp::from_millis(millis).expect("a time");
        let attempt = self.limiter.attempt(&request).expect("an attempt");
        let capacity = Capacity::nearest(u32::MAX);
        let verdict = self.limiter.check(&attempt, clock, capacity, |effect| {
            black_box(effect);
        });
        black_box(verdict);
    }
}

/// Measures a check by the number of rules and identities.
fn checks(criterion: &mut Criterion) {
    let mut sizes = vec![1000, 1_000_000];
    if env::var_os("AUTHLIMIT_BENCH_LARGE").is_some() {
        sizes.push(10_000_000);
    }
    let mut group = criterion.benchmark_group("check");
    for (rules, policy) in POLICIES {
        for identities in &sizes {
            let id = BenchmarkId::new(format!("{rules} rules"), identities);
            let mut bench = None;
            group.bench_function(id, |bencher| {
                // Only now, because criterion skips benchmarks that were not asked for.
                let bench = bench.get_or_insert_with(|| Bench::filled(policy, *identities));
                bencher.iter(|| bench.check());
            });
        }
    }
    group.finish();
}

/// Measures an email's canonical form: plain ASCII, capitals and a tag, and an international address.
fn emails(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("email");
    for (name, email) in [
        ("plain ASCII", "alice.liddell@example.com"),
        ("ASCII to fold", "Alice.Liddell+news@Example.COM"),
        ("Unicode", "Ａｌｉｃｅ.Müller@Straße.example"),
    ] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| CanonicalEmail::of(black_box(email.as_bytes()), PlusTags::Strip).as_bytes().len());
        });
    }
    group.finish();
}

/// Measures parsing a policy.
fn policies(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("policy");
    for text in ["PRESET signin", "IP 50/15m EMAILS-PER-IP 15/5m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m LOCK 15m..24h"] {
        group.bench_function(text, |bencher| {
            bencher.iter(|| Policy::from_text(black_box(text)));
        });
    }
    group.finish();
}

criterion_group!(engine, checks, emails, policies);
criterion_main!(engine);
