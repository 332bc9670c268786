use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const THREADS: std::ops::RangeInclusive<usize> = 1..=8;

#[test]
fn every_task_runs_once() {
    for threads in THREADS {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads);
        for tasks in [0, 1, 2, 3, 7, 100, 1000] {
            let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
            pool.for_each(tasks, |i| {
                counts[i].fetch_add(1, Ordering::Relaxed);
            });
            assert!(
                counts
                    .iter()
                    .all(|count| count.load(Ordering::Relaxed) == 1),
                "{threads} threads, {tasks} tasks"
            );
        }
    }
}

#[test]
fn a_pool_of_none_is_one_of_one() {
    assert_eq!(Pool::new(0).threads(), 1);
}

#[test]
fn many_small_jobs_in_a_row() {
    for threads in THREADS {
        let pool = Pool::new(threads);
        let sum = AtomicUsize::new(0);
        for job in 0..2000 {
            pool.for_each(job % 5, |i| {
                sum.fetch_add(i + 1, Ordering::Relaxed);
            });
        }
        // 0 + 1 + (1 + 2) + (1 + 2 + 3) + (1 + .. + 4), 400 times.
        assert_eq!(sum.load(Ordering::Relaxed), 400 * 20, "{threads} threads");
    }
}

#[test]
fn chunks_cover_the_data() {
    for threads in THREADS {
        let pool = Pool::new(threads);
        for (len, chunk) in [(0, 3), (1, 3), (3, 3), (10, 3), (100, 7), (5, 100)] {
            let mut data = vec![String::new(); len];
            pool.chunks_mut(&mut data, chunk, |i, piece| {
                for (j, x) in piece.iter_mut().enumerate() {
                    *x = format!("{}", i * chunk + j);
                }
            });
            assert!(data.iter().enumerate().all(|(i, x)| *x == i.to_string()));
        }
    }
}

#[test]
#[should_panic(expected = "at least one element")]
fn chunks_of_nothing_are_refused() {
    Pool::new(2).chunks_mut(&mut [1], 0, |_, _| {});
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
    for threads in THREADS {
        let pool = Pool::new(threads);
        for bad in [0, 50, 99] {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.for_each(100, |i| assert!(i != bad, "task {i} is bad"));
            }));
            let payload = result.expect_err("the panic is passed on");
            assert_eq!(
                payload.downcast_ref::<String>(),
                Some(&format!("task {bad} is bad"))
            );
            let count = AtomicUsize::new(0);
            pool.for_each(100, |_| {
                count.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(count.load(Ordering::Relaxed), 100);
        }
    }
}

#[test]
fn nested_jobs_run_on_the_spot() {
    for threads in THREADS {
        let pool = Pool::new(threads);
        let mut rows = vec![vec![0_usize; 10]; 20];
        pool.chunks_mut(&mut rows, 1, |r, row| {
            pool.chunks_mut(&mut row[0], 3, |c, piece| piece.fill(r * 100 + c));
        });
        for (r, row) in rows.iter().enumerate() {
            for (c, &x) in row.iter().enumerate() {
                assert_eq!(x, r * 100 + c / 3);
            }
        }
    }
}

#[test]
fn callers_take_turns() {
    let pool = Pool::new(3);
    let sum = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    pool.for_each(5, |_| {
                        sum.fetch_add(1, Ordering::Relaxed);
                    });
                }
            });
        }
    });
    assert_eq!(sum.load(Ordering::Relaxed), 4 * 200 * 5);
}

/// Waits, however long it takes: what is claimed is that they get there.
fn wait_until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

/// A job for which all threads are needed: each task waits until the others have begun.
fn meet(pool: &Pool) {
    let begun = AtomicUsize::new(0);
    pool.for_each(pool.threads(), |_| {
        begun.fetch_add(1, Ordering::SeqCst);
        wait_until(|| begun.load(Ordering::SeqCst) == pool.threads());
    });
}

#[test]
fn idle_threads_sleep_and_wake_again() {
    for threads in [2, 3, 4, 8, 17] {
        let pool = Pool::new(threads);
        for _ in 0..3 {
            meet(&pool);
            wait_until(|| pool.crew.asleep() == pool.threads() - 1);
            meet(&pool);
        }
    }
}

#[test]
fn threads_are_awake_before_the_first_job_and_sleep_after_the_last() {
    for threads in [2, 3, 4, 8, 17] {
        let pool = Pool::new(threads);
        for _ in 0..3 {
            wait_until(|| pool.crew.asleep() == pool.threads() - 1);
            let outer = pool.awake();
            wait_until(|| pool.crew.asleep() == 0);
            let inner = pool.awake();
            meet(&pool);
            drop(outer);
            meet(&pool);
            assert_eq!(pool.crew.asleep(), 0, "one still holds them awake");
            drop(inner);
            wait_until(|| pool.crew.asleep() == pool.threads() - 1);
        }
    }
}

#[test]
fn threads_that_begin_to_sleep_are_woken_all_the_same() {
    let pool = Pool::new(8);
    for _ in 0..500 {
        drop(pool.awake());
        let _awake = pool.awake();
        wait_until(|| pool.crew.asleep() == 0);
    }
}

#[test]
fn callers_come_and_go_while_others_hold_the_threads_awake() {
    for threads in THREADS {
        let pool = Pool::new(threads);
        let sum = AtomicUsize::new(0);
        thread::scope(|scope| {
            for caller in 0..4 {
                let (pool, sum) = (&pool, &sum);
                scope.spawn(move || {
                    for turn in 0..100 {
                        let _awake = (turn % 3 != caller % 3).then(|| pool.awake());
                        for tasks in [2, 5, 40] {
                            pool.for_each(tasks, |_| {
                                sum.fetch_add(1, Ordering::Relaxed);
                            });
                        }
                    }
                });
            }
        });
        assert_eq!(
            sum.load(Ordering::Relaxed),
            4 * 100 * 47,
            "{threads} threads"
        );
        wait_until(|| pool.crew.asleep() == pool.threads() - 1);
    }
}

#[test]
fn results_of_one_job_are_seen_by_the_next() {
    for threads in THREADS {
        let pool = Pool::new(threads);
        let _awake = pool.awake();
        let mut data = vec![0_usize; 64];
        for turn in 0..500 {
            // Which thread has which part differs from job to job.
            pool.chunks_mut(&mut data, 1 + turn % 9, |_, part| {
                for x in part {
                    assert_eq!(*x, turn);
                    *x += 1;
                }
            });
        }
        assert_eq!(data, [500; 64]);
    }
}

#[test]
fn a_panic_while_awake_is_passed_on_and_lets_go() {
    for threads in THREADS {
        let pool = Pool::new(threads);
        for bad in [0, 1, 20, 39] {
            let result = catch_unwind(AssertUnwindSafe(|| {
                let _awake = pool.awake();
                pool.for_each(40, |i| assert!(i != bad, "task {i} is bad"));
            }));
            assert!(result.is_err());
            meet(&pool);
            wait_until(|| pool.crew.asleep() == pool.threads() - 1);
        }
    }
}

#[test]
fn when_all_tasks_panic_one_is_passed_on() {
    let pool = Pool::new(4);
    for _ in 0..20 {
        let result = catch_unwind(AssertUnwindSafe(|| {
            pool.for_each(100, |_| panic!("bad"));
        }));
        let payload = result.expect_err("the panic is passed on");
        assert_eq!(payload.downcast_ref::<&str>(), Some(&"bad"));
        meet(&pool);
    }
}

#[test]
fn a_dropped_pool_stops_its_threads() {
    let pool = Pool::new(4);
    let crew = Arc::downgrade(&pool.crew);
    drop(pool);
    assert!(crew.upgrade().is_none());
}
