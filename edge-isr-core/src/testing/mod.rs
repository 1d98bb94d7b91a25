//! Doubles for tests, of this crate and of yours. Exempt from semantic versioning.

mod clock;
mod connector;

pub use clock::ManualClock;
pub use connector::RecordingConnector;
