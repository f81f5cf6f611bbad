//! A locked email under attack from everywhere, and the sign-in preset against two plain rules.

use std::path::Path;
use std::time::Duration;

use super::{Expect, Scale, Turn, populate, turn};
use crate::identities::Draw;
use crate::load::{self, Extent};
use crate::measure::{Machine, Quiet, number};
use crate::peers::{KEY, LIMIT, Peer, QUOTA, module, packed, two_subjects};
use crate::report::Bound::{AtLeast, AtMost};
use crate::report::{Page, count, figure, median};
use crate::support::{Server, command};

/// How many logins each connection has under way.
const PIPELINE: usize = 16;

/// Measures it, and writes its page.
pub(crate) fn run(machine: &Machine, scale: &Scale, folder: &Path) {
    let mut page = Page::new(folder, "scenarios", "Under attack, and with the sign-in preset", &machine.versions);
    let mut quiet = Quiet::wait();
    hammering(machine, scale, &mut page);
    quiet.rest();
    sign_in(machine, scale, &mut page);
    drop(quiet);
    page.write();
}

/// One email that has no attempt left, hammered from random addresses.
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
            let extent = scale.extent(PIPELINE);
            turns.push(turn(peer, server, &mut draw, PIPELINE, extent, Expect::Refused));
        }
    }
    let growth = peers.each_ref().map(|peer| aof_growth(peer, machine, scale));
    page.paragraph(&format!(
        "## A locked email\n\nThe email has used up its {LIMIT} attempts and is hammered from {} random addresses at pipeline \
         {PIPELINE}: all refused.",
        count(scale.identities)
    ));
    let middle = |turns: &[Turn], figure: fn(&Turn) -> f64| median(turns.iter().map(figure));
    let rows: Vec<_> = (0..2)
        .map(|index| {
            vec![
                peers[index].name.to_owned(),
                figure(middle(&turns[index], |turn| turn.rate)),
                figure(middle(&turns[index], |turn| turn.server_time)),
                figure(growth[index]),
            ]
        })
        .collect();
    page.table(&["", "refusals/s", "server µs", "AOF growth, bytes in all"], &rows);
    let ratios = turns[0].iter().zip(&turns[1]).map(|(ours, theirs)| ours.rate / theirs.rate);
    page.target("refusals of a locked email ÷ the packed counter's", AtLeast(7.0), median(ratios));
    page.target("AOF bytes in all, while hammered", AtMost(0.0), growth[0]);
}

/// Uses up the quota of the email that will be hammered.
fn use_up(peer: &Peer, server: &Server, scale: &Scale) {
    let extent = Extent { logins: u64::from(LIMIT) + 10, time: Duration::from_secs(60) };
    let mut draw = Draw::one_email(scale.identities, u64::MAX);
    let outcome = load::run(peer, server.port(), &mut draw, 1, extent);
    assert!(outcome.admitted <= u64::from(LIMIT), "{}: more than the limit", peer.name);
}

/// By how much an append-only file grows in all while the email is hammered.
fn aof_growth(peer: &Peer, machine: &Machine, scale: &Scale) -> f64 {
    let server = peer.start(machine, &[("appendonly", "yes"), ("appendfsync", "no")]);
    use_up(peer, &server, scale);
    let before = number(&server, "aof_current_size");
    let mut draw = Draw::one_email(scale.identities, 1);
    turn(peer, &server, &mut draw, PIPELINE, scale.extent(PIPELINE), Expect::Refused);
    number(&server, "aof_current_size") - before
}

/// The whole sign-in preset against a rule for the address and one for the email, on the same logins.
fn sign_in(machine: &Machine, scale: &Scale, page: &mut Page) {
    let peers = [two_subjects(QUOTA), module("authlimit, PRESET signin", "PRESET signin")];
    let servers = peers.each_ref().map(|peer| peer.start(machine, &[]));
    let mut turns: [Vec<Turn>; 2] = [const { Vec::new() }; 2];
    for round in 0..scale.rounds {
        for ((peer, server), turns) in peers.iter().zip(&servers).zip(&mut turns) {
            // Anew in each round, so that no pair comes to its fifth attempt but by rare chance.
            command(&mut server.connect(), &["DEL", KEY]).expect("the server obeys");
            peer.prepare(server);
            populate(peer, server, scale.identities);
            let mut draw = Draw::pairs(scale.identities, round);
            let extent = Extent { logins: u64::from(scale.identities / 4), time: scale.turn };
            turns.push(turn(peer, server, &mut draw, PIPELINE, extent, Expect::Admitted));
        }
    }
    page.paragraph(
        "## The sign-in preset\n\n`IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m` against a rule for the address and one for \
         the email, at pipeline 16, each address on its own email.",
    );
    let middle = |turns: &[Turn], figure: fn(&Turn) -> f64| median(turns.iter().map(figure));
    let rows: Vec<_> = (0..2)
        .map(|index| {
            vec![
                peers[index].name.to_owned(),
                figure(middle(&turns[index], |turn| turn.server_time)),
                figure(middle(&turns[index], |turn| turn.rate)),
            ]
        })
        .collect();
    page.table(&["", "server µs per login", "logins/s"], &rows);
    let ratios = turns[1].iter().zip(&turns[0]);
    let ratios = ratios.map(|(preset, two)| preset.server_time / two.server_time);
    page.target("sign-in preset's server time ÷ two rules'", AtMost(1.6), median(ratios));
}
