//! Timestamps as RFC 3339 in UTC, durations as decimal seconds with an `s`; the ranges are those of the protobuf standard.

use std::io::Write as _;

use jiff::{SignedDuration, civil::DateTime};

use super::fault::{Fault, Reason, quoted};

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10,000 years in either direction.
const MAX_DURATION_SECONDS: i64 = 315_576_000_000;
const NANOS_PER_SECOND: i32 = 1_000_000_000;
/// Civil time covers the whole of year 9999, which jiff's own timestamps do not.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Writes a timestamp in quotes, with 0, 3, 6 or 9 fractional digits; `None` when it is out of range.
pub(super) fn write_timestamp(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> Option<()> {
    if !SECONDS.contains(&seconds) || !(0..NANOS_PER_SECOND).contains(&nanos) {
        return None;
    }
    let moment = EPOCH.checked_add(SignedDuration::from_secs(seconds)).ok()?;
    let (year, month, day) = (moment.year(), moment.month(), moment.day());
    let (hour, minute, second) = (moment.hour(), moment.minute(), moment.second());
    write!(out, "\"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}").ok()?;
    write_fraction(nanos.unsigned_abs(), out)?;
    out.extend_from_slice(b"Z\"");
    Some(())
}

/// Writes a duration in quotes; `None` when it is out of range or its parts have different signs.
pub(super) fn write_duration(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> Option<()> {
    let mixed = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if seconds.abs_diff(0) > MAX_DURATION_SECONDS.unsigned_abs()
        || nanos.unsigned_abs() >= NANOS_PER_SECOND.unsigned_abs()
        || mixed
    {
        return None;
    }
    let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
    write!(out, "\"{sign}{}", seconds.unsigned_abs()).ok()?;
    write_fraction(nanos.unsigned_abs(), out)?;
    out.extend_from_slice(b"s\"");
    Some(())
}

fn write_fraction(nanos: u32, out: &mut Vec<u8>) -> Option<()> {
    if nanos == 0 {
        Some(())
    } else if nanos.is_multiple_of(1_000_000) {
        write!(out, ".{:03}", nanos / 1_000_000).ok()
    } else if nanos.is_multiple_of(1_000) {
        write!(out, ".{:06}", nanos / 1_000).ok()
    } else {
        write!(out, ".{nanos:09}").ok()
    }
}

/// Reads RFC 3339 with any offset into seconds and nanoseconds since 1970.
pub(super) fn read_timestamp(text: &str) -> Result<(i64, i32), Fault> {
    parse_rfc3339(text).ok_or_else(|| {
        let example = "2026-01-02T03:04:05.678Z";
        Fault::new(Reason::InvalidValue, format!("{} is not a time in RFC 3339, e.g. {example}", quoted(text)))
    })
}

/// `YYYY-MM-DDThh:mm:ss`, at most nine fractional digits, `Z` or `±hh:mm`. Leap seconds have no place in a Timestamp.
fn parse_rfc3339(text: &str) -> Option<(i64, i32)> {
    let (date_time, rest) = text.split_at_checked("YYYY-MM-DDThh:mm:ss".len())?;
    if !has_shape(date_time, b"0000-00-00T00:00:00") || date_time.ends_with("60") {
        return None;
    }
    let (nanos, zone) = match rest.strip_prefix('.') {
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (fraction, zone) = rest.split_at(digits);
            ((1..=9).contains(&digits).then(|| format!("{fraction:0<9}"))?.parse().ok()?, zone)
        }
        None => (0, rest),
    };
    let offset = match zone {
        "Z" | "z" => 0,
        _ if has_shape(zone, b"+00:00") || has_shape(zone, b"-00:00") => {
            let (hours, minutes): (i64, i64) = (zone[1..3].parse().ok()?, zone[4..6].parse().ok()?);
            let seconds = (hours < 24 && minutes < 60).then_some(hours * 3600 + minutes * 60)?;
            if zone.starts_with('-') { -seconds } else { seconds }
        }
        _ => return None,
    };
    let civil: DateTime = date_time.to_ascii_uppercase().parse().ok()?;
    let seconds = civil.duration_since(EPOCH).as_secs() - offset;
    SECONDS.contains(&seconds).then_some((seconds, nanos))
}

/// ASCII text of this length with digits, a `T` of either case, and otherwise these very characters.
fn has_shape(text: &str, shape: &[u8]) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape).all(|(byte, &want)| match want {
            b'0' => byte.is_ascii_digit(),
            b'T' => byte.eq_ignore_ascii_case(&b'T'),
            _ => byte == want,
        })
}

/// Reads `-1.5s` into seconds and nanoseconds of the same sign.
pub(super) fn read_duration(text: &str) -> Result<(i64, i32), Fault> {
    let wrong =
        || Fault::new(Reason::InvalidValue, format!("{} is not a duration in seconds, e.g. \"1.5s\"", quoted(text)));
    let number = text.strip_suffix('s').ok_or_else(wrong)?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (whole, fraction) = match number.split_once('.') {
        Some((_, "")) => return Err(wrong()),
        Some(parts) => parts,
        None => (number, ""),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 12 || fraction.len() > 9 || !digits(whole) || !digits(fraction) {
        return Err(wrong());
    }
    let seconds: i64 = whole.parse().map_err(|_| wrong())?;
    let nanos: i32 = format!("{fraction:0<9}").parse().map_err(|_| wrong())?;
    if seconds > MAX_DURATION_SECONDS || (seconds == MAX_DURATION_SECONDS && nanos > 0) {
        return Err(wrong());
    }
    Ok(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}
