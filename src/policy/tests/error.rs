use crate::policy::{
    Capacity, Keyword, Limit, MAX_RULES, ModifierWord, OptionWord, Policy, PolicyError, Preset, Subject,
};

/// The message that reading `text` ends with.
fn message(text: &str) -> String {
    Policy::parse(text.split_ascii_whitespace()).unwrap_err().to_string()
}

#[test]
#[expect(clippy::too_many_lines, reason = "one line for each error")]
fn each_error_has_this_message() {
    let rows = [
        ("", "the policy has no rule: give at least one, for example PAIR 5/15m, or a PRESET"),
        ("PLUS-TAGS strip", "the policy has no rule: give at least one, for example PAIR 5/15m, or a PRESET"),
        (
            "IP 5/1h NAME 5/1h",
            "policy word 3: expected a subject (IP, EMAIL, PAIR, EMAILS-PER-IP, IPS-PER-EMAIL, ALL or DEVICE), \
             after a rule one of its modifiers (LOCK, SHADOW or COUNT-DENIED), \
             an option (CAPACITY, IPV6-PREFIX or PLUS-TAGS), or PRESET",
        ),
        (
            "IP 5/1h EMAIL",
            "policy word 3: a subject is followed by limit/window, for example PAIR 5/15m; \
             nothing follows this one",
        ),
        (
            "IP EMAIL 5/1h",
            "policy word 2: a subject is followed by limit/window, for example PAIR 5/15m; \
             this word has no slash",
        ),
        (
            "IP 5.5/1h",
            "policy word 2: the limit has a fraction; it must be a whole number from 1 to 100000, \
             written as limit/window, for example 5/15m",
        ),
        (
            "IP 5/1h EMAIL 100001/1h",
            "policy word 4: the limit is too large; it must be a whole number from 1 to 100000, \
             written as limit/window, for example 5/15m",
        ),
        (
            "ALL 100001/1h",
            "policy word 2: the limit is too large; it must be a whole number from 1 to 100000, \
             written as limit/window, for example 5/15m",
        ),
        (
            "IP 5/1h EMAILS-PER-IP 1001/1h",
            "policy word 4: the limit is too large for EMAILS-PER-IP; it must be a whole number from 1 to 1000, \
             written as limit/window, for example 5/15m",
        ),
        (
            "IPS-PER-EMAIL 100000/1h",
            "policy word 2: the limit is too large for IPS-PER-EMAIL; it must be a whole number from 1 to 1000, \
             written as limit/window, for example 5/15m",
        ),
        (
            "IPS-PER-EMAIL 100001/1h",
            "policy word 2: the limit is too large; it must be a whole number from 1 to 1000, \
             written as limit/window, for example 5/15m",
        ),
        (
            "IP 5/31d",
            "policy word 2: the window is longer than 30 days; it must be a whole number with a unit \
             (ms, s, m, h or d), from 1ms to 30d, written as limit/window, for example 5/15m",
        ),
        (
            "IP 5/015m",
            "policy word 2: the window has a leading zero; it must be a whole number with a unit \
             (ms, s, m, h or d), from 1ms to 30d, written as limit/window, for example 5/15m",
        ),
        (
            "shadow IP 5/1h",
            "policy word 1: SHADOW belongs after the limit/window of the rule that it is for, \
             for example EMAIL 20/1h SHADOW",
        ),
        (
            "PRESET otp LOCK 30m",
            "policy word 3: LOCK belongs after the limit/window of the rule that it is for, \
             for example PAIR 5/15m LOCK 15m..24h",
        ),
        (
            "IP 5/1h PLUS-TAGS strip COUNT-DENIED",
            "policy word 5: COUNT-DENIED belongs after the limit/window of the rule that it is for, \
             for example IP 50/15m COUNT-DENIED",
        ),
        ("IP 5/15m LOCK 30m SHADOW LOCK 30m", "policy word 6: the rule has LOCK already; give it once"),
        (
            "IP 5/1h LOCK",
            "policy word 3: LOCK is followed by one time or by first..longest, \
             for example LOCK 30m or LOCK 15m..24h; nothing follows this one",
        ),
        (
            "IP 5/1h LOCK 30",
            "policy word 4: the lock has no unit; LOCK is followed by one time or by first..longest, \
             each a whole number with a unit (ms, s, m, h or d), from 1ms to 30d, \
             for example LOCK 30m or LOCK 15m..24h",
        ),
        (
            "IP 5/1h LOCK 15m..31d",
            "policy word 4: the longest lock is longer than 30 days; LOCK is followed by one time \
             or by first..longest, each a whole number with a unit (ms, s, m, h or d), from 1ms to 30d, \
             for example LOCK 30m or LOCK 15m..24h",
        ),
        (
            "IP 5/1h LOCK 24h..15m",
            "policy word 4: the longest lock is shorter than the first; LOCK is followed by one time \
             or by first..longest, each a whole number with a unit (ms, s, m, h or d), from 1ms to 30d, \
             for example LOCK 30m or LOCK 15m..24h",
        ),
        (
            "IP 5/1h LOCK 59m..24h",
            "policy word 4: the lock is shorter than the window of its rule, so it would end while the attempts \
             that began it still count; make it at least as long, for example PAIR 5/15m LOCK 15m..24h",
        ),
        (
            "DEVICE 5/1h DEVICE 9/24h",
            "the policy has rules for DEVICE only, and would let everything through that carries no device: \
             give at least one for another subject, for example EMAIL 20/1h",
        ),
        (
            "PRESET signin IP 500/15m",
            "policy word 3: PRESET signin has a stricter rule for IP, so this one would refuse nothing; to change \
             that rule, write the preset out and change it there: IP 50/15m EMAIL 20/1h EMAIL 50/24h PAIR 5/15m",
        ),
        (
            "IP 5/1h LOCK 2h EMAIL 5/1h IP 5/60m SHADOW",
            "policy word 7: the policy already has this rule, perhaps with another LOCK or SHADOW; give it once",
        ),
        (
            "IP 5/1h ip 5/1H",
            "policy word 3: the policy already has this rule, perhaps with another LOCK or SHADOW; give it once",
        ),
        (
            "IP 5/1h SHADOW LOCK 5h IP 5/1h lock 5H shadow",
            "policy word 6: the policy already has this rule, perhaps with another LOCK or SHADOW; give it once",
        ),
        (
            "IP 5/1h CAPACITY",
            "policy word 3: CAPACITY is followed by a whole number from 1 to 1000000000, \
             for example CAPACITY 5000000; nothing follows this one",
        ),
        (
            "CAPACITY 0 IP 5/1h",
            "policy word 2: CAPACITY must be a whole number from 1 to 1000000000, for example CAPACITY 5000000",
        ),
        ("CAPACITY 1 CAPACITY 1", "policy word 3: CAPACITY is in the policy already; give it once"),
        (
            "IP 5/1h IPV6-PREFIX",
            "policy word 3: IPV6-PREFIX is followed by a whole number from 32 to 128, \
             for example IPV6-PREFIX 56; nothing follows this one",
        ),
        (
            "IP 5/1h IPV6-PREFIX 129",
            "policy word 4: IPV6-PREFIX must be a whole number from 32 to 128, for example IPV6-PREFIX 56",
        ),
        ("PLUS-TAGS drop IP 5/1h", "policy word 2: PLUS-TAGS must be keep or strip, for example PLUS-TAGS strip"),
        ("PLUS-TAGS keep IP 5/1h PLUS-TAGS keep", "policy word 5: PLUS-TAGS is in the policy already; give it once"),
        (
            "IP 5/1h PRESET",
            "policy word 3: PRESET is followed by signin, signup, reset, otp or pci; nothing follows this one",
        ),
        (
            "PRESET login",
            "policy word 2: the preset must be signin, signup, reset, otp or pci, for example PRESET signin",
        ),
    ];
    for (text, expected) in rows {
        assert_eq!(message(text), expected, "{text}");
    }
}

#[test]
fn one_rule_too_many_is_named_by_its_place() {
    let rules: Vec<_> = (1..=MAX_RULES + 1).map(|n| format!("IP {n}/1h")).collect();
    assert!(Policy::from_text(&rules[..MAX_RULES].join(" ")).is_ok());
    assert_eq!(message(&rules.join(" ")), "policy word 65: one rule too many; a policy has at most 32 rules");
}

#[test]
fn the_messages_name_everything_there_is() {
    let unknown_word = PolicyError::UnknownWord { position: 1 }.to_string();
    for word in [Subject::all_words(), ModifierWord::all_words(), OptionWord::all_words()].concat() {
        assert!(unknown_word.contains(word), "{word}");
    }
    let missing = PolicyError::PresetNameMissing { position: 1 }.to_string();
    let unknown = PolicyError::UnknownPreset { position: 1 }.to_string();
    for name in Preset::all_words() {
        assert!(missing.contains(name) && unknown.contains(name), "{name}");
    }
    assert!(message("IP 0/1h").contains(&format!("from 1 to {}", Limit::MAX)));
    let capacities = format!("from 1 to {},", Capacity::MAX);
    assert!(message("CAPACITY 0").contains(&capacities));
}
