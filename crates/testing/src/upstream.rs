//! An upstream that does as scripted and remembers what it was sent.

use std::collections::VecDeque;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::answer::Way;
use crate::serve::serve;
use crate::{Answer, Received};

/// An HTTP server on loopback that answers as scripted. It ends when it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    state: Arc<State>,
    accepting: JoinHandle<()>,
}

/// What all connections of an upstream share.
pub(crate) struct State {
    script: Mutex<Script>,
    requests: watch::Sender<Vec<Received>>,
    pub(crate) connections: AtomicUsize,
    pub(crate) bytes: AtomicUsize,
    /// How many answers went out as scripted, from the first byte to the last.
    pub(crate) answered: watch::Sender<usize>,
    /// How many callers went away in the middle of an answer.
    pub(crate) left: watch::Sender<usize>,
}

struct Script {
    queue: VecDeque<Answer>,
    otherwise: Box<dyn Fn(&Received) -> Answer + Send>,
}

impl Upstream {
    /// Starts one on a free port. Unscripted, it answers everything with 500.
    ///
    /// # Panics
    ///
    /// Where loopback has no free port.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State::new());
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            address,
            state,
            accepting,
        }
    }

    /// `http://127.0.0.1:PORT`, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

// === the script ===

impl Upstream {
    /// Answers the next request so, after those that are scripted already.
    pub fn answer(&self, answer: Answer) {
        self.state.script().queue.push_back(answer);
    }

    /// Answers the next requests so, in turn.
    pub fn answers(&self, answers: impl IntoIterator<Item = Answer>) {
        self.state.script().queue.extend(answers);
    }

    /// Answers so whenever nothing else is scripted.
    pub fn always(&self, answer: Answer) {
        self.always_by(move |_| answer.clone());
    }

    /// Answers so whenever nothing else is scripted, by what the request is.
    pub fn always_by(&self, answer: impl Fn(&Received) -> Answer + Send + 'static) {
        self.state.script().otherwise = Box::new(answer);
    }
}

// === what reached it ===

impl Upstream {
    /// The requests so far, in the order they arrived whole.
    pub fn requests(&self) -> Vec<Received> {
        self.state.requests.borrow().clone()
    }

    /// How many requests arrived whole.
    pub fn n_requests(&self) -> usize {
        self.state.requests.borrow().len()
    }

    /// How many connections were made.
    pub fn n_connections(&self) -> usize {
        self.state.connections.load(Ordering::SeqCst)
    }

    /// How many bytes arrived, heads and bodies, whole requests or not.
    pub fn n_bytes(&self) -> usize {
        self.state.bytes.load(Ordering::SeqCst)
    }

    /// How many callers closed their connection before they had the whole answer.
    pub fn n_left(&self) -> usize {
        *self.state.left.borrow()
    }

    /// Waits until so many requests have arrived whole.
    pub async fn received(&self, n: usize) {
        let mut requests = self.state.requests.subscribe();
        // The sender lives in `self`, so this cannot fail.
        let _ = requests.wait_for(|requests| requests.len() >= n).await;
    }

    /// Waits until so many answers went out as scripted, from the first byte to the last.
    pub async fn answered(&self, n: usize) {
        let mut answered = self.state.answered.subscribe();
        let _ = answered.wait_for(|answered| *answered >= n).await;
    }

    /// Waits until so many callers have closed their connection before they had the whole answer.
    pub async fn left(&self, n: usize) {
        let mut left = self.state.left.subscribe();
        let _ = left.wait_for(|left| *left >= n).await;
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// An address on loopback where nobody listens.
///
/// # Panics
///
/// Where loopback has no free port.
pub async fn nobody() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
    let listener = listener.expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address")
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new(); // aborts them all when it is dropped
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&state)));
        while connections.try_join_next().is_some() {}
    }
}

impl State {
    fn new() -> Self {
        let unscripted = |request: &Received| {
            let what = format!("nothing is scripted for {}", request.target);
            Answer::error(500, &json!({"error": {"message": what}}))
        };
        Self {
            script: Mutex::new(Script {
                queue: VecDeque::new(),
                otherwise: Box::new(unscripted),
            }),
            requests: watch::Sender::new(Vec::new()),
            connections: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            answered: watch::Sender::new(0),
            left: watch::Sender::new(0),
        }
    }

    fn script(&self) -> MutexGuard<'_, Script> {
        // A test that panicked while it held the lock has failed already.
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next answer where it is to close the connection.
    pub(crate) fn closes_at_once(&self) -> bool {
        let mut script = self.script();
        let closes = script
            .queue
            .front()
            .is_some_and(|next| next.way == Way::Close);
        if closes {
            script.queue.pop_front();
        }
        closes
    }

    /// Remembers a request and says what to answer it.
    pub(crate) fn receive(&self, request: Received) -> Answer {
        let mut script = self.script();
        let scripted = script.queue.pop_front();
        let answer = scripted.unwrap_or_else(|| (script.otherwise)(&request));
        drop(script);
        self.requests.send_modify(|requests| requests.push(request));
        answer
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
