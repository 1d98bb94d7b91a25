//! What the stories share: a site with one page whose order of events a test decides.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a helper that can't go on fails its test")]

mod answer;
mod gate;
mod page;
mod site;

pub use answer::{Answer, get, head, send};
pub use gate::{Gate, within};
pub use page::{HTML, Page, html};
pub use site::{POSITIONS, Position, Site, place};
