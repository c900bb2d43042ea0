//! Numbers and times as Postgres holds them. It has no unsigned types: the tables' constraints keep counts and ids from being negative,
//! and what is asked for beyond their range is not there. Times are microseconds since 1970 in queries.

use prost_types::Timestamp;

const MICROS: i64 = 1_000_000;

/// A count or id for a query. One above 2⁶³ − 1 cannot be stored; callers that take it from outside refuse it first.
pub fn stored(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A stored count or id.
pub fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or_default()
}

/// The same for 32 bits; larger counts are cut to the largest.
pub fn unsigned32(value: impl Into<i64>) -> u32 {
    u32::try_from(value.into().max(0)).unwrap_or(u32::MAX)
}

/// A stored time on the wire.
pub fn timestamp(micros: i64) -> Timestamp {
    let nanos = i32::try_from(micros.rem_euclid(MICROS) * 1000).unwrap_or_default();
    Timestamp { seconds: micros.div_euclid(MICROS), nanos }
}

/// A time of the wire for a query; to the microsecond.
pub fn micros(time: &Timestamp) -> i64 {
    time.seconds.saturating_mul(MICROS).saturating_add(i64::from(time.nanos / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_beyond_a_range_are_cut_and_never_wrap() {
        assert_eq!((stored(7), stored(u64::MAX)), (7, i64::MAX));
        assert_eq!((unsigned(7), unsigned(-1)), (7, 0));
        assert_eq!((unsigned32(7), unsigned32(-1), unsigned32(i64::MAX)), (7, 0, u32::MAX));
    }

    #[test]
    fn times_are_the_same_there_and_back() {
        for time in [0, 1, -1, 1_764_590_400_123_456, -1_000_001] {
            assert_eq!(micros(&timestamp(time)), time);
        }
        assert_eq!(timestamp(1_500_000), Timestamp { seconds: 1, nanos: 500_000_000 });
        assert_eq!(timestamp(-1), Timestamp { seconds: -1, nanos: 999_999_000 });
        assert_eq!(micros(&Timestamp { seconds: i64::MAX, nanos: 0 }), i64::MAX);
    }
}
