//! router.config.json: its schema, its errors, its search order.
#![forbid(unsafe_code)]
