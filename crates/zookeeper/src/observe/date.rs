//! Dates as Java prints them, in UTC.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

struct Civil {
    year: i64,
    month: u64,
    day: u64,
    weekday: u64,
    hour: u64,
    minute: u64,
    second: u64,
}

/// The proleptic Gregorian calendar, counted in 400-year cycles that begin in March.
fn civil(at: SystemTime) -> Civil {
    let seconds = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs();
    let (days, in_day) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (cycle, in_cycle) = (shifted / 146_097, shifted % 146_097);
    let year = (in_cycle - in_cycle / 1460 + in_cycle / 36_524 - in_cycle / 146_096) / 365;
    let in_year = in_cycle - (365 * year + year / 4 - year / 100);
    let march_month = (5 * in_year + 2) / 153;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    Civil {
        year: (cycle * 400 + year) as i64 + i64::from(month <= 2),
        month,
        day: in_year - (153 * march_month + 2) / 5 + 1,
        // The first of January 1970 was a Thursday.
        weekday: (days + 4) % 7,
        hour: in_day / 3600,
        minute: in_day / 60 % 60,
        second: in_day % 60,
    }
}

/// `Sat Nov 21 13:40:14 UTC 2026`.
pub(crate) fn long(at: SystemTime) -> String {
    const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let Civil { year, month, day, weekday, hour, minute, second } = civil(at);
    let (weekday, month) = (DAYS[weekday as usize], MONTHS[month as usize - 1]);
    format!("{weekday} {month} {day:02} {hour:02}:{minute:02}:{second:02} UTC {year}")
}

/// `2024-10-17 23:21 UTC`.
pub(crate) fn short(at: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, .. } = civil(at);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// `2026-11-21 13:40:14,123`, as its loggers write it.
pub(crate) fn logged(at: SystemTime) -> String {
    let Civil { year, month, day, hour, minute, second, .. } = civil(at);
    let ms = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).subsec_millis();
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02},{ms:03}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |seconds| UNIX_EPOCH + Duration::from_secs(seconds);
        assert_eq!(long(at(0)), "Thu Jan 01 00:00:00 UTC 1970");
        assert_eq!(long(at(951_782_399)), "Mon Feb 28 23:59:59 UTC 2000");
        assert_eq!(long(at(951_782_400)), "Tue Feb 29 00:00:00 UTC 2000");
        assert_eq!(long(at(1_795_268_414)), "Sat Nov 21 13:40:14 UTC 2026");
        let at_ms = at(1_795_268_414) + Duration::from_millis(7);
        assert_eq!(logged(at_ms), "2026-11-21 13:40:14,007");
        assert_eq!(short(at(1_729_207_260)), "2024-10-17 23:21 UTC");
    }
}
