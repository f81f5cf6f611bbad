//! MariaDB's collations, which are MySQL's too, but for `uca1400`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;

use crate::merges::{Merge, expect_merged};
use crate::throwaway::Throwaway;

/// The usual collations that ignore accents, with the bytes of a weight and the least number of merges: defaults of
/// MySQL or MariaDB, now or once (`general_ci`, `latin1_swedish_ci`, `uca1400_ai_ci`), and those that manuals recommend
/// (`unicode_ci`, `unicode_520_ci`). Collations of one language, and those that tell accents apart, are left out.
const COLLATIONS: [(&str, usize, usize); 7] = [
    ("utf8mb4_general_ci", 2, 400),
    ("utf8mb4_unicode_ci", 2, 1500),
    ("utf8mb4_unicode_520_ci", 2, 3000),
    ("utf8mb4_uca1400_ai_ci", 2, 4000),
    ("utf8mb3_general_ci", 2, 400),
    ("utf8mb3_unicode_ci", 2, 1500),
    ("latin1_swedish_ci", 1, 40),
];

#[test]
#[ignore = "needs the packages of make test-databases"]
fn what_mariadb_takes_for_ascii_is_ascii() {
    let mut server = Throwaway::new();
    let data = format!("--datadir={}", server.path("data"));
    let mut install = server.command("mariadb-install-db");
    install.args(["--no-defaults", &data, "--auth-root-authentication-method=normal", "--skip-test-db"]);
    server.run(&mut install, "");
    let mut mariadbd = server.command("mariadbd");
    mariadbd.args(["--no-defaults", &data, "--skip-networking", &format!("--socket={}", server.path("socket"))]);
    server.start(&mut mariadbd, client);
    query(&server, "CREATE DATABASE test");
    for (collation, width, least) in COLLATIONS {
        let merges = merges(&server, collation, width);
        expect_equal(&server, collation, &merges);
        expect_merged(collation, least, &merges);
    }
}

/// A client that has nothing to do.
fn client(server: &Throwaway) -> Command {
    let mut client = server.command("mariadb");
    client.args(["--no-defaults", "--user=root", "--batch", "--skip-column-names", "--default-character-set=utf8mb4"]);
    client.arg(format!("--socket={}", server.path("socket")));
    client
}

/// The rows of the answer to queries.
fn query(server: &Throwaway, queries: &str) -> String {
    server.run(&mut client(server), queries)
}

/// The characters whose weights are those of ASCII characters.
fn merges(server: &Throwaway, collation: &str, width: usize) -> Vec<Merge> {
    let (charset, _) = collation.split_once('_').expect("a collation has the name of its character set");
    let answer = query(
        server,
        &format!(
            "USE test; SELECT seq, HEX(WEIGHT_STRING(CONVERT(CHAR(seq USING utf32) USING {charset}) COLLATE {collation})),
             HEX(CONVERT(CHAR(seq USING utf32) USING {charset})) FROM seq_0_to_1114111"
        ),
    );
    let rows = answer.lines().filter_map(|line| {
        let (code, rest) = line.split_once('\t')?;
        let (weights, bytes) = rest.split_once('\t')?;
        let c = char::from_u32(code.parse().ok()?)?;
        // What the character set does not have is converted to a question mark.
        (c.is_ascii() || bytes != "3F").then_some((c, weights))
    });
    let rows: Vec<(char, &str)> = rows.collect();
    let is_visible =
        |(c, weights): &&(char, &str)| c.is_ascii_graphic() && !c.is_ascii_uppercase() && !weights.is_empty();
    let ascii: BTreeMap<&str, char> = rows.iter().filter(is_visible).map(|(c, weights)| (*weights, *c)).collect();
    let text = |weights: &str| -> Option<String> {
        let digits = weights.as_bytes().chunks(2 * width);
        digits.map(|digits| ascii.get(str::from_utf8(digits).ok()?)).collect()
    };
    let others = rows.iter().filter(|(c, _)| !c.is_ascii());
    others.filter_map(|(c, weights)| Some(Merge { c: *c, text: text(weights)? })).filter(Merge::is_compared).collect()
}

/// Fails unless the server itself says that the merges are equal.
fn expect_equal(server: &Throwaway, collation: &str, merges: &[Merge]) {
    let (charset, _) = collation.split_once('_').expect("a collation has the name of its character set");
    let mut queries = format!(
        "USE test; CREATE OR REPLACE TABLE merges (one VARCHAR(40), other VARCHAR(40))
         CHARACTER SET {charset} COLLATE {collation}; INSERT INTO merges VALUES ('A', 'a')"
    );
    for Merge { c, text } in merges {
        write!(queries, ", ('v{c}w', 'v{text}w')").expect("a string grows");
    }
    queries += "; SELECT COUNT(*) FROM merges WHERE one = other";
    assert_eq!(query(server, &queries).trim(), (merges.len() + 1).to_string(), "{collation}");
}
