//! What the stories share: a site with one page whose order of events a test decides.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a helper that can't go on fails its test"
)]

mod answer;
mod ask;
mod at_once;
mod front;
mod gate;
mod origin;
mod page;
mod site;
mod story;

pub use answer::{Answer, get, head, request, send};
pub use ask::{User, ask, call, echo, exchange, get_with, serve, site};
pub use at_once::put_together;
pub use front::{confirmed, pending};
pub use gate::{Gate, within};
pub use origin::{Gateway, Said, Seen};
pub use page::{HTML, Page, fails, html};
pub use site::{POSITIONS, Position, Site, place};
pub use story::{Story, begun, lasting, prompt, until};
