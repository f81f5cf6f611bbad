//! A locked email under attack from many addresses, and the sign-in preset against two plain rules.

use std::path::Path;
use std::time::Duration;

use super::turn::{Expect, PIPELINE, Turn, empty, populate, turn};
use crate::identities::Draw;
use crate::load::{self, Extent};
use crate::machine::{Machine, Quiet};
use crate::peers::{Peer, QUOTA, module, packed, two_subjects};
use crate::report::Bound::{AtLeast, AtMost};
use crate::report::{Page, count, median, rounded};
use crate::scale::Scale;
use crate::server_process::Server;
use crate::statistics::number;

/// Runs the measurements and writes their page.
pub(super) fn run(machine: &Machine, scale: &Scale, folder: &Path) {
    let title = "Under attack, and with the sign-in preset";
    let mut page = Page::new(folder, "scenarios", title, &machine.versions);
    let mut quiet = Quiet::wait();
    hammering(machine, scale, &mut page);
    quiet.rest();
    sign_in(machine, scale, &mut page);
    drop(quiet);
    page.write();
}

/// Measures refusals: one email without attempts left gets many more from random addresses.
fn hammering(machine: &Machine, scale: &Scale, page: &mut Page) {
    let peers = [two_subjects(QUOTA), packed(QUOTA)];
    let servers = peers.each_ref().map(|peer| {
        eprintln!("filling: {}", peer.name);
        let server = peer.start(machine, &[]);
        populate(peer, &server, scale.identities);
        use_up(peer, &server, scale);
        server
    });
    let mut turns: [Vec<Turn>; 2] = [const { Vec::new() }; 2];
    for round in 0..scale.rounds {
        for ((peer, server), turns) in peers.iter().zip(&servers).zip(&mut turns) {
            let mut draw = Draw::one_email(scale.identities, round);
            turns.push(turn(peer, server, &mut draw, scale.extent(PIPELINE), Expect::Refused));
        }
    }
    let growth = peers.each_ref().map(|peer| aof_growth(peer, machine, scale));
    page.paragraph(&format!(
        "## A locked email\n\nThe email has used up its {} attempts. Attempts on it come from {} random addresses at \
         pipeline {PIPELINE}: all are refused.",
        QUOTA.limit,
        count(scale.identities)
    ));
    let rows: Vec<_> = (0..2)
        .map(|index| {
            vec![
                peers[index].name.to_owned(),
                rounded(middle(&turns[index], |turn| turn.rate)),
                rounded(middle(&turns[index], |turn| turn.server_time)),
                rounded(growth[index]),
            ]
        })
        .collect();
    page.table(&["", "refusals/s", "server µs", "AOF growth, bytes in all"], &rows);
    let ratios = turns[0].iter().zip(&turns[1]).map(|(ours, theirs)| ours.rate / theirs.rate);
    page.target("refusals of a locked email ÷ the packed counter's", AtLeast(7.0), median(ratios));
    page.target("AOF bytes in all, while hammered", AtMost(0.0), growth[0]);
}

/// Uses up the quota of the email under attack.
fn use_up(peer: &Peer, server: &Server, scale: &Scale) {
    let limit = u64::from(QUOTA.limit);
    let extent = Extent { pipeline: 1, logins: limit + 10, time: Duration::from_secs(60) };
    let mut draw = Draw::one_email(scale.identities, u64::MAX);
    let outcome = load::run(peer, server.port(), &mut draw, extent);
    assert!(outcome.admitted <= limit, "{}: more than the limit", peer.name);
}

/// Returns how many bytes the append-only file grows by during the attack.
fn aof_growth(peer: &Peer, machine: &Machine, scale: &Scale) -> f64 {
    let server = peer.start(machine, &[("appendonly", "yes"), ("appendfsync", "no")]);
    use_up(peer, &server, scale);
    let before = number(&server, "aof_current_size");
    let mut draw = Draw::one_email(scale.identities, 1);
    turn(peer, &server, &mut draw, scale.extent(PIPELINE), Expect::Refused);
    number(&server, "aof_current_size") - before
}

/// Measures the sign-in preset against one rule for the address and one for the email, on the same logins.
fn sign_in(machine: &Machine, scale: &Scale, page: &mut Page) {
    let peers = [two_subjects(QUOTA), module("authlimit, PRESET signin", "PRESET signin")];
    let servers = peers.each_ref().map(|peer| peer.start(machine, &[]));
    let mut turns: [Vec<Turn>; 2] = [const { Vec::new() }; 2];
    for round in 0..scale.rounds {
        for ((peer, server), turns) in peers.iter().zip(&servers).zip(&mut turns) {
            // The limiter is filled again in each round, so that hardly any pair reaches its fifth attempt.
            empty(peer, server);
            populate(peer, server, scale.identities);
            let mut draw = Draw::pairs(scale.identities, round);
            let logins = u64::from(scale.identities / 4);
            let extent = Extent { pipeline: PIPELINE, logins, time: scale.turn };
            turns.push(turn(peer, server, &mut draw, extent, Expect::Admitted));
        }
    }
    page.paragraph(
        "## The sign-in preset\n\n`IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m` against a rule for the address and one \
         for the email, at pipeline 16, each address on its own email.",
    );
    let rows: Vec<_> = (0..2)
        .map(|index| {
            vec![
                peers[index].name.to_owned(),
                rounded(middle(&turns[index], |turn| turn.server_time)),
                rounded(middle(&turns[index], |turn| turn.rate)),
            ]
        })
        .collect();
    page.table(&["", "server µs per login", "logins/s"], &rows);
    let ratios = turns[1].iter().zip(&turns[0]).map(|(preset, two)| preset.server_time / two.server_time);
    page.target("sign-in preset's server time ÷ two rules'", AtMost(1.6), median(ratios));
}

/// Returns the median of a value of turns.
fn middle(turns: &[Turn], value: fn(&Turn) -> f64) -> f64 {
    median(turns.iter().map(value))
}
