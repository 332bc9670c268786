//! The model store: catalog, sources, downloads that resume and are verified.
