//! REFUND.

use crate::support::replies::{EMAIL, IP, check, ok, peek, send};
use crate::support::{Server, verdict};
use redis::Value;

#[test]
fn a_refund_removes_the_latest_attempt_and_returns_whether_there_was_one() {
    let server = Server::start();
    let mut client = server.connect();
    let refund = |ip: &str, email: &str, option: &str| {
        let line = format!("AUTHLIMIT.REFUND login {ip} {email}{option}");
        send(&mut server.connect(), &line)
    };
    ok(&mut client, "AUTHLIMIT.POLICY login PAIR 10/1h IP 50/1h");
    assert_eq!(refund(IP, EMAIL, ""), Ok(Value::Int(0)));
    check(&mut client, IP, EMAIL);
    verdict(&mut client, &["AUTHLIMIT.CHECK", "login", IP, EMAIL, "COST", "4"]);
    assert_eq!(refund("203.0.113.8", EMAIL, ""), Ok(Value::Int(0)));
    assert_eq!(refund(IP, "bob@example.com", ""), Ok(Value::Int(0)));
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 4);
    assert_eq!(refund(IP, EMAIL, " COST 4"), Ok(Value::Int(1)));
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 8);
    assert_eq!(refund(IP, EMAIL, ""), Ok(Value::Int(1)));
    assert_eq!(peek(&mut client, IP, EMAIL).remaining, 9);
    assert_eq!(refund(IP, EMAIL, ""), Ok(Value::Int(0)));
}
