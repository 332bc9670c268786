//! The router over providers that answer as told and remember all that reached them.

mod cache;
mod devices;
mod egress;
mod gateway;
mod hostile;
mod modes;
mod money;
mod old_router;
mod resilience;
mod support;
