//! What this machine is: processor, threads, memory, and how fast memory is read.

use std::time::{Duration, Instant};

use inhouse_kernels::{Kernels, Pool};
use memmap2::MmapMut;
use serde::Serialize;
use sysinfo::{CpuRefreshKind, MemoryRefreshKind, RefreshKind, System};

/// The processor and what of it this process may use.
#[derive(Debug, Serialize)]
pub(crate) struct Processor {
    pub(crate) name: String,
    pub(crate) architecture: &'static str,
    /// Threads the processor runs at once.
    pub(crate) threads_total: usize,
    /// Threads that affinity and a container's quota leave to this process.
    pub(crate) threads_usable: usize,
}

/// Memory in bytes, within a container's limit where there is one.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    pub(crate) total_bytes: u64,
    pub(crate) available_bytes: u64,
}

/// How fast memory was read, and how that was found out.
#[derive(Debug, Serialize)]
pub(crate) struct Bandwidth {
    pub(crate) gb_per_s: f64,
    pub(crate) threads: usize,
    pub(crate) buffer_bytes: usize,
}

/// Multiply-adds a second, in billions.
#[derive(Debug, Serialize)]
pub(crate) struct MultiplyAdds {
    pub(crate) int8_g_per_s: f64,
    pub(crate) f32_g_per_s: f64,
}

/// Threads this process may use: affinity and cgroup quota counted.
pub(crate) fn usable_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

pub(crate) fn processor() -> Processor {
    let system =
        System::new_with_specifics(RefreshKind::nothing().with_cpu(CpuRefreshKind::nothing()));
    let brand = system.cpus().first().map_or("", |cpu| cpu.brand().trim());
    Processor {
        name: if brand.is_empty() {
            "unknown".into()
        } else {
            brand.to_owned()
        },
        architecture: std::env::consts::ARCH,
        threads_total: system.cpus().len().max(1),
        threads_usable: usable_threads(),
    }
}

pub(crate) fn memory() -> Memory {
    let system = System::new_with_specifics(
        RefreshKind::nothing().with_memory(MemoryRefreshKind::everything()),
    );
    let mut memory = Memory {
        total_bytes: system.total_memory(),
        available_bytes: system.available_memory(),
    };
    if let Some(limits) = system.cgroup_limits() {
        memory.total_bytes = memory.total_bytes.min(limits.total_memory);
        memory.available_bytes = memory.available_bytes.min(limits.free_memory);
    }
    memory
}

/// The most memory this process ever had resident, in bytes, where the system tells.
pub(crate) fn peak_memory() -> Option<u64> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        let peak = u64::try_from(getrusage(UsageWho::RUSAGE_SELF).ok()?.max_rss()).ok()?;
        // macOS counts in bytes, the others in kibibytes.
        Some(if cfg!(target_os = "macos") {
            peak
        } else {
            peak * 1024
        })
    }
    #[cfg(not(unix))]
    None
}

/// The most memory this process has resident from some moment on.
pub(crate) struct PeakMemory {
    /// Resident at that moment, where the system began anew to count then.
    resident: Option<u64>,
    /// What the process ever had before.
    before: Option<u64>,
}

impl PeakMemory {
    pub(crate) fn start() -> Self {
        let before = peak_memory();
        // Linux forgets its mark when it is told so. It does for no one but the process itself.
        let forgotten = std::fs::write("/proc/self/clear_refs", "5").is_ok();
        Self {
            resident: status_bytes("VmRSS:").filter(|_| forgotten),
            before,
        }
    }

    /// The most since then; `None` where the system tells of the whole process alone and there was more before.
    pub(crate) fn most(&self) -> Option<u64> {
        if self.resident.is_some() {
            return status_bytes("VmHWM:");
        }
        peak_memory().filter(|most| Some(*most) > self.before)
    }

    /// The most since then beyond what there was then.
    pub(crate) fn added(&self) -> Option<u64> {
        Some(status_bytes("VmHWM:")?.saturating_sub(self.resident?))
    }
}

/// A figure that Linux keeps of this process.
fn status_bytes(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// What share of one core this process uses for so long, where the system tells.
pub(crate) fn share_of_a_core(during: Duration) -> Option<f64> {
    let (start, before) = (Instant::now(), processor_time()?);
    std::thread::sleep(during);
    let used = processor_time()?.saturating_sub(before);
    Some(used.as_secs_f64() / start.elapsed().as_secs_f64())
}

/// The processor time of this process so far.
fn processor_time() -> Option<Duration> {
    #[cfg(unix)]
    {
        use nix::sys::resource::{UsageWho, getrusage};
        use nix::sys::time::TimeValLike;
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
        let microseconds = (usage.user_time() + usage.system_time()).num_microseconds();
        Some(Duration::from_micros(u64::try_from(microseconds).ok()?))
    }
    #[cfg(not(unix))]
    None
}

/// What the machine did at most, in bytes read and multiply-adds a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    pub(crate) read: f64,
    pub(crate) int8: f64,
    pub(crate) f32: f64,
}

/// Measures the machine's limits, with as many threads as a model has.
pub(crate) struct Meter {
    pool: Pool,
    buffer: MmapMut,
}

impl Meter {
    /// Takes memory far larger than any cache, as far as there is some.
    pub(crate) fn new(threads: usize, memory: Memory) -> std::io::Result<Self> {
        const CHUNK: usize = 1 << 20;
        let bytes = (512 << 20).min(memory.available_bytes / 4).max(4 << 20) as usize;
        let pool = Pool::new(threads);
        let mut buffer = MmapMut::map_anon(bytes)?;
        // Where the system has large pages, looking up addresses must not be what is measured.
        #[cfg(target_os = "linux")]
        let _ = buffer.advise(memmap2::Advice::HugePage);
        // Pages that were never written are all one and the same page.
        pool.chunks_mut(&mut buffer, CHUNK, |_, chunk| chunk.fill(1));
        Ok(Self { pool, buffer })
    }

    /// The limits in numbers for reports; takes half a second.
    pub(crate) fn report(&self, kernels: Kernels) -> (Bandwidth, MultiplyAdds) {
        let rates = self.rates(kernels);
        let bandwidth = Bandwidth {
            gb_per_s: rates.read / 1e9,
            threads: self.pool.threads(),
            buffer_bytes: self.buffer.len(),
        };
        let multiply_adds = MultiplyAdds {
            int8_g_per_s: rates.int8 / 1e9,
            f32_g_per_s: rates.f32 / 1e9,
        };
        (bandwidth, multiply_adds)
    }

    /// The limits; takes half a second.
    pub(crate) fn rates(&self, kernels: Kernels) -> Rates {
        let arithmetic = kernels.multiply_add_rates(&self.pool);
        Rates {
            read: inhouse_kernels::read_rate(&self.pool, &self.buffer),
            int8: arithmetic.int8,
            f32: arithmetic.f32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_peak_is_not_an_earlier_one() {
        const SIZE: u64 = 64 << 20;
        let first = PeakMemory::start();
        drop(std::hint::black_box(vec![1_u8; SIZE as usize]));
        if cfg!(target_os = "linux") {
            // The system counts roughly, and other tests run meanwhile.
            assert!(first.added().is_some_and(|bytes| bytes > SIZE / 2));
            assert!(first.most() >= first.added());
            let second = PeakMemory::start();
            assert!(second.added().is_some_and(|bytes| bytes < SIZE / 2));
        }
    }

    #[test]
    fn the_machine_has_threads_and_memory() {
        let (processor, memory) = (processor(), memory());
        assert!(processor.threads_usable >= 1 && processor.threads_total >= 1);
        assert!(
            memory.available_bytes > 0 && memory.available_bytes <= memory.total_bytes,
            "{memory:?}"
        );
        if cfg!(unix) {
            assert!(
                peak_memory().is_some_and(|bytes| bytes > 1 << 20 && bytes < memory.total_bytes)
            );
        }
    }
}
