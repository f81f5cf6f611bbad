//! An invalid command gets an error that states the reason. It counts nothing and repeats no argument.

use crate::support::replies::{EMAIL, IP, check, exists, ok, peek, send, text};
use crate::support::rules::start_with;
use crate::support::{Server, command, digest};

/// The commands that take an address and an email.
const ATTEMPTS: [&str; 4] = ["CHECK", "PEEK", "RESET", "REFUND"];

const BAD_IP: &str = "BADIP the ip is not one bare IPv4 or IPv6 address: cut off a port, brackets, spaces and all \
                      other addresses of a list first";

const EMPTY_IP: &str = "BADIP the ip is empty: pass the address of the client";

const EMPTY_EMAIL: &str = "BADEMAIL the email is empty, and a rule of the limiter's policy needs it";

const COST_TOO_HIGH: &str = "BADCOST COST is above a limit of the policy, so no such attempt could ever be admitted";

const BAD_COST: &str = "SYNTAX argument 5: COST must be a whole number from 1 to 100000";

#[test]
fn an_invalid_address_is_an_error_and_counts_nothing() {
    let server = Server::start();
    let mut client = server.connect();
    let bad: [&[u8]; 13] = [
        b"010.0.0.1",
        b"1.2.3.4:80",
        b"[::1]:80",
        b"[::1]",
        b"a,b",
        b"1.2.3.4, 5.6.7.8",
        b"unknown",
        b" 1.2.3.4",
        b"1.2.3.4 ",
        b"1.2.3",
        b"1.2.3.4\0",
        b"1.2.3.\xff",
        b"::ffff:1.2.3.4%a,b",
    ];
    for key in ["login", "new"] {
        if key == "login" {
            check(&mut client, IP, EMAIL);
        }
        let before = exists(&mut client, key).then(|| digest(&mut client, key));
        for name in ATTEMPTS {
            let name = format!("AUTHLIMIT.{name}");
            let mut with_ip =
                |ip: &[u8]| command(&mut client, &[name.as_bytes(), key.as_bytes(), ip, EMAIL.as_bytes()]);
            for ip in bad {
                assert_eq!(with_ip(ip), Err(BAD_IP.to_owned()), "{}", ip.escape_ascii());
            }
            assert_eq!(with_ip(b""), Err(EMPTY_IP.to_owned()));
        }
        let after = exists(&mut client, key).then(|| digest(&mut client, key));
        assert_eq!(after, before);
    }
}

#[test]
fn an_empty_email_or_address_is_an_error_only_where_a_rule_needs_it() {
    let server = Server::start();
    let mut client = server.connect();
    for name in ATTEMPTS {
        let name = format!("AUTHLIMIT.{name}");
        for key in ["login", "new"] {
            let reply = command(&mut client, &[&name, key, IP, ""]);
            assert_eq!(reply, Err(EMPTY_EMAIL.to_owned()), "{name}");
        }
    }
    assert!(!exists(&mut client, "login"));
    ok(&mut client, "AUTHLIMIT.POLICY login IP 5/1h");
    assert_eq!(check(&mut client, IP, "").remaining, 4);
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 3);
    ok(&mut client, "AUTHLIMIT.POLICY login EMAIL 5/1h");
    assert_eq!(check(&mut client, "", EMAIL).remaining, 4);
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 3);
    // An address that no rule needs must still be valid, so that a misconfigured proxy is noticed.
    let reply = command(&mut client, &["AUTHLIMIT.CHECK", "login", "unknown", EMAIL]);
    assert_eq!(reply, Err(BAD_IP.to_owned()));
}

#[test]
fn a_cost_that_no_rule_could_admit_is_an_error() {
    let (_server, mut client) = start_with("PAIR 5/1h IP 8/1h");
    let before = digest(&mut client, "login");
    for name in ["CHECK", "PEEK", "REFUND"] {
        let mut cost = |key: &str, cost: &str| {
            send(&mut client, &format!("AUTHLIMIT.{name} {key} {IP} {EMAIL} COST {cost}")).unwrap_err()
        };
        for key in ["login", "new"] {
            assert_eq!(cost(key, "6"), COST_TOO_HIGH, "{name}");
            assert_eq!(cost(key, "100000"), COST_TOO_HIGH, "{name}");
            for bad in ["0", "-1", "1.5", "+1", "x", "", "100001", "4294967297"] {
                assert_eq!(cost(key, bad), BAD_COST, "{name} {bad}");
            }
        }
    }
    assert_eq!(digest(&mut client, "login"), before);
    assert!(!exists(&mut client, "new"));
}

#[test]
fn an_unknown_option_is_an_error_that_names_its_position() {
    let server = Server::start();
    let mut client = server.connect();
    for name in ["CHECK", "PEEK", "REFUND"] {
        let mut error =
            |options: &str| send(&mut client, &format!("AUTHLIMIT.{name} login {IP} {EMAIL} {options}")).unwrap_err();
        let takes = match name {
            "PEEK" => "COST n, DEVICE id and RULES",
            _ => "COST n and DEVICE id",
        };
        let unknown_option =
            |position| format!("SYNTAX argument {position} is not an option of this command; it takes {takes}");
        assert_eq!(error("x"), unknown_option(4), "{name}");
        assert_eq!(error("RULE x"), unknown_option(4), "{name}");
        assert_eq!(error("COST 1 x"), unknown_option(6), "{name}");
        assert_eq!(error("COST 1 COST 1"), "SYNTAX argument 6 repeats an option", "{name}");
        let no_device = "SYNTAX argument 5: DEVICE must be followed by the device's id";
        assert_eq!(error("DEVICE"), no_device, "{name}");
        assert_eq!(error("COST"), BAD_COST, "{name}");
    }
    assert!(!exists(&mut client, "login"));
}

#[test]
fn a_wrong_number_of_arguments_is_the_error_of_redis() {
    let server = Server::start();
    let mut client = server.connect();
    let wrong = [
        ("CHECK", 0..=2),
        ("PEEK", 0..=2),
        ("REFUND", 0..=2),
        ("RESET", 0..=2),
        ("POLICY", 0..=0),
        ("INFO", 0..=0),
        ("INFO", 2..=3),
    ];
    for (name, counts) in wrong {
        let name = format!("AUTHLIMIT.{name}");
        for count in counts {
            let words: Vec<&str> =
                [name.as_str(), "login", IP, EMAIL, "COST", "1"].into_iter().take(count + 1).collect();
            let error = command(&mut client, &words).unwrap_err().to_lowercase();
            let expected = format!("err wrong number of arguments for '{}' command", name.to_lowercase());
            assert_eq!(error, expected, "{words:?}");
        }
    }
    assert!(!exists(&mut client, "login"));
}

#[test]
fn a_key_of_another_type_is_the_wrongtype_error_of_redis() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "SET login x");
    let redis_error = send(&mut client, "LPUSH login y");
    for name in ATTEMPTS {
        let line = format!("AUTHLIMIT.{name} login {IP} {EMAIL}");
        assert_eq!(send(&mut client, &line), redis_error, "{name}");
    }
    assert_eq!(send(&mut client, "AUTHLIMIT.INFO login"), redis_error);
    let policy = send(&mut client, "AUTHLIMIT.POLICY login PAIR 5/1h");
    assert_eq!(policy, redis_error);
    assert_eq!(text(&send(&mut client, "GET login").unwrap()), "x");
    ok(&mut client, "AUTHLIMIT.POLICY limiter PAIR 5/1h");
    assert_eq!(send(&mut client, "GET limiter"), redis_error);
}

#[test]
fn an_error_repeats_no_argument() {
    let server = Server::start();
    let mut client = server.connect();
    ok(&mut client, "SET text x");
    let sent = "S3NT";
    let shapes = [
        "CHECK login S3NT a@b.c",
        "CHECK login 1.2.3.4 a@b.c S3NT",
        "CHECK login 1.2.3.4 a@b.c COST S3NT",
        "CHECK login 1.2.3.4 a@b.c COST 1 S3NT",
        "CHECK text S3NT S3NT",
        "PEEK S3NT S3NT S3NT S3NT",
        "RESET S3NT S3NT S3NT",
        "RESET S3NT S3NT S3NT S3NT",
        "REFUND S3NT S3NT S3NT COST S3NT",
        "POLICY login S3NT",
        "POLICY login IP S3NT",
        "POLICY login IP S3NT/1h",
        "POLICY login IP 1/S3NT",
        "POLICY login PRESET S3NT",
        "POLICY login IPV6-PREFIX S3NT",
        "POLICY login PLUS-TAGS S3NT",
        "INFO S3NT",
        "INFO S3NT S3NT",
        "EFFECT S3NT S3NT",
    ];
    for shape in shapes {
        let error = send(&mut client, &format!("AUTHLIMIT.{shape}")).unwrap_err();
        assert!(!error.contains(sent), "{shape}: {error}");
    }
    assert!(!server.grep_log(sent.as_bytes()));
}
