//! What the benchmarks share: the applications and the page that are measured, how they are asked and counted, and how
//! it is reported. `benches` measures edge-isr alone, `benches/peers` beside others.

#![expect(
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "shared by this project's own programs, which end at the first error"
)]

pub mod apps;
pub mod clock;
pub mod count;
pub mod floor;
pub mod harness;
pub mod outcome;
pub mod page;
pub mod report;
pub mod resident;
pub mod scenario;
pub mod zipf;
