//! What this machine is: processor, threads, memory, and how fast memory is read.

use std::time::{Duration, Instant};

use inhouse_kernels::{Kernels, Pool};
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
    pub(crate) buffer_bytes: u64,
    pub(crate) passes: usize,
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

/// Reads a buffer far larger than any cache with the engine's own threads and instructions, for a fraction of a second.
pub(crate) fn read_bandwidth(kernels: Kernels, threads: usize, memory: Memory) -> Bandwidth {
    const CHUNK: usize = 1 << 18; // floats: 1 MiB, large enough that handing it out costs nothing
    const LONGEST: Duration = Duration::from_millis(400);
    let bytes = (256 << 20).min(memory.available_bytes / 4).max(4 << 20) as usize;
    let pool = Pool::new(threads);
    let mut buffer = vec![0f32; bytes / size_of::<f32>()];
    // Pages that were never written are all one and the same page.
    pool.chunks_mut(&mut buffer, CHUNK, |_, chunk| chunk.fill(1.0));
    let start = Instant::now();
    let mut best = f64::INFINITY;
    let mut passes = 0;
    while passes < 2 || start.elapsed() < LONGEST {
        let pass = Instant::now();
        pool.for_each(buffer.len().div_ceil(CHUNK), |i| {
            let end = buffer.len().min((i + 1) * CHUNK);
            std::hint::black_box(kernels.max(&buffer[i * CHUNK..end]));
        });
        best = best.min(pass.elapsed().as_secs_f64());
        passes += 1;
    }
    Bandwidth {
        gb_per_s: bytes as f64 / best / 1e9,
        threads,
        buffer_bytes: bytes as u64,
        passes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
