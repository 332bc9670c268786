//! What handing out work costs, in microseconds, at the median of many series: a job whose tasks do nothing,
//! one in which every thread waits for all the others, one of four small tasks a thread, and a first
//! one after a rest.
//!
//! `cargo run --release -p inhouse-kernels --example pool [THREADS..]`
#![allow(clippy::print_stdout, reason = "a program, not the library")]

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use inhouse_kernels::Pool;

fn main() {
    let mut threads: Vec<usize> = std::env::args()
        .skip(1)
        .flat_map(|argument| argument.parse())
        .collect();
    if threads.is_empty() {
        threads = vec![1, 2, 4, 8];
    }
    println!("threads     empty  meeting   small  rested");
    for threads in threads {
        let pool = Pool::new(threads);
        let awake = pool.awake();
        let empty = median(400, 50, || pool.for_each(threads, |_| {}));
        let meeting = median(400, 50, || meet(&pool));
        let small = median(100, 50, || pool.for_each(threads * 4, |_| small_task()));
        drop(awake);
        let rested = rested(&pool);
        println!("{threads:7}  {empty:8.2} {meeting:8.2} {small:7.1} {rested:7.1}");
    }
}

/// A job that ends only when every thread has taken part.
fn meet(pool: &Pool) {
    let begun = AtomicUsize::new(0);
    pool.for_each(pool.threads(), |_| {
        begun.fetch_add(1, Ordering::Relaxed);
        let mut turns = 0_u32;
        while begun.load(Ordering::Relaxed) < pool.threads() {
            turns += 1;
            if turns.is_multiple_of(256) {
                thread::yield_now();
            }
            std::hint::spin_loop();
        }
    });
}

/// Microseconds until all threads have taken part in the first job after a rest.
fn rested(pool: &Pool) -> f64 {
    let times = (0..100).map(|_| {
        thread::sleep(Duration::from_millis(1));
        let start = Instant::now();
        let _awake = pool.awake();
        meet(pool);
        start.elapsed().as_secs_f64() * 1e6
    });
    middle(times.collect())
}

/// A few microseconds of work.
fn small_task() {
    for i in 0..12_000_u32 {
        black_box(i);
    }
}

/// Microseconds of a job: the median of series of several each.
fn median(series: usize, jobs: u32, mut job: impl FnMut()) -> f64 {
    let times = (0..series).map(|_| {
        let start = Instant::now();
        (0..jobs).for_each(|_| job());
        start.elapsed().as_secs_f64() * 1e6 / f64::from(jobs)
    });
    middle(times.collect())
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
