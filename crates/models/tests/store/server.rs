//! A small HTTP server that misbehaves as told.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// What was asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path and query as they came.
    pub(super) target: String,
    headers: Vec<(String, String)>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let found = self
            .headers
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte of the range that is asked for.
    pub(super) fn range_start(&self) -> Option<usize> {
        self.header("range")?
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    }
}

/// What is answered.
#[derive(Clone, Debug, Default)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    /// The connection ends after so many bytes of the body.
    pub(super) cut_after: Option<usize>,
    /// Nothing more comes after so many bytes of the body, but the connection stays.
    pub(super) stall_after: Option<usize>,
    /// The body comes in pieces of this size, with this pause before each.
    pub(super) pace: Option<(usize, Duration)>,
}

impl Response {
    pub(super) fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            body: body.into(),
            ..Self::default()
        }
    }

    pub(super) fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    /// A file, or the range of it that is asked for.
    pub(super) fn file(bytes: &[u8], etag: &str, request: &Request) -> Self {
        let quoted = format!("\"{etag}\"");
        let same = request
            .header("if-range")
            .is_none_or(|version| version == quoted);
        let response = match request.range_start().filter(|_| same) {
            Some(start) if start >= bytes.len() => {
                Self::new(416, "").with("Content-Range", format!("bytes */{}", bytes.len()))
            }
            Some(start) => Self::new(206, &bytes[start..]).with(
                "Content-Range",
                format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len()),
            ),
            None => Self::new(200, bytes),
        };
        response.with("ETag", quoted)
    }
}

type Handler = dyn Fn(&Request) -> Response + Send + Sync;

/// A server that runs until it is dropped.
pub(super) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
}

impl Server {
    pub(super) fn start(handler: impl Fn(&Request) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            requests: Arc::default(),
            stop: Arc::default(),
        };
        let (requests, stop) = (Arc::clone(&server.requests), Arc::clone(&server.stop));
        let handler: Arc<Handler> = Arc::new(handler);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let (handler, requests) = (Arc::clone(&handler), Arc::clone(&requests));
                let stop = Arc::clone(&stop);
                thread::spawn(move || serve(&stream, &*handler, &requests, &stop));
            }
        });
        server
    }

    /// Its address, by number.
    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address by a name: another host, as far as a token is concerned.
    pub(super) fn url_by_name(&self) -> String {
        format!("http://localhost:{}", self.address.port())
    }

    /// What was asked so far.
    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The requests whose target ends so.
    pub(super) fn requests_for(&self, end: &str) -> Vec<Request> {
        self.requests()
            .into_iter()
            .filter(|request| request.target.ends_with(end))
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the listener.
        TcpStream::connect(self.address).ok();
    }
}

fn serve(stream: &TcpStream, handler: &Handler, requests: &Mutex<Vec<Request>>, stop: &AtomicBool) {
    let Some(request) = read(stream) else { return };
    requests
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(request.clone());
    let response = handler(&request);
    // A client that goes away in the middle is what some tests want.
    write(stream, &request, &response, stop).ok();
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next()?.ok()?;
    let mut words = first.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Vec::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    Some(Request {
        method,
        target,
        headers,
    })
}

fn write(
    mut stream: &TcpStream,
    request: &Request,
    response: &Response,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let mut head = format!(
        "HTTP/1.1 {} Whatever\r\nConnection: close\r\n",
        response.status
    );
    for (name, value) in &response.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if response.status != 304 {
        head.push_str(&format!("Content-Length: {}\r\n", response.body.len()));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    if request.method == "HEAD" {
        return Ok(());
    }
    let end = response
        .cut_after
        .or(response.stall_after)
        .unwrap_or(usize::MAX);
    let body = &response.body[..end.min(response.body.len())];
    let (size, pause) = response.pace.unwrap_or((usize::MAX, Duration::ZERO));
    for piece in body.chunks(size.min(body.len().max(1))) {
        thread::sleep(pause);
        stream.write_all(piece)?;
        stream.flush()?;
    }
    // The client is to give up, not the server: it stays for long, but not beyond the test.
    for _ in 0..1000 {
        if response.stall_after.is_none() || stop.load(Ordering::SeqCst) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
