//! The program inhouse.

fn main() {}
