//! RESET forgives only its own attempts: a successful login of an attacker buys no guesses.

use crate::model::Request;
use crate::model::steps::{EMAILS, IPS};
use crate::model::support::{NOW, check, limiter, request, reset};
use authlimit::limiter::Limiter;

/// Counts the admitted guesses of an attacker who logs in to their own account after every second guess.
fn guesses_admitted(words: &str, guesses: &[Request], own: Option<Request>) -> usize {
    let mut limiter = limiter(words);
    let mut admitted = 0;
    for (number, guess) in guesses.iter().cycle().take(200).enumerate() {
        let clock = NOW + number as u64;
        admitted += usize::from(check(&mut limiter, *guess, clock).allowed);
        if let Some(own) = own.filter(|_| number % 2 == 1)
            && check(&mut limiter, own, clock).allowed
        {
            assert_eq!(reset(&mut limiter, own, clock), 1);
        }
    }
    admitted
}

/// Logging in to one's own account between guesses admits no extra guess, for every rule and every spelling, even if
/// the own account is another spelling of the victim's.
#[test]
fn logging_in_to_ones_own_account_admits_no_extra_guesses() {
    let ip = IPS[0];
    let plain = [request(ip, "victim@x.org")];
    let alternating = [request(ip, "victim@x.org"), request(ip, "VICTIM @x.org")];
    let owns = [request(ip, "own@x.org"), request(ip, "Victim@x.org"), request(IPS[1], "Victim@x.org")];
    for (words, limit) in [
        ("IP 20/15m", 20),
        ("IP 21/15m", 21),
        ("EMAIL 20/1h", 20),
        ("PAIR 5/15m", 5),
        ("IP 20/15m EMAIL 50/1h PAIR 30/15m", 20),
        ("IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m", 5),
    ] {
        for guesses in [&plain[..], &alternating[..]] {
            assert_eq!(guesses_admitted(words, guesses, None), limit, "{words}");
            for own in owns {
                assert_eq!(guesses_admitted(words, guesses, Some(own)), limit, "{words} {own:?}");
            }
        }
    }
}

/// A successful login clears only what this IP spent on this email, for every subject.
#[test]
fn a_successful_login_forgives_exactly_its_own_attempts() {
    let mut limiter = limiter("IP 10/1h EMAIL 10/1h PAIR 10/1h");
    let [own, other_email, other_address] = [(0, 0), (0, 3), (2, 0)].map(|(ip, email)| request(IPS[ip], EMAILS[email]));
    for request in [own, own, own, other_email, other_address] {
        assert!(check(&mut limiter, request, NOW).allowed);
    }
    assert_eq!(reset(&mut limiter, own, NOW), 3);
    assert_eq!(reset(&mut limiter, own, NOW), 0);
    assert_eq!(reset(&mut limiter, other_email, NOW), 1);
    assert_eq!(reset(&mut limiter, other_address, NOW), 1);
    let empty = Limiter::from_metadata(limiter.metadata()).unwrap();
    assert_eq!(limiter.digest(), empty.digest());
}
