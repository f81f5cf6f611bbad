//! Users are kept to their commands and limiters.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that is surprised has failed, as it should"
)]

mod support;

use support::replies::{EMAIL, IP, ok, send};
use support::{Server, verdict};

#[test]
fn an_acl_user_is_kept_to_its_commands_and_key_patterns() {
    let server = Server::start();
    let mut admin = server.connect();
    ok(
        &mut admin,
        "ACL SETUSER app on nopass ~acme:* +authlimit.check +authlimit.peek",
    );
    let mut client = server.connect();
    ok(&mut client, "AUTH app x");
    let mut denied = |line: &str| {
        let error = send(&mut client, line).expect_err("not permitted");
        assert!(error.starts_with("NOPERM"), "{line}: {error}");
    };
    denied(&format!("AUTHLIMIT.CHECK other {IP} {EMAIL}"));
    denied(&format!("AUTHLIMIT.PEEK other {IP} {EMAIL}"));
    denied(&format!("AUTHLIMIT.RESET acme:login {IP} {EMAIL}"));
    denied("AUTHLIMIT.POLICY acme:login IP 5/1h");
    let allowed = verdict(&mut client, &["AUTHLIMIT.CHECK", "acme:login", IP, EMAIL]);
    assert!(allowed.allowed, "{allowed:?}");
}
