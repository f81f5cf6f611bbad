//! Identities: which spellings count as the same IP or email, and which attempts RESET forgives.

use crate::support::replies::{EMAIL, IP, check, ok};
use crate::support::rules::{admitted, checks, policy, remaining, start_with};
use crate::support::{Server, command};
use redis::Value;

#[test]
fn all_spellings_of_an_ip_are_the_same_identity() {
    let (_server, mut client) = start_with("IP 8/1h");
    let groups: [&[&str]; 3] = [
        &["1.2.3.4", "::ffff:1.2.3.4", "::ffff:102:304", "64:ff9b::102:304"],
        &["2001:db8::1", "2001:db8::ffff", "2001:DB8:0:0::1%eth0"],
        &["fe80::1%eth0", "fe80::1"],
    ];
    for spellings in groups {
        for (ip, remaining) in spellings.iter().zip((0..8).rev()) {
            assert_eq!(check(&mut client, ip, EMAIL).remaining, remaining, "{ip}");
        }
        let reset = command(&mut client, &["AUTHLIMIT.RESET", "login", spellings[0], EMAIL]);
        assert_eq!(reset, Ok(Value::Int(spellings.len() as i64)));
    }
    assert_eq!(check(&mut client, "2001:db8:0:1::1", EMAIL).remaining, 7);
    assert_eq!(check(&mut client, "2001:db8:0:2::1", EMAIL).remaining, 7);
}

#[test]
fn ipv6_prefix_and_plus_tags_change_how_identities_are_grouped() {
    let (_server, mut client) = start_with("IP 8/1h IPV6-PREFIX 56");
    assert_eq!(check(&mut client, "2001:db8:0:1::1", EMAIL).remaining, 7);
    assert_eq!(check(&mut client, "2001:db8:0:2::1", EMAIL).remaining, 6);
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 8/1h PLUS-TAGS strip");
    assert_eq!(check(&mut client, IP, "alice+1@example.com").remaining, 7);
    assert_eq!(check(&mut client, IP, "alice+2@example.com").remaining, 6);
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 8/1h PLUS-TAGS keep");
    assert_eq!(check(&mut client, IP, "bob+1@example.com").remaining, 7);
    assert_eq!(check(&mut client, IP, "bob+2@example.com").remaining, 7);
}

#[test]
fn changing_the_ipv6_prefix_keeps_the_counts_of_ipv4_addresses() {
    let (_server, mut client) = start_with("IP 5/1h");
    checks(&mut client, ["login 10.0.0.1 a@x.org"; 3]);
    checks(&mut client, ["login 2001:db8:1:1::1 a@x.org"; 3]);
    policy(&mut client, "login IP 5/1h IPV6-PREFIX 48");
    assert_eq!(remaining(&mut client, "login 10.0.0.1 a@x.org"), vec![2]);
    assert_eq!(remaining(&mut client, "login 2001:db8:1:1::1 a@x.org"), vec![5]);
    // All addresses of one /48 are now one identity.
    checks(&mut client, ["login 2001:db8:1:1::1 a@x.org"; 2]);
    let others = ["2001:db8:1:ffff::9", "2001:db8:2::1"];
    let left = others.map(|ip| remaining(&mut client, &format!("login {ip} a@x.org"))[0]);
    assert_eq!(left, [3, 5]);
}

#[test]
fn stripping_plus_tags_merges_aliases_and_keeps_the_count_of_the_plain_address() {
    let server = Server::start();
    let mut client = server.connect();
    policy(&mut client, "signup EMAIL 5/1h");
    checks(&mut client, ["signup 10.0.0.1 a@x.org"; 2]);
    checks(&mut client, ["signup 10.0.0.1 a+1@x.org"; 3]);
    policy(&mut client, "signup EMAIL 5/1h PLUS-TAGS strip");
    assert_eq!(remaining(&mut client, "signup 10.0.0.1 a+9@x.org"), vec![3]);
    let attempts = (0..9).map(|n| format!("signup 10.0.0.1 a+{n}@x.org"));
    assert_eq!(admitted(&checks(&mut client, attempts)), 3);
}
