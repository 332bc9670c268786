//! The store against a hub, plain servers, a pip and an npm that the tests serve themselves, on loopback.

mod store {
    mod address;
    mod faults;
    mod fixture;
    mod hub;
    mod hub_pull;
    mod layout;
    mod local;
    mod offline;
    mod package;
    mod refusals;
    mod remove;
    mod resume;
    mod runtimes;
    mod server;
    mod space;
    mod together;
    mod update;
}
