//! How much memory the process holds.

use std::fs;

use crate::outcome::Outcome;

/// Resident bytes of this process, as `VmRSS` of `/proc/self/status` has them (the figure of `statm`, in units
/// that do not depend on the page size).
pub fn bytes() -> Outcome<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS: is this Linux?")?;
    let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib * 1024)
}
