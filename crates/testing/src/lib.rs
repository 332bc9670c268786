//! Fakes for tests: upstreams on loopback that answer as scripted and count what reached them.
//!
//! A dev-dependency only: it panics where a test should fail. Nothing here knows a provider or a protocol above HTTP,
//! so every crate's tests can use it.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use inhouse_testing::{Answer, Upstream};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! let upstream = Upstream::start().await;
//! upstream.answer(Answer::text("hello"));
//!
//! let mut caller = tokio::net::TcpStream::connect(upstream.address()).await.unwrap();
//! caller.write_all(b"GET /v1/models HTTP/1.1\r\nconnection: close\r\n\r\n").await.unwrap();
//! let mut answer = String::new();
//! caller.read_to_string(&mut answer).await.unwrap();
//!
//! assert!(answer.ends_with("hello"));
//! assert_eq!(upstream.requests()[0].target, "/v1/models");
//! # });
//! ```
#![forbid(unsafe_code)]

mod answer;
mod http;
pub mod namespace;
#[cfg(feature = "onnxruntime")]
pub mod onnxruntime;
mod serve;
mod upstream;

pub use answer::Answer;
pub use http::Received;
pub use upstream::{Upstream, nobody};
