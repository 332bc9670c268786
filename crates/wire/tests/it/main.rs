//! Recorded exchanges of the real protocols, in `testdata/wire/<dialect>/`.
