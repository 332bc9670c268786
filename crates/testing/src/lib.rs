//! Fakes for tests: upstreams on loopback that answer as scripted and count what reached them.
#![forbid(unsafe_code)]
