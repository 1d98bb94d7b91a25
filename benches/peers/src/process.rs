//! Programs that are measured from outside: started on a processor of their own, watched and ended by their number.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use edge_isr_bench::clock;
use edge_isr_bench::outcome::{Outcome, float};

/// The processor that a measured server has to itself.
pub const SERVER_CORE: &str = "0";
/// The one of whatever asks it, and of the origin behind it.
pub const LOAD_CORE: &str = "1";

const PATIENCE: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(5);

/// A program that listens; it is ended when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    pub at: SocketAddr,
}

impl Server {
    /// Starts a program on the servers' processor and waits until it listens. What it complains of is kept from a
    /// report unless it is one of ours.
    pub fn start(
        program: &Path,
        args: &[&str],
        variables: &[(&str, &str)],
        at: SocketAddr,
        complaints: Stdio,
    ) -> Outcome<Self> {
        let child = Command::new("taskset")
            .args(["-c", SERVER_CORE])
            .arg(program)
            .args(args)
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(complaints)
            .spawn()?;
        let mut server = Self { child, at };
        server.wait_for(at).map_err(|error| format!("{}: {error}", program.display()))?;
        Ok(server)
    }

    /// Waits until it listens at this address, too.
    pub fn wait_for(&mut self, at: SocketAddr) -> Outcome {
        let start = clock::now();
        while TcpStream::connect(at).is_err() {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("it ended with {status}").into());
            }
            if start.elapsed() > PATIENCE {
                return Err(format!("it does not listen at {at}").into());
            }
            std::thread::sleep(GLANCE);
        }
        Ok(())
    }

    /// The processor time that it and what it started have used.
    pub fn used(&self) -> Outcome<Duration> {
        let processes = processes()?;
        let mut family = vec![self.child.id()];
        let mut ticks = 0;
        while let Some(parent) = family.pop() {
            ticks += processes.iter().find(|process| process.id == parent).map_or(0, |process| process.ticks);
            family.extend(processes.iter().filter(|process| process.parent == parent).map(|child| child.id));
        }
        // Linux tells it in hundredths of a second on every platform that Debian runs on.
        Ok(Duration::from_millis(10 * ticks))
    }

    /// The most memory that was resident, and what is, in bytes.
    pub fn resident(&self) -> Outcome<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let field = |name: &str| -> Outcome<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such field")?;
            Ok(line.trim().trim_end_matches("kB").trim().parse::<u64>()? * 1024)
        };
        Ok((field("VmHWM:")?, field("VmRSS:")?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Asked, not killed: nginx and Varnish have children of their own to end.
        let asked = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let start = clock::now();
        while asked.as_ref().is_ok_and(|status| status.success()) && start.elapsed() < PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
                return;
            }
            std::thread::sleep(GLANCE);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Process {
    id: u32,
    parent: u32,
    ticks: u64,
}

fn processes() -> Outcome<Vec<Process>> {
    let ids = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One may have ended since.
    Ok(ids.filter_map(|id: u32| read(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)).collect())
}

/// The fields after the name, which may have spaces and parentheses itself.
fn read(id: u32, stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
    Some(Process { id, parent: u32::try_from(number(1)?).ok()?, ticks: number(11)? + number(12)? })
}

/// Where nobody listens yet.
pub fn free_port() -> Outcome<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A new folder in memory where the system has one; removed when this is dropped.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Outcome<Self> {
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let path = base.join(format!("edge-isr-peers-{}-{name}", std::process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Writes a file in it and tells its path.
    pub fn write(&self, name: &str, text: &str) -> Outcome<String> {
        let path = self.0.join(name);
        fs::write(&path, text)?;
        Ok(path.to_string_lossy().into_owned())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Moves this program, and what it starts from now on, to one processor.
pub fn stay_on(core: &str) -> Outcome {
    let output = Command::new("taskset").args(["-apc", core, &std::process::id().to_string()]).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("two processors are needed: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// A thousand connections want more open files than a shell allows by itself.
pub fn raise_file_limit() -> Outcome {
    let process = std::process::id().to_string();
    let output = Command::new("prlimit").args(["--pid", &process, "--nofile=8192:"]).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("8,192 open files are needed: {}", String::from_utf8_lossy(&output.stderr)).into())
}

/// In microseconds.
pub fn micros(time: Duration) -> f64 {
    float(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)) / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_time_of_a_process_is_read_behind_its_name() {
        let stat = "7 (a (b) c) S 3 7 7 0 -1 4194304 100 0 0 0 250 50 1 1 20 0 1 0 55 9 9";
        let process = read(7, stat).expect("the form of /proc/7/stat");
        assert_eq!((process.id, process.parent, process.ticks), (7, 3, 300));
        assert!(read(7, "7 nothing").is_none());
    }
}
