//! As much of HTTP/1.1 as a fake needs: requests as they come off the wire, answers as they go onto it.

use std::str;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::answer::{Answer, Framing};

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// As in `POST`.
    pub method: String,
    /// The path with its query, or, where the caller took this for a proxy, the whole address.
    pub target: String,
    /// Names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Bytes,
    /// On which connection it came; the first is 0.
    pub connection: usize,
}

impl Received {
    /// The value of a header, the first where there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(n, _)| n == name);
        named.next().map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Panics
    ///
    /// Where it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body of the request is JSON")
    }
}

/// Reads requests off a connection and counts what it reads.
pub(crate) struct Reader<R> {
    from: R,
    buffer: BytesMut,
    count: Box<dyn Fn(usize) + Send>,
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(from: R, count: impl Fn(usize) + Send + 'static) -> Self {
        Self {
            from,
            buffer: BytesMut::new(),
            count: Box::new(count),
        }
    }

    /// The next request; `None` where the caller closed, or sent what is not HTTP.
    pub(crate) async fn request(&mut self, connection: usize) -> Option<Received> {
        let head = self.until(b"\r\n\r\n").await?;
        let mut lines = str::from_utf8(&head).ok()?.split("\r\n");
        let mut first = lines.next()?.split(' ');
        let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut request = Received {
            method,
            target,
            headers,
            body: Bytes::new(),
            connection,
        };
        request.body = self.body(&request).await?;
        Some(request)
    }

    /// Returns when the caller has gone. What it sends meanwhile is kept for the next request.
    pub(crate) async fn gone(&mut self) {
        while self.fill().await.is_some() {}
    }

    async fn body(&mut self, request: &Received) -> Option<Bytes> {
        if request.header("transfer-encoding") == Some("chunked") {
            return self.chunks().await;
        }
        let length = request.header("content-length").unwrap_or("0");
        self.exactly(length.parse().ok()?).await
    }

    async fn chunks(&mut self) -> Option<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let size = self.until(b"\r\n").await?;
            let size = usize::from_str_radix(str::from_utf8(&size).ok()?, 16).ok()?;
            body.extend_from_slice(&self.exactly(size).await?);
            self.exactly(2).await?; // the line end that closes a chunk
            if size == 0 {
                return Some(body.freeze());
            }
        }
    }

    /// What comes before `mark`, which is taken too.
    async fn until(&mut self, mark: &[u8]) -> Option<Bytes> {
        loop {
            let place = self
                .buffer
                .windows(mark.len())
                .position(|part| part == mark);
            if let Some(place) = place {
                let before = self.buffer.split_to(place).freeze();
                self.buffer.advance(mark.len());
                return Some(before);
            }
            self.fill().await?;
        }
    }

    async fn exactly(&mut self, n: usize) -> Option<Bytes> {
        while self.buffer.len() < n {
            self.fill().await?;
        }
        Some(self.buffer.split_to(n).freeze())
    }

    /// Reads some more; `None` at the end.
    async fn fill(&mut self) -> Option<()> {
        let n = self.from.read_buf(&mut self.buffer).await.ok()?;
        (self.count)(n);
        (n > 0).then_some(())
    }
}

/// Status line and headers.
pub(crate) fn head(answer: &Answer) -> Bytes {
    let mut head = format!("HTTP/1.1 {} Scripted\r\n", answer.status);
    let framing = match answer.framing {
        Framing::Length => format!("content-length: {}", answer.body().len()),
        Framing::Chunked => "transfer-encoding: chunked".to_owned(),
        Framing::UntilClose => "connection: close".to_owned(),
    };
    for (name, value) in &answer.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&framing);
    head.push_str("\r\n\r\n");
    head.into()
}

/// A piece of the body as its framing has it.
pub(crate) fn piece(framing: Framing, piece: &Bytes) -> Bytes {
    match framing {
        Framing::Chunked if piece.is_empty() => Bytes::new(), // an empty chunk would be the end
        Framing::Chunked => {
            let size = format!("{:x}\r\n", piece.len());
            [size.as_bytes(), piece, b"\r\n"].concat().into()
        }
        Framing::Length | Framing::UntilClose => piece.clone(),
    }
}
