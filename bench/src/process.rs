//! A process that answers requests, and what the system says about it.

use std::io::{BufRead, Write};
use std::time::Duration;

use serde_json::{Value, json};

/// Says who this is, then answers requests, a line of JSON each, until standard input ends.
pub fn serve(hello: &Value, mut answer: impl FnMut(&Value) -> Result<Value, String>) {
    let stdout = std::io::stdout();
    let say = |reply: &Value| {
        let mut out = stdout.lock();
        writeln!(out, "{reply}").and_then(|()| out.flush()).is_ok()
    };
    if !say(hello) {
        return;
    }
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let reply = serde_json::from_str(&line)
            .map_err(|e| e.to_string())
            .and_then(|request| answer(&request))
            .unwrap_or_else(|said| json!({ "error": said }));
        if !say(&reply) {
            return;
        }
    }
}

/// CPU time of all threads of the process so far, user and system.
#[cfg(unix)]
pub fn cpu_time() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Not known here.
#[cfg(not(unix))]
pub fn cpu_time() -> Duration {
    Duration::ZERO
}

/// How much of the process's own memory there is, and how much of it lies on huge pages.
pub fn huge_pages() -> Value {
    let kb = |key| kb("/proc/self/smaps_rollup", key);
    json!({ "anonymous_kb": kb("Anonymous:"), "huge_kb": kb("AnonHugePages:") })
}

/// Resident memory now, in KiB, where the system tells.
pub fn resident_kb() -> Option<u64> {
    kb("/proc/self/status", "VmRSS:")
}

/// The most resident memory since [`forget_peak`], in KiB.
pub fn peak_kb() -> Option<u64> {
    kb("/proc/self/status", "VmHWM:")
}

/// Starts the peak anew from what is resident now.
pub fn forget_peak() {
    // Where the system has no such thing, the peak is that of the whole process, or unknown.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

fn kb(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}
