//! How much memory this process may still take: what the kernel calls available, or less where a control group says so.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Free bytes, page cache that can be given up included. `None` where the system does not tell (not Linux).
pub fn free() -> Option<u64> {
    free_under(Path::new("/"))
}

fn free_under(root: &Path) -> Option<u64> {
    let available = available(&fs::read_to_string(root.join("proc/meminfo")).ok()?)?;
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let limited = groups.lines().filter_map(|line| Hierarchy::of(line, root)).filter_map(|group| group.free());
    limited.chain([available]).min()
}

/// `MemAvailable` of `/proc/meminfo`.
fn available(meminfo: &str) -> Option<u64> {
    bytes_of(meminfo, "MemAvailable:")
}

/// The most that this process had resident: `VmHWM` of `/proc/self/status`.
pub fn peak() -> Option<u64> {
    bytes_of(&fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// A line of the kernel's, such as `VmHWM:  1024 kB`.
fn bytes_of(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// A tree of control groups that accounts for memory, and this process's place in it.
struct Hierarchy {
    mount: PathBuf,
    place: PathBuf,
    names: Names,
}

/// What the two versions call their files.
struct Names {
    limit: &'static str,
    usage: &'static str,
    /// In `memory.stat`: cache of files that is given up first.
    reclaimable: &'static str,
}

const VERSION_1: Names =
    Names { limit: "memory.limit_in_bytes", usage: "memory.usage_in_bytes", reclaimable: "total_inactive_file" };

const VERSION_2: Names = Names { limit: "memory.max", usage: "memory.current", reclaimable: "inactive_file" };

impl Hierarchy {
    /// Of a line of `/proc/self/cgroup`, such as `0::/user.slice` (version 2) or `4:memory:/docker/1` (version 1).
    fn of(line: &str, root: &Path) -> Option<Self> {
        let mut fields = line.splitn(3, ':');
        let (number, controllers, place) = (fields.next()?, fields.next()?, fields.next()?);
        let (mount, names) = match (number, controllers) {
            ("0", "") => ("sys/fs/cgroup", VERSION_2),
            _ if controllers.split(',').any(|name| name == "memory") => ("sys/fs/cgroup/memory", VERSION_1),
            _ => return None,
        };
        Some(Self { mount: root.join(mount), place: Path::new(place.trim_start_matches('/')).to_owned(), names })
    }

    /// The least of what is free in the group and in those around it. Seen from inside a container the group itself may
    /// be missing, and the mount's top is the container's own.
    fn free(&self) -> Option<u64> {
        let groups = self.place.ancestors().map(|place| self.mount.join(place));
        groups.filter_map(|group| self.free_in(&group)).min()
    }

    fn free_in(&self, group: &Path) -> Option<u64> {
        let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<u64>().ok();
        // Version 2 says `max` where there is no limit, version 1 a number beyond all memory.
        let limit = number(self.names.limit)?;
        let used = number(self.names.usage)?;
        let statistics = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        let named = |line: &str| line.strip_prefix(self.names.reclaimable)?.trim().parse::<u64>().ok();
        let reclaimable = statistics.lines().find_map(named).unwrap_or(0);
        Some(limit.saturating_sub(used.saturating_sub(reclaimable)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine with these files and 10,000 kB available.
    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let meminfo = ("proc/meminfo", "MemTotal:  20000 kB\nMemFree:  1000 kB\nMemAvailable:   10000 kB\n");
        for (name, text) in [meminfo].iter().chain(files) {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn without_control_groups_it_is_what_the_kernel_calls_available() {
        assert_eq!(free_under(machine(&[]).path()), Some(10_240_000));
        assert_eq!(free_under(tempfile::tempdir().unwrap().path()), None);
    }

    #[test]
    fn the_tightest_group_around_the_process_counts_and_its_file_cache_does_not() {
        let root = machine(&[
            ("proc/self/cgroup", "0::/a/b\n"),
            ("sys/fs/cgroup/a/memory.max", "5000\n"),
            ("sys/fs/cgroup/a/memory.current", "3000\n"),
            ("sys/fs/cgroup/a/memory.stat", "anon 1000\ninactive_file 2000\n"),
            ("sys/fs/cgroup/a/b/memory.max", "max\n"),
            ("sys/fs/cgroup/a/b/memory.current", "10\n"),
        ]);
        assert_eq!(free_under(root.path()), Some(4000));
    }

    #[test]
    fn version_1_is_read_too_also_from_inside_a_container() {
        let root = machine(&[
            ("proc/self/cgroup", "7:pids:/\n4:cpu,memory:/docker/1\n"),
            ("sys/fs/cgroup/memory/memory.limit_in_bytes", "9000\n"),
            ("sys/fs/cgroup/memory/memory.usage_in_bytes", "9500\n"),
            ("sys/fs/cgroup/memory/memory.stat", "inactive_file 1\ntotal_inactive_file 700\n"),
        ]);
        assert_eq!(free_under(root.path()), Some(200));
        fs::write(root.path().join("sys/fs/cgroup/memory/memory.limit_in_bytes"), "9223372036854771712").unwrap();
        assert_eq!(free_under(root.path()), Some(10_240_000), "a limit beyond all memory is none");
    }
}
