//! What needs the C library: local dates, signals, a session of one's own.

use std::ffi::CStr;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Milliseconds since 1970.
#[allow(clippy::disallowed_methods, reason = "a tool shows the time of day; nothing is simulated")]
pub fn now_millis() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A moment as log files show it, in the local time zone: `2025-01-27 19:50:51,936`.
pub fn local_timestamp(millis: i64) -> String {
    let Some(tm) = local_time(millis) else { return millis.to_string() };
    format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02},{:03}",
        i64::from(tm.tm_year) + 1900,
        tm.tm_mon + 1,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        millis.rem_euclid(1000)
    )
}

fn local_time(millis: i64) -> Option<libc::tm> {
    let seconds: libc::time_t = millis.div_euclid(1000);
    // SAFETY: `tm` is plain data for which all zeros is a value; `localtime_r` only writes to it.
    unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        (!libc::localtime_r(&seconds, &mut tm).is_null()).then_some(tm)
    }
}

/// A date as Java's `Date.toString` prints it in the local time zone
/// (`Thu Jan 01 08:00:00 CST 1970`), from milliseconds since the epoch.
pub fn local_date(millis: i64) -> String {
    let Some(tm) = local_time(millis) else { return millis.to_string() };
    let zone = if tm.tm_zone.is_null() {
        "UTC".into()
    } else {
        // SAFETY: glibc and musl point it at a static, terminated string.
        unsafe { CStr::from_ptr(tm.tm_zone) }.to_string_lossy()
    };
    let name = |names: &[&'static str], index: libc::c_int| {
        usize::try_from(index).ok().and_then(|index| names.get(index).copied()).unwrap_or("?")
    };
    format!(
        "{} {} {:02} {:02}:{:02}:{:02} {zone} {}",
        name(&["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"], tm.tm_wday),
        name(
            &["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"],
            tm.tm_mon
        ),
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec,
        i64::from(tm.tm_year) + 1900
    )
}

/// Whether a process with the id runs (one that has ended and was not yet reaped does not).
pub fn is_running(pid: i32) -> bool {
    if pid <= 0 {
        return false;
    }
    // SAFETY: signal 0 only asks.
    let exists = unsafe { libc::kill(pid, 0) } == 0
        || std::io::Error::last_os_error().raw_os_error() == Some(libc::EPERM);
    exists && !is_zombie(pid)
}

/// Linux only; elsewhere nothing is known to be one.
fn is_zombie(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state follows the program's name, which is in parentheses and may hold any character.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'))
}

/// Calls `handler` on SIGINT and SIGTERM; it may do only what a signal handler may.
pub fn on_end_signals(handler: extern "C" fn(libc::c_int)) {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        // SAFETY: the handler is a function of the type that `signal` wants.
        unsafe { libc::signal(signal, handler as *const () as libc::sighandler_t) };
    }
}

/// Lets time pass before another try: there is no event that says when one will succeed.
#[allow(clippy::disallowed_methods, reason = "a tool's own thread; nothing else runs on it")]
pub fn pause(duration: std::time::Duration) {
    std::thread::sleep(duration);
}

/// Whether both standard input and output are a terminal.
pub fn is_interactive() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Asks a process to end.
///
/// # Errors
/// If there is no such process or it is not ours.
pub fn terminate(pid: i32) -> std::io::Result<()> {
    if pid <= 0 {
        return Err(std::io::ErrorKind::InvalidInput.into());
    }
    // SAFETY: no memory is involved.
    match unsafe { libc::kill(pid, libc::SIGTERM) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Lets the command's process lead a session of its own, so that it outlives the terminal.
pub fn detach(command: &mut Command) {
    // SAFETY: `setsid` may be called between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::setsid() {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_javas_form() {
        let date = local_date(0);
        let parts: Vec<_> = date.split(' ').collect();
        assert_eq!(parts.len(), 6, "{date}");
        assert_eq!(parts[3].len(), 8);
        assert!(parts[5] == "1970" || parts[5] == "1969");
    }

    #[test]
    fn a_process_that_has_ended_does_not_run() {
        assert!(is_running(std::process::id() as i32));
        let mut child = Command::new("true").spawn().unwrap();
        let pid = child.id() as i32;
        child.wait().unwrap();
        assert!(!is_running(pid));
        assert!(!is_running(0) && !is_running(-1));
    }
}
