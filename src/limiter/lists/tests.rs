use super::*;
use crate::policy::Millis;
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const DAY: u64 = 86_400_000;

fn time(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis).unwrap()
}

fn cidr(text: &str) -> ListTarget {
    ListTarget::Cidr(Cidr::parse(text.as_bytes()).unwrap())
}

fn ip(text: &str) -> ClientIp {
    ClientIp::parse(text.as_bytes()).unwrap()
}

fn email(raw: u64) -> ListTarget {
    ListTarget::Email(Id::from_raw(raw))
}

fn key(list: List, target: ListTarget) -> ListKey {
    ListKey { list, target }
}

fn entry(list: List, target: ListTarget, expires: Option<Timestamp>) -> ListEntry {
    ListEntry { key: key(list, target), expires }
}

fn lists_of(entries: &[(List, ListTarget, Option<u64>)]) -> Lists {
    let mut lists = Lists::default();
    for (list, target, expires) in entries {
        let added = lists.add(entry(*list, *target, expires.map(time)), Timestamp::MIN);
        assert_eq!(added, Ok(true));
    }
    lists
}

#[test]
fn the_words_are_those_of_a_verdict() {
    assert_eq!(List::ALL.map(List::word), ["ALLOW", "DENY"]);
}

#[test]
fn which_entry_decides() {
    use List::{Allow, Deny};
    let lists = lists_of(&[
        (Deny, cidr("10.0.0.0/8"), None),
        (Allow, cidr("10.1.0.0/16"), None),
        (Deny, cidr("10.1.1.0/24"), None),
        (Allow, cidr("10.1.1.1"), None),
        (Allow, cidr("192.0.2.0/24"), None),
        (Deny, cidr("192.0.2.0/24"), None),
        (Deny, cidr("2001:db8::/32"), None),
        (Allow, cidr("2001:db8:1::/64"), None),
        (Allow, email(1), None),
        (Deny, email(2), None),
        (Allow, email(3), None),
        (Deny, email(3), None),
    ]);
    let cases = [
        (Some("9.9.9.9"), None, None),
        (Some("10.2.0.0"), None, Some(Deny)),
        (Some("10.1.2.3"), None, Some(Allow)),
        (Some("10.1.1.2"), None, Some(Deny)),
        (Some("10.1.1.1"), None, Some(Allow)),
        (Some("::ffff:10.1.1.1"), None, Some(Allow)),
        (Some("192.0.2.7"), None, Some(Deny)),
        (Some("2001:db8:2::1"), None, Some(Deny)),
        (Some("2001:db8:1::1"), None, Some(Allow)),
        (Some("2001:db8:1:1::1"), None, Some(Deny)),
        (Some("a01:101::"), None, None),
        (None, None, None),
        (None, Some(0), None),
        (None, Some(1), Some(Allow)),
        (None, Some(2), Some(Deny)),
        (None, Some(3), Some(Deny)),
        (Some("9.9.9.9"), Some(1), Some(Allow)),
        (Some("10.1.2.3"), Some(0), Some(Allow)),
        (Some("10.1.2.3"), Some(1), Some(Allow)),
        (Some("10.1.2.3"), Some(2), Some(Deny)),
        (Some("10.2.0.0"), Some(1), Some(Deny)),
        (Some("10.2.0.0"), Some(2), Some(Deny)),
    ];
    for (address, id, list) in cases {
        let found = lists.find(address.map(ip), id.map(Id::from_raw), time(DAY));
        assert_eq!(found.map(|listed| listed.list), list, "{address:?} {id:?}");
    }
}

#[test]
fn an_entry_expires_at_exactly_its_time() {
    for entry in [cidr("10.0.0.0/8"), cidr("2001:db8::/32"), email(1)] {
        let lists = lists_of(&[(List::Deny, entry, Some(DAY))]);
        let (address, id) = match entry {
            ListTarget::Cidr(cidr) => (Some(ClientIp::of(cidr.first())), None),
            ListTarget::Email(id) => (None, Some(id)),
        };
        let expected = ListMatch { list: List::Deny, expires: Some(time(DAY)) };
        assert_eq!(lists.find(address, id, time(DAY - 1)), Some(expected));
        assert_eq!(lists.find(address, id, time(DAY)), None);
        assert_eq!(lists.find(address, id, Timestamp::MAX), None);
    }
}

#[test]
fn an_expired_entry_hides_nothing() {
    let lists = lists_of(&[
        (List::Deny, cidr("0.0.0.0/0"), None),
        (List::Allow, cidr("10.0.0.0/8"), Some(40)),
        (List::Deny, cidr("10.1.0.0/16"), Some(30)),
        (List::Allow, cidr("10.1.1.0/24"), Some(20)),
        (List::Deny, cidr("10.1.1.1"), Some(10)),
        (List::Allow, cidr("10.1.1.1"), Some(15)),
    ]);
    let expected = [
        (9, List::Deny, Some(10)),
        (10, List::Allow, Some(15)),
        (15, List::Allow, Some(20)),
        (20, List::Deny, Some(30)),
        (30, List::Allow, Some(40)),
        (40, List::Deny, None),
    ];
    for (now, list, expires) in expected {
        let expires = expires.map(time);
        let found = lists.find(Some(ip("10.1.1.1")), None, time(now));
        assert_eq!(found, Some(ListMatch { list, expires }), "at {now}");
    }
}

#[test]
fn of_two_equal_matches_the_longer_one_counts() {
    let by = |ip_expires: Option<u64>, email_expires: Option<u64>| {
        let lists = lists_of(&[(List::Deny, cidr("10.0.0.0/8"), ip_expires), (List::Deny, email(1), email_expires)]);
        let found = lists.find(Some(ip("10.0.0.1")), Some(Id::from_raw(1)), time(1));
        found.unwrap().expires.map(Timestamp::as_millis)
    };
    assert_eq!(by(Some(5), Some(9)), Some(9));
    assert_eq!(by(Some(9), Some(5)), Some(9));
    assert_eq!(by(None, Some(5)), None);
    assert_eq!(by(Some(5), None), None);
}

#[test]
fn adding_again_replaces_the_expiry() {
    let mut lists = Lists::default();
    let target = cidr("10.0.0.0/8");
    let mut add = |expires: Option<u64>, now| {
        let is_new = lists.add(entry(List::Deny, target, expires.map(time)), time(now));
        let found = lists.find(Some(ip("10.0.0.1")), None, time(now));
        assert_eq!(lists.len(), 1);
        (is_new.unwrap(), found.map(|f| f.expires.map(Timestamp::as_millis)))
    };
    assert_eq!(add(Some(10), 1), (true, Some(Some(10))));
    assert_eq!(add(Some(5), 1), (false, Some(Some(5))));
    assert_eq!(add(None, 1), (false, Some(None)));
    assert_eq!(add(Some(20), 1), (false, Some(Some(20))));
    assert_eq!(add(Some(30), 20), (true, Some(Some(30))));
    assert_eq!(lists.reclaim(time(29), 10), 0, "replaced expiries are forgotten");
    assert_eq!(lists.reclaim(time(30), 10), 1);
    assert!(lists.is_empty());
}

#[test]
fn removing_takes_off_one_list_only() {
    for target in [cidr("10.0.0.0/8"), cidr("::/0"), email(1)] {
        let mut lists = lists_of(&[(List::Allow, target, None), (List::Deny, target, Some(9))]);
        assert!(lists.remove(key(List::Deny, target), time(1)));
        assert!(!lists.remove(key(List::Deny, target), time(1)));
        let left: Vec<_> = lists.iter().map(|entry| entry.key).collect();
        assert_eq!(left, [key(List::Allow, target)]);
        assert!(lists.remove(key(List::Allow, target), time(1)));
        assert!(lists.is_empty());
        assert_eq!(lists.iter().count(), 0);
    }
}

#[test]
fn an_expired_entry_cannot_be_removed() {
    let mut lists = lists_of(&[(List::Deny, email(1), Some(9))]);
    assert!(!lists.remove(key(List::Deny, email(1)), time(9)));
    // A copy that is without an effect still has it.
    assert_eq!((lists.len(), lists.reclaim(time(9), 2)), (1, 1));
}

#[test]
fn networks_are_listed_in_order_and_emails_counted() {
    let lists = lists_of(&[
        (List::Deny, cidr("2001:db8::/32"), None),
        (List::Deny, cidr("10.128.0.0/9"), Some(7)),
        (List::Deny, cidr("10.0.0.0/9"), Some(5)),
        (List::Deny, cidr("9.0.0.0/8"), None),
        (List::Deny, cidr("10.0.0.0/8"), None),
        (List::Allow, cidr("10.0.0.0/8"), Some(3)),
        (List::Deny, email(1), None),
        (List::Deny, email(2), Some(5)),
        (List::Allow, email(2), None),
    ]);
    let listed = |list, now| {
        let cidrs = lists.cidrs(list, time(now));
        let words = cidrs.map(|(cidr, expires)| format!("{cidr} {}", expires.map_or(0, Timestamp::as_millis)));
        words.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(listed(List::Deny, 1), "9.0.0.0/8 0, 10.0.0.0/8 0, 10.0.0.0/9 5, 10.128.0.0/9 7, 2001:db8::/32 0");
    assert_eq!(listed(List::Deny, 5), "9.0.0.0/8 0, 10.0.0.0/8 0, 10.128.0.0/9 7, 2001:db8::/32 0");
    assert_eq!(listed(List::Allow, 1), "10.0.0.0/8 3");
    assert_eq!(listed(List::Allow, 3), "");
    assert_eq!(lists.emails(List::Deny, time(4)), 2);
    assert_eq!(lists.emails(List::Deny, time(5)), 1);
    assert_eq!(lists.emails(List::Allow, time(5)), 1);
}

#[test]
fn reclaiming_is_bounded_and_takes_the_oldest_first() {
    let mut lists = Lists::default();
    for n in 1..=10 {
        let expires = Some(time(n));
        lists.add(entry(List::Deny, email(n), expires), Timestamp::MIN).unwrap();
    }
    lists.add(entry(List::Deny, email(99), None), Timestamp::MIN).unwrap();
    assert_eq!(lists.reclaim(time(8), 0), 0);
    assert_eq!(lists.reclaim(time(8), 3), 3);
    let oldest = lists.iter().filter_map(|l| l.expires).min();
    assert_eq!(oldest, Some(time(4)));
    assert_eq!(lists.reclaim(time(8), 100), 5);
    assert_eq!(lists.reclaim(time(8), 100), 0);
    assert_eq!(lists.len(), 3);
}

#[test]
fn full_lists_take_an_entry_only_for_an_expired_one() {
    let mut lists = Lists::default();
    let mut add =
        |list, n, expires: Option<u64>, now| lists.add_up_to(3, entry(list, email(n), expires.map(time)), time(now));
    assert_eq!(add(List::Deny, 1, None, 1), Ok(true));
    assert_eq!(add(List::Allow, 1, Some(9), 1), Ok(true));
    assert_eq!(add(List::Deny, 2, None, 1), Ok(true));
    assert_eq!(add(List::Deny, 3, None, 8), Err(ListFull));
    assert_eq!(add(List::Allow, 2, None, 8), Err(ListFull));
    assert_eq!(add(List::Deny, 2, Some(20), 8), Ok(false), "no new entry");
    assert_eq!(add(List::Deny, 3, None, 9), Ok(true));
    assert_eq!(add(List::Deny, 4, None, 9), Err(ListFull));
    assert_eq!(lists.len(), 3);
    assert!(ListFull.to_string().is_ascii());
}

#[test]
fn a_copy_is_its_own() {
    let mut lists = lists_of(&[
        (List::Deny, cidr("10.0.0.0/8"), None),
        (List::Deny, cidr("2001:db8::/32"), None),
        (List::Deny, email(1), Some(9)),
    ]);
    let copy = lists.clone();
    let before: Vec<ListEntry> = copy.iter().collect();
    for listed in &before {
        lists.remove(listed.key, time(1));
    }
    assert!(lists.is_empty());
    assert_eq!(copy.iter().collect::<Vec<_>>(), before);
}

#[test]
fn memory_is_freed_with_the_last_network() {
    let mut lists = Lists::default();
    let empty = lists.bytes();
    let entries: Vec<ListTarget> = (0..1000u32)
        .flat_map(|n| {
            let v4 = ClientIp::of(Ipv4Addr::from_bits(n << 12).into());
            let v6 = ClientIp::of(Ipv6Addr::from_bits(u128::from(n) << 100).into());
            [ListTarget::Cidr(Cidr::single(v4)), ListTarget::Cidr(Cidr::single(v6)), email(n.into())]
        })
        .collect();
    for target in &entries {
        lists.add(entry(List::Deny, *target, Some(time(9))), time(1)).unwrap();
    }
    assert!(lists.bytes() > empty + 3000 * 24);
    assert_eq!(lists.reclaim(time(9), usize::MAX), 3000);
    assert_eq!(lists.bytes(), empty);
}

#[test]
fn lists_can_be_freed_by_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<Lists>();
}

/// The same lists as a plain sequence, in which everything is a scan.
#[derive(Default)]
struct Naive(Vec<ListEntry>);

impl Naive {
    fn remove(&mut self, key: ListKey, now: Timestamp) -> bool {
        let mut was_live = false;
        self.0.retain(|l| {
            let same = l.key == key;
            was_live |= same && l.is_live(now);
            !same
        });
        was_live
    }

    fn add(&mut self, entry: ListEntry, now: Timestamp) -> bool {
        let was_live = self.remove(entry.key, now);
        self.0.push(entry);
        !was_live
    }

    fn find(&self, ip: Option<ClientIp>, email: Option<Id>, now: Timestamp) -> Option<ListMatch> {
        let live = || self.0.iter().filter(|l| l.is_live(now));
        let strongest = |decisive: Vec<&ListEntry>| {
            let denies = decisive.iter().any(|l| l.key.list == List::Deny);
            let list = if denies { List::Deny } else { List::Allow };
            let deciding = decisive.iter().filter(|l| l.key.list == list);
            deciding
                .map(|l| l.expires)
                .max_by_key(|expires| expires.map_or(u64::MAX, Timestamp::as_millis))
                .map(|expires| ListMatch { list, expires })
        };
        let around: Vec<(u8, &ListEntry)> = live()
            .filter_map(|l| match (l.key.target, ip) {
                (ListTarget::Cidr(cidr), Some(ip)) if cidr.contains(ip) => Some((cidr.prefix_len(), l)),
                _ => None,
            })
            .collect();
        let longest = around.iter().map(|(len, _)| *len).max();
        let by_ip = around.iter().filter(|(len, _)| Some(*len) == longest);
        let by_email = live().filter(|l| matches!((l.key.target, email), (ListTarget::Email(a), Some(b)) if a == b));
        strongest(by_ip.map(|(_, l)| *l).chain(by_email).collect())
    }
}

#[derive(Clone, Debug)]
enum Step {
    Add(List, ListTarget, Option<Timestamp>),
    Remove(List, ListTarget),
    Find(Option<ClientIp>, Option<Id>),
    Reclaim(usize),
    Pass,
}

/// Addresses near to each other, so that networks lie in one another.
fn any_ip() -> impl Strategy<Value = IpAddr> {
    let low = prop_oneof![0u8..4, Just(255u8), any::<u8>()];
    (any::<bool>(), 0u8..3, low.clone(), low).prop_map(|(v4, a, b, c)| {
        if v4 {
            Ipv4Addr::new(10, a, b, c).into()
        } else {
            let [a, b, c] = [a, b, c].map(u16::from);
            Ipv6Addr::new(0x2001, a, 0, b, 0, 0, 0, c).into()
        }
    })
}

fn any_entry() -> impl Strategy<Value = ListTarget> {
    let lens = prop_oneof![
        4 => prop::sample::select(vec![0, 7, 8, 9, 10, 14, 15, 16, 20, 24, 30, 31, 32, 48, 63, 64, 65, 127, 128]),
        1 => 0u8..=128,
    ];
    let network = (any_ip(), lens).prop_map(|(ip, len)| {
        let ip = match ip {
            IpAddr::V4(ip) => {
                let host_bits = 32u32.saturating_sub(len.into());
                IpAddr::from(Ipv4Addr::from_bits(ip.to_bits() & u32::MAX.checked_shl(host_bits).unwrap_or(0)))
            }
            IpAddr::V6(ip) => {
                let host_bits = 128u32.saturating_sub(len.into());
                IpAddr::from(Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.checked_shl(host_bits).unwrap_or(0)))
            }
        };
        let len = if ip.is_ipv4() { len.min(32) } else { len };
        ListTarget::Cidr(Cidr::new(ip, len).unwrap())
    });
    prop_oneof![4 => network, 1 => (0u64..4).prop_map(email)]
}

fn any_list() -> impl Strategy<Value = List> {
    prop_oneof![Just(List::Allow), Just(List::Deny)]
}

fn any_step() -> impl Strategy<Value = Step> {
    let expires = prop::option::of((1u64..60).prop_map(time));
    let ip = prop::option::of(any_ip().prop_map(ClientIp::of));
    let id = prop::option::of((0u64..4).prop_map(Id::from_raw));
    prop_oneof![
        6 => (any_list(), any_entry(), expires).prop_map(|(l, e, x)| Step::Add(l, e, x)),
        2 => (any_list(), any_entry()).prop_map(|(l, e)| Step::Remove(l, e)),
        6 => (ip, id).prop_map(|(ip, id)| Step::Find(ip, id)),
        1 => (0usize..4).prop_map(Step::Reclaim),
        1 => Just(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn the_lists_are_what_a_scan_says(steps in prop::collection::vec(any_step(), 1..200)) {
        let (mut lists, mut naive) = (Lists::default(), Naive::default());
        let mut now = Timestamp::MIN;
        for step in steps {
            match step {
                Step::Add(list, target, expires) => {
                    let is_new = naive.add(entry(list, target, expires), now);
                    prop_assert_eq!(lists.add(entry(list, target, expires), now), Ok(is_new));
                }
                Step::Remove(list, target) => {
                    let was_live = naive.remove(key(list, target), now);
                    prop_assert_eq!(lists.remove(key(list, target), now), was_live);
                }
                Step::Find(ip, email) => {
                    prop_assert_eq!(lists.find(ip, email, now), naive.find(ip, email, now));
                }
                Step::Reclaim(at_most) => prop_assert!(lists.reclaim(now, at_most) <= at_most),
                Step::Pass => now = now.plus(Millis::new(3)),
            }
            prop_assert_eq!(lists.iter().count(), lists.len());
        }
        // Whatever was added can be found at its first address, now and later.
        for later in [now, now.plus(Millis::new(20)), Timestamp::MAX] {
            for listed in &naive.0 {
                if let ListTarget::Cidr(cidr) = listed.key.target {
                    let ip = Some(ClientIp::of(cidr.first()));
                    prop_assert_eq!(lists.find(ip, None, later), naive.find(ip, None, later));
                }
            }
        }
        let sorted = |listings: &mut dyn Iterator<Item = ListEntry>| {
            let mut live: Vec<ListEntry> = listings.filter(|l| l.is_live(now)).collect();
            live.sort_unstable_by_key(|l| (l.key.target, l.key.list));
            live
        };
        let expected = sorted(&mut naive.0.iter().copied());
        prop_assert_eq!(sorted(&mut lists.iter()), expected.clone());
        for list in List::ALL {
            let on_list = expected.iter().filter(|l| l.key.list == list);
            let cidrs: Vec<_> = on_list.clone().filter_map(|l| match l.key.target {
                ListTarget::Cidr(cidr) => Some((cidr, l.expires)),
                ListTarget::Email(_) => None,
            }).collect();
            prop_assert_eq!(lists.cidrs(list, now).collect::<Vec<_>>(), cidrs.clone());
            prop_assert_eq!(lists.emails(list, now).saturating_add(cidrs.len()), on_list.count());
        }
        lists.reclaim(now, usize::MAX);
        prop_assert_eq!(sorted(&mut lists.iter()), expected.clone());
        prop_assert_eq!(lists.len(), expected.len());
        for listed in expected {
            prop_assert!(lists.remove(listed.key, now));
        }
        prop_assert!(lists.is_empty());
        prop_assert_eq!(lists.bytes(), Lists::default().bytes());
    }
}
