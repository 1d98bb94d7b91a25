//! Gateway routes: one story for each numbered rule of HTTP caching that they follow.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod basics;
