//! The way to the origin.
