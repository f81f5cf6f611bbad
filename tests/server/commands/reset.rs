//! RESET: which attempts a successful login clears.

use crate::support::replies::{EMAIL, IP, check, ok, peek, send};
use crate::support::rules::start_with;
use crate::support::{Server, command};
use redis::Value;

#[test]
fn logging_in_to_an_own_account_gives_an_attacker_no_further_guess() {
    let server = Server::start();
    let mut client = server.connect();
    for own_account in [false, true] {
        ok(&mut client, "FLUSHALL");
        ok(&mut client, "AUTHLIMIT.POLICY login IP 10/1h EMAIL 100/1h PAIR 100/1h");
        let mut guesses = 0;
        while check(&mut client, IP, "victim@example.com").allowed {
            guesses += 1;
            if own_account && guesses % 2 == 0 {
                // At the limit, the attacker's own login is refused, too. The RESET is sent anyway.
                check(&mut client, IP, "mallory@example.com");
                let reset = format!("AUTHLIMIT.RESET login {IP} mallory@example.com");
                assert!(matches!(send(&mut client, &reset), Ok(Value::Int(0 | 1))));
            }
        }
        assert_eq!(guesses, 10, "with an own account: {own_account}");
    }
}

#[test]
fn a_reset_clears_only_the_attempts_of_this_address_on_this_email() {
    let (_server, mut client) = start_with("IP 10/1h EMAIL 10/1h PAIR 10/1h");
    for _ in 0..3 {
        check(&mut client, IP, EMAIL);
        check(&mut client, "203.0.113.8", EMAIL);
        check(&mut client, IP, "bob@example.com");
    }
    let reset = send(&mut client, &format!("AUTHLIMIT.RESET login {IP} {EMAIL}"));
    assert_eq!(reset, Ok(Value::Int(3)));
    // The IP rule and the EMAIL rule each still count three attempts that were not cleared.
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 6);
    assert_eq!(peek(&mut client, IP, "carol@example.com").remaining, 6);
    assert_eq!(peek(&mut client, "203.0.113.9", EMAIL).remaining, 6);
    assert_eq!(peek(&mut client, "203.0.113.9", "carol@example.com").remaining, 9);
}

#[test]
fn spellings_of_one_email_share_the_count_but_a_reset_clears_one_spelling() {
    let (_server, mut client) = start_with("PAIR 5/1h");
    let spellings = ["Victim@x.org", "victim@X.ORG", " victim@x.org ", "\u{24e5}ictim@x.org", "victim@x.org."];
    for spelling in spellings {
        assert!(check(&mut client, IP, spelling).allowed);
    }
    for spelling in spellings {
        assert!(!check(&mut client, IP, spelling).allowed);
    }
    for (forgiven, spelling) in (1..).zip(spellings) {
        for expected in [1, 0] {
            let reset = command(&mut client, &["AUTHLIMIT.RESET", "login", IP, spelling]);
            assert_eq!(reset, Ok(Value::Int(expected)), "{spelling}");
        }
        assert_eq!(peek(&mut client, IP, EMAIL).remaining, 4);
        assert_eq!(peek(&mut client, IP, "victim@x.org").remaining, forgiven - 1);
    }
}
