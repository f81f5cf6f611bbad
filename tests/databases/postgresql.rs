//! PostgreSQL: `citext`, `lower`, `upper`, the extension `unaccent`, and ICU's collations that ignore accents.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::process::Command;

use crate::merges::{Merge, ascii, expect_merged, folded};
use crate::throwaway::{self, Throwaway};

/// Functions by which an email is looked up, as expressions of the column `s`, with the least number of merges.
const FUNCTIONS: [(&str, usize); 8] = [
    ("lower(s)", 1),
    ("upper(s)", 2),
    ("lower(s COLLATE \"und-x-icu\")", 1),
    ("upper(s COLLATE \"und-x-icu\")", 10),
    ("unaccent(s)", 1000),
    ("lower(unaccent(s))", 1000),
    ("unaccent(upper(s))", 1000),
    ("normalize(s, NFKC)", 1000),
];

/// Comparisons of a character `s` with an ASCII text `t`, with the least number of merges.
const COMPARISONS: [(&str, usize); 2] =
    [("s::citext = t::citext", 1), ("('v' || s || 'w') COLLATE level1 = ('v' || t || 'w') COLLATE level1", 4000)];

/// The tables: all characters; and ASCII texts of up to two characters, or of three letters or digits.
const TABLES: &str = "
CREATE EXTENSION citext; CREATE EXTENSION unaccent;
CREATE COLLATION level1 (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE TABLE characters AS SELECT i, chr(i) AS s FROM generate_series(128, 1114111) i
    WHERE i NOT BETWEEN 55296 AND 57343;
CREATE TABLE single AS SELECT chr(i) AS t FROM generate_series(33, 126) i WHERE i NOT BETWEEN 65 AND 90;
CREATE TABLE word AS SELECT t FROM single WHERE t ~ '[a-z0-9]';
CREATE TABLE texts AS SELECT '' AS t UNION SELECT t FROM single UNION SELECT a.t || b.t FROM single a, single b
    UNION SELECT a.t || b.t || c.t FROM word a, word b, word c;
";

#[test]
#[ignore = "needs the packages of make test-databases"]
fn what_postgresql_takes_for_ascii_is_ascii() {
    let mut server = Throwaway::new();
    let data = server.path("data");
    let initdb = throwaway::newest("/usr/lib/postgresql", "bin/initdb");
    let mut init = server.command(&initdb);
    init.args([
        "--pgdata",
        &data,
        "--username=test",
        "--auth=trust",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--no-sync",
    ]);
    server.run(&mut init, "");
    let mut postgres = server.command(initdb.with_file_name("postgres"));
    postgres.args(["-D", &data, "-F", "-c", "listen_addresses=", "-c", "max_parallel_workers_per_gather=0"]);
    postgres.arg("-k").arg(server.path(""));
    server.start(&mut postgres, |server| {
        let mut client = client(server);
        client.args(["--command", "SELECT 1"]);
        client
    });
    server.run(&mut client(&server), TABLES);
    for (function, least) in FUNCTIONS {
        let result = format!("encode(convert_to({function}, 'UTF8'), 'hex')");
        expect(&server, function, least, &format!("SELECT i, {result} FROM characters WHERE {function} ~ '^[ -~]*$'"));
    }
    add_folded(&server);
    for (comparison, least) in COMPARISONS {
        let result = "encode(convert_to(t, 'UTF8'), 'hex')";
        expect(&server, comparison, least, &format!("SELECT i, {result} FROM characters JOIN texts ON {comparison}"));
    }
}

/// A client with the answers as plain text.
fn client(server: &Throwaway) -> Command {
    let mut client = server.command(throwaway::newest("/usr/lib/postgresql", "bin/psql"));
    client.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--field-separator= "]);
    client.args(["--set=ON_ERROR_STOP=1", "--username=test", "--dbname=postgres", "--host", &server.path("")]);
    client
}

/// Adds the ASCII texts that the module folds characters to, which may be longer than those of [`TABLES`].
fn add_folded(server: &Throwaway) {
    let mut insert = "INSERT INTO texts SELECT * FROM (VALUES ('a')".to_owned();
    for text in ('\u{80}'..=char::MAX).filter_map(folded).collect::<BTreeSet<_>>() {
        write!(insert, ", ('{}')", text.replace('\'', "''")).expect("a string grows");
    }
    server.run(&mut client(server), &(insert + ") AS folded EXCEPT SELECT * FROM texts"));
}

/// Fails unless the module merges the characters and texts that a query finds.
fn expect(server: &Throwaway, what: &str, least: usize, query: &str) {
    let answer = server.run(&mut client(server), query);
    let merge = |line: &str| {
        let (code, text) = line.split_once(' ')?;
        Some(Merge { c: char::from_u32(code.parse().ok()?)?, text: ascii(text)? })
    };
    let merges: Vec<Merge> = answer.lines().filter_map(merge).collect();
    expect_merged(what, least, &merges);
}
