//! National numbers of persons, by part of the world. A number is one more row.

pub(super) mod americas;
pub(super) mod asia_pacific;
pub(super) mod europe;
pub(super) mod nordic;
