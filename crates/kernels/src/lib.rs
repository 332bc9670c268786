//! The arithmetic of a decoder: quantised matrix products, norms, rope and attention, vectorised for the machine at hand, and the thread pool they run on.
