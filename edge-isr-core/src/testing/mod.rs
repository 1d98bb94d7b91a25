//! Doubles for tests, of this crate and of yours. Exempt from semantic versioning.

mod clock;
mod connector;
#[cfg(feature = "twins")]
mod twin;

pub use clock::ManualClock;
pub use connector::RecordingConnector;
#[cfg(feature = "twins")]
pub use twin::Twin;
