//! The listener for those who run it.
