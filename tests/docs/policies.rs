//! docs/policies.md documents the whole policy language, and every policy in it is valid.

use crate::pages::{blocks, first_word, page, quoted, sections, table};
use crate::support::replies::ok;
use crate::support::{Server, verdict};
use authlimit::identity::Secret;
use authlimit::limiter::{AttemptRequest, Limiter};
use authlimit::policy::{Capacity, Cost, Keyword, ModifierWord, OptionWord, Policy, Preset, Subject};
use authlimit::table::Timestamp;

/// The page.
const PAGE: &str = "docs/policies.md";

/// The endpoints that the table must cover: they cost money, can harm a third party, or need no session.
const ENDPOINTS: [&str; 26] = [
    "sign-in",
    "sign-up",
    "reset: request",
    "reset: confirm, with a code",
    "reset: confirm, with a link",
    "email verification: send again",
    "email verification: the code",
    "magic link: send",
    "magic link: redeem",
    "SMS or call: send",
    "SMS or call: verify",
    "multi-factor code",
    "multi-factor push",
    "invite",
    "newsletter",
    "contact form",
    "coupon, gift card",
    "payment card attempt",
    "API key: issue",
    "API: call with a key",
    "is it free?",
    "search",
    "file export",
    "file upload",
    "webhook: receive",
    "webhook: register",
];

/// Checks that the first column of a table has exactly these names. A value may follow a name.
#[track_caller]
fn assert_names(heading: &str, mut names: Vec<&str>) {
    let page = page(PAGE);
    let rows = table(&page, heading);
    let cells = rows.iter().flat_map(|row| quoted(&row[0]));
    let words = cells.map(|cell| cell.split(' ').next().expect("a word"));
    let mut documented: Vec<&str> = words.collect();
    documented.sort_unstable();
    documented.dedup();
    names.sort_unstable();
    assert_eq!(documented, names);
}

#[test]
fn the_tables_list_exactly_the_subjects_modifiers_options_and_presets() {
    assert_names("subject", Subject::all_words());
    let modifiers = ModifierWord::all_words();
    assert_names("modifier", modifiers);
    let mut options = OptionWord::all_words();
    options.push("PRESET");
    assert_names("option", options);
    assert_names("preset", Preset::all_words());
}

#[test]
fn every_preset_is_documented_with_its_rules() {
    let page = page(PAGE);
    for row in table(&page, "preset") {
        let preset = Preset::from_word(quoted(&row[0])[0].as_bytes()).expect("a preset");
        assert_eq!(quoted(&row[1]), [preset.words()]);
    }
    // The worked policies quote the rules of the presets they use.
    for preset in [Preset::Signup, Preset::Reset, Preset::Otp] {
        let words = format!("`{}`:", preset.words());
        assert!(page.contains(&words), "{words}");
    }
}

#[test]
fn every_example_in_a_table_is_accepted_and_uses_its_word() {
    let server = Server::start();
    let mut client = server.connect();
    let page = page(PAGE);
    for heading in ["subject", "modifier", "option"] {
        for row in table(&page, heading) {
            let name = first_word(&row[0]);
            for policy in quoted(&row[2]) {
                ok(&mut client, &format!("AUTHLIMIT.POLICY example {policy}"));
                assert!(policy.contains(name), "{policy} does not use {name}");
            }
        }
    }
}

#[test]
fn the_tables_of_rules_quote_rules_of_the_worked_policies() {
    let page = page(PAGE);
    let set: String = blocks(&page, "").join("\n");
    for row in table(&page, "rule") {
        let rule = quoted(&row[0])[0];
        assert!(set.contains(rule), "{rule} is in no policy of the page");
    }
}

#[test]
fn every_endpoint_has_a_row_with_a_valid_policy() {
    let server = Server::start();
    let mut client = server.connect();
    let page = page(PAGE);
    let rows = table(&page, "endpoint");
    for endpoint in ENDPOINTS {
        let is_there = rows.iter().any(|row| row[0].contains(endpoint));
        assert!(is_there, "{endpoint} has no row");
    }
    for row in rows {
        let [endpoint, email, rules, why, after] = row.as_slice() else {
            panic!("{row:?}");
        };
        let [words] = quoted(rules)[..] else {
            panic!("{rules} is not one policy");
        };
        let policy = Policy::from_text(words).expect("a valid policy");
        ok(&mut client, "FLUSHALL");
        ok(&mut client, &format!("AUTHLIMIT.POLICY example {words}"));
        // The row must pass the fields that the rules need, or a reader would get an error.
        let ip = if policy.needs_address() { "203.0.113.7" } else { "" };
        let passes_email = !email.contains("nothing");
        let given = if passes_email { "alice@example.com" } else { "" };
        let line = ["AUTHLIMIT.CHECK", "example", ip, given];
        assert!(verdict(&mut client, &line).allowed, "{endpoint}");
        if email == "nothing" {
            assert!(!policy.needs_email(), "{endpoint}: {words}");
        }
        assert!(why.len() > 5, "{endpoint}: no reason");
        let says = after.contains("RESET") || after.contains("nothing") || after.contains("as ");
        assert!(says, "{endpoint}: {after}");
    }
}

#[test]
fn the_page_has_its_three_sections() {
    let page = page(PAGE);
    let documented: Vec<&str> = sections(&page).iter().map(|(heading, _)| *heading).collect();
    for part in ["Endpoint by endpoint", "Worked policies", "The language"] {
        assert!(documented.contains(&part), "{documented:?}");
    }
}

/// docs/security.md says how soon one IP that never stops trying exhausts the limits of an account.
#[test]
fn one_ip_exhausts_an_account_in_the_time_the_security_page_states() {
    const MINUTE: u64 = 60_000;
    let policy = Policy::from_text("PRESET signin").expect("a valid policy");
    let mut limiter = Limiter::new(policy, Secret::from_bytes([7; 16]));
    let received = AttemptRequest { ip: b"203.0.113.7", email: b"alice@example.com", device: None, cost: Cost::ONE };
    let attempt = limiter.attempt(&received).expect("a valid attempt");
    let mut admitted = Vec::new();
    for minute in 0..24 * 60 {
        let now = Timestamp::from_millis(1_000_000_000 + minute * MINUTE).expect("a time");
        while limiter.check(&attempt, now, Capacity::nearest(1_000), |_| {}).allowed {
            admitted.push(minute);
        }
    }
    assert_eq!(admitted.len(), 50);
    assert_eq!((admitted[19], admitted[49]), (45, 135));
    let page = page("docs/security.md");
    assert!(page.contains("address by itself does in 45 minutes"));
    assert!(page.contains("the day's 50 take a little over two hours"));
}
