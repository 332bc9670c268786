//! Requests through the router.
