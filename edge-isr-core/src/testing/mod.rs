//! The contracts of the ports as tests, and doubles, for this crate and for yours. Exempt from semantic
//! versioning.

mod clock;
mod connector;
pub mod contract;
mod faulty;
mod origin;
pub mod sample;
#[cfg(feature = "twins")]
mod step;
pub mod targets;
#[cfg(feature = "twins")]
mod twin;

pub use clock::ManualClock;
pub use connector::{PurgeFault, RecordingConnector};
pub use faulty::{Call, Event, Failure, Fault, Faults, Faulty, Lie};
pub use origin::{ScriptedOrigin, Step};
#[cfg(feature = "twins")]
pub use step::between_steps;
#[cfg(feature = "twins")]
pub(crate) use step::come_between;
#[cfg(feature = "twins")]
pub use twin::Twin;
