//! What bench/ measures of tasks, with Tokio. Prints a line for each number: NAME ns=...
//!
//! One thread runs the tasks (current_thread); with --two, two run them and pass messages. --sleepers: a million
//! of them, too.
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, Mutex};
use tokio::task::yield_now;

fn tell(name: &str, took: Duration, n: usize) {
    println!("{} ns={:.3}", name, took.as_nanos() as f64 / n as f64);
}

async fn switches(name: &str, tasks: usize, switches: usize) {
    let stop = Arc::new(AtomicBool::new(false));
    let turns = switches / tasks;
    let others: Vec<_> = (1..tasks)
        .map(|_| {
            let stop = stop.clone();
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    yield_now().await
                }
            })
        })
        .collect();
    yield_now().await;
    let start = Instant::now();
    for _ in 0..turns {
        yield_now().await;
    }
    tell(name, start.elapsed(), turns * tasks);
    stop.store(true, Ordering::Relaxed);
    for other in others {
        other.await.unwrap();
    }
}

async fn create_await(n: usize) {
    let start = Instant::now();
    for i in 0..n {
        assert_eq!(tokio::spawn(async move { i }).await.unwrap(), i);
    }
    tell("create_await", start.elapsed(), n);
}

async fn create_many(n: usize) {
    for round in 0..3 {
        let start = Instant::now(); // the last is told: warm
        let tasks: Vec<_> = (0..n).map(|i| tokio::spawn(async move { i })).collect();
        for (i, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), i);
        }
        if round == 2 {
            tell("create_many_warm", start.elapsed(), n);
        }
    }
}

async fn stream(name: &str, capacity: usize, n: usize) {
    let (sender, mut receiver) = mpsc::channel(capacity);
    let start = Instant::now();
    tokio::spawn(async move {
        for i in 0..n {
            sender.send(i as i64).await.unwrap();
        }
    });
    for i in 0..n {
        assert_eq!(receiver.recv().await, Some(i as i64));
    }
    tell(name, start.elapsed(), n);
}

async fn mutex(n: usize) {
    let lock = Mutex::new(());
    let start = Instant::now();
    for _ in 0..n {
        let _held = lock.lock().await;
    }
    tell("mutex", start.elapsed(), n);
}

async fn receive_any(receivers: &mut [mpsc::Receiver<i64>; 8]) -> i64 {
    let [a, b, c, d, e, f, g, h] = receivers;
    tokio::select! {
        item = a.recv() => item.unwrap(),
        item = b.recv() => item.unwrap(),
        item = c.recv() => item.unwrap(),
        item = d.recv() => item.unwrap(),
        item = e.recv() => item.unwrap(),
        item = f.recv() => item.unwrap(),
        item = g.recv() => item.unwrap(),
        item = h.recv() => item.unwrap(),
    }
}

/// One channel is ready at a time; then each side waits, as far as a channel of one makes it.
async fn select_8(n: usize) {
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..8).map(|_| mpsc::channel::<i64>(1)).unzip();
    let mut receivers: [mpsc::Receiver<i64>; 8] = receivers.try_into().unwrap();
    let start = Instant::now();
    for i in 0..n {
        senders[i * 3 % 8].send(i as i64).await.unwrap();
        assert_eq!(receive_any(&mut receivers).await, i as i64);
    }
    tell("select_8", start.elapsed(), n);
    let start = Instant::now();
    tokio::spawn(async move {
        for i in 0..n {
            senders[i % 8].send(i as i64).await.unwrap();
        }
        std::future::pending::<()>().await; // the channels stay open
        drop(senders);
    });
    let mut sum = 0;
    for _ in 0..n {
        sum += receive_any(&mut receivers).await;
    }
    tell("select_8_waiting", start.elapsed(), n);
    assert_eq!(sum, (n * (n - 1) / 2) as i64);
}

fn resident_bytes() -> i64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .filter(|line| line.starts_with("VmRSS:") || line.starts_with("VmPTE:"))
        .map(|line| line.split_whitespace().nth(1).unwrap().parse::<i64>().unwrap() * 1024)
        .sum()
}

async fn sleepers(n: usize) {
    for round in 0..2 {
        let asleep = Arc::new(AtomicUsize::new(0));
        let before = resident_bytes();
        let start = Instant::now();
        let wake = start + Duration::from_secs(8);
        let tasks: Vec<_> = (0..n)
            .map(|_| {
                let asleep = asleep.clone();
                tokio::spawn(async move {
                    asleep.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep_until(wake.into()).await;
                })
            })
            .collect();
        let created = start.elapsed();
        while asleep.load(Ordering::Relaxed) < n {
            yield_now().await;
        }
        let fell = start.elapsed();
        let bytes = resident_bytes() - before;
        for task in tasks {
            task.await.unwrap();
        }
        let life = fell + wake.elapsed();
        if round == 0 {
            println!("sleepers_memory bytes={}", bytes / n as i64);
            tell("sleepers_cold", life, n);
        } else {
            tell("sleepers_create", created, n);
            tell("sleepers_warm", life, n);
        }
    }
}

fn main() {
    if std::env::args().any(|argument| argument == "--two") {
        let two = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();

        two.block_on(async { tokio::spawn(stream("chan_shared", 1024, 1000000)).await.unwrap() });
        return;
    }
    let one = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let with_sleepers = std::env::args().any(|argument| argument == "--sleepers");

    one.block_on(async {
        tokio::spawn(async move {
            switches("yield_2", 2, 1000000).await;
            switches("yield_64", 64, 1000000).await;
            switches("yield_4096", 4096, 1000000).await;
            create_await(300000).await;
            create_many(1000000).await;
            stream("channel_128", 128, 1000000).await;
            stream("rendezvous", 1, 500000).await; // of one: there is none of nothing
            mutex(1000000).await;
            select_8(300000).await;
            if with_sleepers {
                sleepers(1000000).await;
            }
        })
        .await
        .unwrap();
    });
}
