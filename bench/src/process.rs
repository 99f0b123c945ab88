//! What the system says about this process.

use std::time::Duration;

use serde_json::{Value, json};

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
