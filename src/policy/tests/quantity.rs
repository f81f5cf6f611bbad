use crate::policy::quantity::whole;
use crate::policy::{Capacity, Cost, Limit, Lock, LockError, NumberError, Unit, Window, WindowError, digits};

#[test]
fn digits_are_a_number() {
    assert_eq!(whole(b"1"), Ok(1));
    assert_eq!(whole(b"907"), Ok(907));
    assert_eq!(whole(b"4294967295"), Ok(u32::MAX));
}

#[test]
fn anything_else_is_not_a_number_for_its_own_reason() {
    let rows: [(&[u8], NumberError); 16] = [
        (b"", NumberError::Missing),
        (b"+5", NumberError::Signed),
        (b"-5", NumberError::Signed),
        (b"-", NumberError::Signed),
        (b"1.5", NumberError::Fraction),
        (b"1,5", NumberError::Fraction),
        (b"1e5", NumberError::NotDigits),
        (b"0x5", NumberError::NotDigits),
        (b" 5", NumberError::NotDigits),
        (b"5\0", NumberError::NotDigits),
        ("\u{665}".as_bytes(), NumberError::NotDigits),
        (b"05", NumberError::LeadingZero),
        (b"00", NumberError::LeadingZero),
        (b"0", NumberError::Zero),
        (b"4294967296", NumberError::TooLarge),
        (b"99999999999999999999999999", NumberError::TooLarge),
    ];
    for (text, error) in rows {
        assert_eq!(whole(text), Err(error), "{}", text.escape_ascii());
    }
}

#[test]
fn digits_may_have_leading_zeros_and_be_zero() {
    for (text, number) in [("0", 0), ("00", 0), ("05", 5), ("00000000004294967295", u32::MAX)] {
        assert_eq!(digits(text.as_bytes()), Ok(number), "{text}");
    }
    for text in ["", "-1", "1.5", "5 ", "4294967296"] {
        assert_eq!(digits(text.as_bytes()), whole(text.as_bytes()), "{text}");
        assert!(digits(text.as_bytes()).is_err(), "{text}");
    }
    assert_eq!(whole(b"09999999999"), Err(NumberError::LeadingZero));
}

#[test]
fn limits_are_1_to_100000() {
    assert_eq!(Limit::new(0), Err(NumberError::Zero));
    assert_eq!(Limit::new(1).unwrap().get(), 1);
    assert_eq!(Limit::new(100_000).unwrap().get(), 100_000);
    assert_eq!(Limit::new(100_001), Err(NumberError::TooLarge));
}

#[test]
fn a_limit_prints_as_it_was_read() {
    assert_eq!(Limit::parse(b"4096").unwrap().to_string(), "4096");
    assert_eq!(Limit::parse(b"0"), Err(NumberError::Zero));
    assert_eq!(Limit::parse(b"100001"), Err(NumberError::TooLarge));
    assert_eq!(Limit::parse(b"5 "), Err(NumberError::NotDigits));
}

#[test]
fn capacities_are_1_to_a_billion() {
    assert_eq!(Capacity::new(0), Err(NumberError::Zero));
    assert_eq!(Capacity::new(1).unwrap().get(), 1);
    assert_eq!(Capacity::new(1_000_000_000).unwrap().get(), 1_000_000_000);
    assert_eq!(Capacity::new(1_000_000_000), Ok(Capacity::MAX));
    assert_eq!(Capacity::new(1_000_000_001), Err(NumberError::TooLarge));
}

#[test]
fn a_capacity_prints_as_it_was_read() {
    assert_eq!(Capacity::parse(b"250000").unwrap().to_string(), "250000");
    for text in ["", "0", "07", "+5", "1e6", "10k", "1.5", "1000000001", "99999999999"] {
        assert!(Capacity::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn costs_are_1_to_the_largest_limit() {
    assert_eq!(Cost::new(0), Err(NumberError::Zero));
    assert_eq!(Cost::new(1), Ok(Cost::ONE));
    assert_eq!(Cost::new(Limit::MAX.get()), Ok(Cost::MAX));
    assert_eq!(Cost::new(100_001), Err(NumberError::TooLarge));
}

#[test]
fn the_nearest_number_is_in_the_range() {
    for (count, nearest) in [(0, 1), (1, 1), (7, 7), (1_000_000_000, 1_000_000_000), (u32::MAX, 1_000_000_000)] {
        assert_eq!(Capacity::nearest(count).get(), nearest);
    }
}

#[test]
fn each_unit_has_its_length_and_prints_as_it_was_read() {
    let rows: [(&str, u64); 8] = [
        ("1ms", 1),
        ("900s", 900_000),
        ("60m", 3_600_000),
        ("1h", 3_600_000),
        ("24h", 86_400_000),
        ("30d", 2_592_000_000),
        ("720h", 2_592_000_000),
        ("2592000000ms", 2_592_000_000),
    ];
    for (text, milliseconds) in rows {
        let window = Window::parse(text.as_bytes()).unwrap();
        assert_eq!(window.length().get(), milliseconds);
        assert_eq!(window.to_string(), text);
    }
}

#[test]
fn the_unit_may_be_in_upper_case() {
    assert_eq!(Window::parse(b"15M").unwrap().to_string(), "15m");
    assert_eq!(Window::parse(b"15Ms").unwrap().to_string(), "15ms");
}

#[test]
fn windows_are_equal_if_they_are_spelled_alike() {
    let hour = Window::new(1, Unit::Hour).unwrap();
    let minutes = Window::new(60, Unit::Minute).unwrap();
    assert_ne!(hour, minutes);
    assert_eq!(hour.length(), minutes.length());
}

#[test]
fn the_longest_window_is_30_days_of_the_longest_unit() {
    assert_eq!(Window::new(30, Unit::Day).unwrap().length(), Window::MAX);
    assert_eq!(Window::new(31, Unit::Day), Err(WindowError::TooLong));
    assert_eq!(Window::new(u32::MAX, Unit::Day), Err(WindowError::TooLong));
    let zero = Window::new(0, Unit::Day);
    assert_eq!(zero, Err(WindowError::Number(NumberError::Zero)));
}

#[test]
fn anything_else_is_not_a_window_for_its_own_reason() {
    use NumberError::{Fraction, LeadingZero, Missing, NotDigits, Signed, TooLarge, Zero};
    use WindowError::{Number, TooLong, UnitMissing, UnitUnknown};
    let rows: [(&[u8], WindowError); 19] = [
        (b"", Number(Missing)),
        (b"m", Number(Missing)),
        (b"-5m", Number(Signed)),
        (b"+5m", Number(Signed)),
        (b"1.5h", Number(Fraction)),
        (b"1h30m", Number(NotDigits)),
        (b"5 m", Number(NotDigits)),
        (b"5m\0", Number(NotDigits)),
        (b"5m/2", Number(NotDigits)),
        (b"5\xb5s", Number(NotDigits)),
        (b"05m", Number(LeadingZero)),
        (b"0s", Number(Zero)),
        (b"5000000000ms", Number(TooLarge)),
        (b"15", UnitMissing),
        (b"15min", UnitUnknown),
        (b"1w", UnitUnknown),
        (b"31d", TooLong),
        (b"721h", TooLong),
        (b"2592000001ms", TooLong),
    ];
    for (text, error) in rows {
        assert_eq!(Window::parse(text), Err(error), "{}", text.escape_ascii());
    }
}

#[test]
fn a_lock_has_its_lengths_and_prints_as_it_was_read() {
    let rows: [(&str, u64, u64); 6] = [
        ("30m", 1_800_000, 1_800_000),
        ("1ms", 1, 1),
        ("15m..24h", 900_000, 86_400_000),
        ("60m..1h", 3_600_000, 3_600_000),
        ("5s..5s", 5_000, 5_000),
        ("1ms..30d", 1, Window::MAX.get()),
    ];
    for (text, first, longest) in rows {
        let lock = Lock::parse(text.as_bytes()).unwrap();
        assert_eq!(lock.first().get(), first, "{text}");
        assert_eq!(lock.longest().get(), longest, "{text}");
        assert_eq!(lock.to_string(), text);
    }
    assert_eq!(Lock::parse(b"15M..1D").unwrap().to_string(), "15m..1d");
}

#[test]
fn locks_are_equal_if_they_are_spelled_alike() {
    let lock = |text: &[u8]| Lock::parse(text).unwrap();
    assert_eq!(lock(b"1h"), lock(b"1H"));
    assert_ne!(lock(b"1h"), lock(b"60m"));
    assert_ne!(lock(b"1h"), lock(b"1h..1h"));
}

#[test]
fn anything_else_is_not_a_lock_for_its_own_reason() {
    use LockError::{First, Longest, Shrinking};
    use NumberError::{Fraction, Missing, NotDigits, Zero};
    use WindowError::{Number, TooLong, UnitMissing, UnitUnknown};
    let rows: [(&[u8], LockError); 16] = [
        (b"", First(Number(Missing))),
        (b"..", First(Number(Missing))),
        (b"..24h", First(Number(Missing))),
        (b"SHADOW", First(Number(Missing))),
        (b"0s", First(Number(Zero))),
        (b"15", First(UnitMissing)),
        (b"31d", First(TooLong)),
        (b"15m.24h", First(Number(NotDigits))),
        (b"15m-24h", First(Number(NotDigits))),
        (b"15..24h", First(UnitMissing)),
        (b"15m..", Longest(Number(Missing))),
        (b"15m...24h", Longest(Number(Fraction))),
        (b"15m..24h..48h", Longest(Number(NotDigits))),
        (b"15m..1w", Longest(UnitUnknown)),
        (b"15m..31d", Longest(TooLong)),
        (b"15m..899s", Shrinking),
    ];
    for (text, error) in rows {
        assert_eq!(Lock::parse(text), Err(error), "{}", text.escape_ascii());
    }
}
