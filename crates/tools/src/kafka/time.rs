//! Moments and spans as command lines name them: ISO 8601.

/// The milliseconds since 1970 of `2024-01-31T12:30:00.000`, with `Z`, `+01:00`, `+0100` or `+01`
/// behind it or nothing, which means `Z`.
///
/// # Errors
/// Why it is none, in the words of Kafka's tools.
pub fn date_time(text: &str) -> Result<i64, String> {
    let Some((_, time)) = text.split_once('T').filter(|(_, time)| !time.is_empty()) else {
        return Err(
            "Error parsing timestamp. It does not contain a 'T' according to ISO8601 format"
                .to_owned(),
        );
    };
    let zoned = match time.contains(['+', '-', 'Z']) {
        true => text.to_owned(),
        false => format!("{text}Z"),
    };
    parsed(&zoned).ok_or_else(|| format!("Unparseable date: \"{zoned}\""))
}

fn parsed(text: &str) -> Option<i64> {
    let (date, time) = text.split_once('T')?;
    let mut date = date.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let zone_at = time.find(['+', '-', 'Z'])?;
    let (time, zone) = time.split_at(zone_at);
    let (clock, millis) = time.split_once('.')?;
    let mut clock = clock.split(':').map(|part| part.parse::<i64>().ok());
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let millis: i64 = millis.parse().ok()?;
    let longest = match month {
        4 | 6 | 9 | 11 => 30,
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        _ => 31,
    };
    let valid = (1..=12).contains(&month)
        && (1..=longest).contains(&day)
        && (0..24).contains(&hour)
        && (0..60).contains(&minute)
        && (0..60).contains(&second)
        && (0..1000).contains(&millis);
    valid.then_some(())?;
    let seconds = days_since_1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some((seconds - offset_seconds(zone)?) * 1000 + millis)
}

fn offset_seconds(zone: &str) -> Option<i64> {
    if zone == "Z" {
        return Some(0);
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let digits = digits.replace(':', "");
    let hours: i64 = digits.get(..2)?.parse().ok()?;
    let minutes: i64 = match digits.get(2..)? {
        "" => 0,
        minutes => minutes.parse().ok()?,
    };
    let seconds = hours * 3600 + minutes * 60;
    Some(if sign == "-" { -seconds } else { seconds })
}

/// Days of the proleptic Gregorian calendar, counted in years that begin in March.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// The milliseconds of `P1DT2H3M4.5S`, or of it with a sign before it or before its numbers.
///
/// # Errors
/// Why it is none, in the words of Java.
pub fn duration_ms(text: &str) -> Result<i64, String> {
    span(text).ok_or_else(|| "Text cannot be parsed to a Duration".to_owned())
}

fn span(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let mut rest = rest.strip_prefix('P')?;
    let mut millis = 0_i64;
    let (mut in_time, mut parts) = (false, 0);
    while !rest.is_empty() {
        if !in_time && let Some(time) = rest.strip_prefix('T') {
            in_time = true;
            rest = time;
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_alphabetic())?;
        let (number, unit) = (&rest[..end], rest.as_bytes()[end]);
        let each = match (in_time, unit) {
            (false, b'D') => 86_400_000,
            (true, b'H') => 3_600_000,
            (true, b'M') => 60_000,
            (true, b'S') => 1000,
            _ => return None,
        };
        let part = match number.split_once('.') {
            Some((whole, fraction)) if unit == b'S' => {
                let fraction = format!("{fraction:0<3}");
                let below: i64 = fraction.get(..3)?.parse().ok()?;
                let sign = if whole.starts_with('-') { -1 } else { 1 };
                whole.parse::<i64>().ok()?.checked_mul(1000)?.checked_add(sign * below)?
            }
            Some(_) => return None,
            None => number.parse::<i64>().ok()?.checked_mul(each)?,
        };
        millis = millis.checked_add(part)?;
        parts += 1;
        rest = &rest[end + 1..];
    }
    (parts > 0).then_some(if negative { -millis } else { millis })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_with_and_without_a_zone() {
        assert_eq!(date_time("1970-01-01T00:00:00.000"), Ok(0));
        assert_eq!(date_time("2024-02-29T12:30:00.250Z"), Ok(1_709_209_800_250));
        assert_eq!(date_time("2024-02-29T12:30:00.250+01:00"), Ok(1_709_206_200_250));
        assert_eq!(date_time("2024-02-29T12:30:00.250-0130"), Ok(1_709_215_200_250));
        assert_eq!(date_time("1969-12-31T23:59:59.999"), Ok(-1));
        assert!(date_time("2020").unwrap_err().contains("It does not contain a 'T'"));
        for wrong in ["2023-02-29T00:00:00.000", "2020-01-01T00:00:00", "2020-01-01T24:00:00.000"] {
            assert!(date_time(wrong).unwrap_err().starts_with("Unparseable date"), "{wrong}");
        }
    }

    #[test]
    fn spans() {
        assert_eq!(duration_ms("P1D"), Ok(86_400_000));
        assert_eq!(duration_ms("PT1H30M2.5S"), Ok(5_402_500));
        assert_eq!(duration_ms("-PT1S"), Ok(-1000));
        assert_eq!(duration_ms("pt-1s"), Ok(-1000));
        for wrong in ["", "P", "1D", "P1H", "PT1D", "PT1.5H", "P1DT1", "P99999999999999999D"] {
            assert!(duration_ms(wrong).is_err(), "{wrong}");
        }
    }
}
