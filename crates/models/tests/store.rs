//! The store against a hub, plain servers and a pip that the tests serve themselves, on loopback.

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
    mod server;
    mod space;
    mod together;
    mod update;
}
