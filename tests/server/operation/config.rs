//! The module's settings work like those of Redis: CONFIG GET, SET and REWRITE, redis.conf, module arguments.

use crate::support::{Save, Server, command, module_path, verdict};
use redis::{Connection, Value};

const POLICY: &str = "authlimit.default-policy";
const AUTOCREATE: &str = "authlimit.autocreate";
const IP: &str = "203.0.113.7";
const EMAIL: &str = "alice@example.com";
const NO_AUTOCREATE: &str =
    "NOLIMITER no such limiter, and authlimit.autocreate is no: create it with AUTHLIMIT.POLICY first";

/// Returns the value of a setting.
#[track_caller]
fn get(client: &mut Connection, name: &str) -> String {
    let reply = redis::cmd("CONFIG").arg("GET").arg(name).query(client);
    let [(found, value)]: [(String, String); 1] =
        reply.map(|pairs: Vec<(String, String)>| pairs.try_into().expect("one setting")).expect("CONFIG GET answers");
    assert_eq!(found, name);
    value
}

/// Changes a setting.
#[track_caller]
fn set(client: &mut Connection, name: &str, value: &str) -> Result<Value, String> {
    command(client, &["CONFIG", "SET", name, value])
}

/// Sends a CHECK, which creates a missing limiter, and returns the rule in the verdict.
#[track_caller]
fn rule_after_check(client: &mut Connection, key: &str) -> String {
    verdict(client, &["AUTHLIMIT.CHECK", key, IP, EMAIL]).rule
}

#[test]
fn the_defaults_are_the_sign_in_preset_and_autocreate() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(get(&mut client, POLICY), "PRESET signin");
    assert_eq!(get(&mut client, AUTOCREATE), "yes");
}

#[test]
fn reading_and_changing_settings_leaks_no_memory() {
    let server = Server::start();
    let mut client = server.connect();
    let mut grown_by = |command: &redis::Cmd| {
        let used = || server.number::<i64>("used_memory");
        let mut grown = 0;
        // Twice, because the first round may allocate buffers that stay.
        for _ in 0..2 {
            let before = used();
            for _ in 0..100 {
                let mut pipe = redis::pipe();
                for _ in 0..100 {
                    pipe.add_command(command.clone());
                }
                let _: Vec<Value> = pipe.query(&mut client).expect("the server answers");
            }
            grown = used() - before;
        }
        grown
    };
    let mut get = redis::cmd("CONFIG");
    get.arg("GET").arg("authlimit.*");
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg(POLICY).arg("PAIR 3/1h IP 900/1d");
    for command in [get, set] {
        let grown = grown_by(&command);
        assert!(grown < 100_000, "{grown} bytes by 10000 of {command:?}");
    }
}

#[test]
fn a_new_default_policy_applies_to_new_limiters_only() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(rule_after_check(&mut client, "old"), "PAIR 5/15m");
    let words = "pair 3/1h  IP 90/1d plus-tags strip";
    assert_eq!(set(&mut client, POLICY, words), Ok(Value::Okay));
    assert_eq!(get(&mut client, POLICY), words);
    assert_eq!(rule_after_check(&mut client, "old"), "PAIR 5/15m");
    let peeked = verdict(&mut client, &["AUTHLIMIT.PEEK", "new", IP, EMAIL]);
    assert_eq!((peeked.rule.as_str(), peeked.remaining), ("PAIR 3/1h", 2));
    assert_eq!(rule_after_check(&mut client, "new"), "PAIR 3/1h");
}

#[test]
fn an_invalid_default_policy_is_refused_with_the_reason() {
    let server = Server::start();
    let mut client = server.connect();
    let wrong = [
        ("", "the policy has no rule"),
        ("PAIR", "policy word 1: a subject is followed by limit/window"),
        ("PAIR 0/1h", "policy word 2: the limit "),
        ("IP 5/1h PAIR 5/1y", "policy word 4: the window "),
        ("PRESET none", "policy word 2: the preset must be "),
        ("PAIR 5/1h LOCK 59m", "policy word 4: the lock is shorter than the window "),
        ("PRESET signin IP 500/15m", "policy word 3: PRESET signin has a stricter rule for IP"),
        ("PAIR 5/1h \u{100}", "policy word 3: expected a subject"),
    ];
    for (words, reason) in wrong {
        let error = set(&mut client, POLICY, words).unwrap_err();
        assert!(error.contains(reason), "{words}: {error}");
        assert_eq!(get(&mut client, POLICY), "PRESET signin");
    }
    for bytes in [b"PAIR 5/1h \xff".as_slice(), b"PAIR 5/1h\0", b"\0"] {
        let words = [b"CONFIG", b"SET".as_slice(), POLICY.as_bytes(), bytes];
        assert!(command(&mut client, &words).is_err());
        assert_eq!(get(&mut client, POLICY), "PRESET signin");
    }
    assert!(set(&mut client, AUTOCREATE, "maybe").is_err());
    assert_eq!(get(&mut client, AUTOCREATE), "yes");
    assert_eq!(rule_after_check(&mut client, "login"), "PAIR 5/15m");
}

#[test]
fn without_autocreate_only_policy_creates_a_limiter() {
    let server = Server::start();
    let mut client = server.connect();
    assert_eq!(set(&mut client, AUTOCREATE, "no"), Ok(Value::Okay));
    for name in ["CHECK", "PEEK", "RESET", "REFUND"] {
        let name = format!("AUTHLIMIT.{name}");
        let reply = command(&mut client, &[&name, "login", IP, EMAIL]);
        assert_eq!(reply, Err(NO_AUTOCREATE.to_owned()), "{name}");
    }
    assert_eq!(command(&mut client, &["DBSIZE"]), Ok(Value::Int(0)));
    let made = command(&mut client, &["AUTHLIMIT.POLICY", "login", "PAIR", "5/1h"]);
    assert_eq!(made, Ok(Value::Okay));
    assert_eq!(rule_after_check(&mut client, "login"), "PAIR 5/1h");
    assert_eq!(set(&mut client, AUTOCREATE, "yes"), Ok(Value::Okay));
    assert_eq!(rule_after_check(&mut client, "other"), "PAIR 5/15m");
}

#[test]
fn settings_saved_by_config_rewrite_survive_a_restart() {
    let mut server = Server::start();
    for (words, autocreate) in [("PAIR 3/1h IP 90/1d", "no"), ("PRESET otp", "yes")] {
        let mut client = server.connect();
        assert_eq!(set(&mut client, POLICY, words), Ok(Value::Okay));
        assert_eq!(set(&mut client, AUTOCREATE, autocreate), Ok(Value::Okay));
        let written = command(&mut client, &["CONFIG", "REWRITE"]);
        assert_eq!(written, Ok(Value::Okay));
        server.restart(Save::No);
        let mut client = server.connect();
        assert_eq!(get(&mut client, POLICY), words);
        assert_eq!(get(&mut client, AUTOCREATE), autocreate);
    }
}

#[test]
fn settings_not_saved_are_lost_after_a_restart() {
    let mut server = Server::start();
    let mut client = server.connect();
    assert_eq!(set(&mut client, POLICY, "PAIR 3/1h"), Ok(Value::Okay));
    server.restart(Save::No);
    assert_eq!(get(&mut server.connect(), POLICY), "PRESET signin");
}

#[test]
fn redis_conf_may_contain_the_settings() {
    let server = Server::builder().arg(POLICY, "\"PAIR 3/1h\"").arg(AUTOCREATE, "no").start();
    let mut client = server.connect();
    assert_eq!(get(&mut client, POLICY), "PAIR 3/1h");
    assert_eq!(get(&mut client, AUTOCREATE), "no");
}

#[test]
fn an_invalid_setting_in_redis_conf_prevents_startup() {
    for (name, value) in [(POLICY, "\"PAIR 0/1h\""), (AUTOCREATE, "maybe")] {
        let log = Server::builder().arg(name, value).try_start().unwrap_err();
        assert!(log.contains(name), "{log}");
    }
}

#[test]
fn module_arguments_are_settings() {
    let server = Server::builder().module_args(["default-policy", "PAIR 3/1h IP 90/1d", "autocreate", "no"]).start();
    let mut client = server.connect();
    assert_eq!(get(&mut client, POLICY), "PAIR 3/1h IP 90/1d");
    assert_eq!(get(&mut client, AUTOCREATE), "no");
    assert_eq!(set(&mut client, AUTOCREATE, "yes"), Ok(Value::Okay));
    assert_eq!(rule_after_check(&mut client, "login"), "PAIR 3/1h");
}

#[test]
fn a_saved_setting_overrides_the_module_argument() {
    let mut server = Server::builder().module_args(["default-policy", "PAIR 3/1h", "autocreate", "no"]).start();
    let mut client = server.connect();
    assert_eq!(set(&mut client, POLICY, "PAIR 4/1h"), Ok(Value::Okay));
    assert_eq!(set(&mut client, AUTOCREATE, "yes"), Ok(Value::Okay));
    // The servers drop the quotes around the arguments of a module here.
    let written = command(&mut client, &["CONFIG", "REWRITE"]);
    assert_eq!(written, Ok(Value::Okay));
    server.restart(Save::No);
    let mut client = server.connect();
    assert_eq!(get(&mut client, POLICY), "PAIR 4/1h");
    assert_eq!(get(&mut client, AUTOCREATE), "yes");
}

/// Every setting that may be a module argument.
const ARGUMENTS: [&str; 4] = [POLICY, AUTOCREATE, "authlimit.capacity", "authlimit.events"];

#[test]
fn module_arguments_are_read_back_the_same_after_config_rewrite() {
    let lines: [(&[&str], [&str; 4]); 6] = [
        (&["default-policy", "PAIR 3/1h capacity 77"], ["PAIR 3/1h capacity 77", "yes", "10000000", "hashed"]),
        (
            &["default-policy", "pair 3/1h Capacity 77", "autocreate", "no"],
            ["pair 3/1h Capacity 77", "no", "10000000", "hashed"],
        ),
        (
            &["CAPACITY", "500", "Default-Policy", "PAIR 3/1h CAPACITY 77", "EVENTS", "Full"],
            ["PAIR 3/1h CAPACITY 77", "yes", "500", "full"],
        ),
        (
            &["default-policy", "PRESET otp", "AutoCreate", "No", "capacity", "500"],
            ["PRESET otp", "no", "500", "hashed"],
        ),
        (&["default-policy", " PAIR  3/1h ", "IP 90/1d"], ["PAIR 3/1h IP 90/1d", "yes", "10000000", "hashed"]),
        (&["default-policy", "PAIR", "3/1h", "capacity", "77"], ["PAIR 3/1h capacity 77", "yes", "10000000", "hashed"]),
    ];
    for (args, expected) in lines {
        let mut server = Server::builder().module_args(args.iter().copied()).start();
        // Twice, since the second rewrite writes what the first restart has read.
        for _ in 0..3 {
            let mut client = server.connect();
            assert_eq!(ARGUMENTS.map(|name| get(&mut client, name)), expected, "{args:?}");
            assert_eq!(command(&mut client, &["CONFIG", "REWRITE"]), Ok(Value::Okay));
            server.restart(Save::No);
        }
    }
}

#[test]
fn an_invalid_module_argument_prevents_startup_and_the_log_states_the_reason() {
    let wrong: [(&[&str], &str); 8] = [
        (&["default-policy", "PAIR 0/1h"], "policy word 2: the limit "),
        (&["default-policy", ""], "the policy has no rule"),
        (&["default-policy"], "module argument 1 has no value after it"),
        (&["autocreate", "maybe"], "autocreate must be yes or no"),
        (&["autocreate", "no", "S3NT", "x"], "module argument 3 is not a config"),
        (&["default-policy", "PAIR 3/1h", "capacity", "5"], "module argument 3: write capacity before default-policy"),
        (&["PRESET", "signin"], "module argument 1 is not a config"),
        (&["authlimit.autocreate", "no"], "module argument 1 is not a config"),
    ];
    for (args, reason) in wrong {
        let refused = Server::builder().module_args(args.iter().copied()).try_start();
        let log = refused.expect_err("the module is not loaded");
        assert!(log.contains(reason), "{args:?}: {log}");
    }
}

#[test]
fn a_module_loaded_at_runtime_accepts_arguments_and_settings() {
    let server = Server::builder().without_module().start();
    let mut client = server.connect();
    let path = module_path().to_string_lossy().into_owned();
    let refused = command(&mut client, &["MODULE", "LOAD", &path, "default-policy", "PAIR 0/1h"]);
    assert!(refused.is_err(), "{refused:?}");
    assert!(server.log().contains("policy word 2: the limit "));
    assert!(command(&mut client, &["AUTHLIMIT.INFO", "x"]).is_err());

    let loaded = command(&mut client, &["MODULE", "LOADEX", &path, "CONFIG", POLICY, "PAIR 7/1h"]);
    assert_eq!(loaded, Ok(Value::Okay));
    assert_eq!(get(&mut client, POLICY), "PAIR 7/1h");
    assert_eq!(get(&mut client, AUTOCREATE), "yes");
    assert_eq!(rule_after_check(&mut client, "login"), "PAIR 7/1h");
}
