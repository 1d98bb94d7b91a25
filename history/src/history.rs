//! What happened, in order, and the part of it that concerns one page.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, PoisonError};

use edge_isr_core::Mode;

use crate::names::{Key, Target};

/// How many events of a storm are kept, for each lane.
const KEPT: usize = 4096;
/// How many events are told where they are not about one page.
const LAST: usize = 80;
/// Lanes: those who record at once hardly meet in one.
const LANES: usize = 16;

/// Something that happened. Requests and renders have numbers.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Asked { ask: u64, key: Key, owed: u64 },
    Answered { ask: u64, key: Key, label: String },
    HungUp { ask: u64, key: Key },
    Began { render: u64, key: Key },
    Read { render: u64, key: Key, item: usize, version: u64 },
    Tagged { render: u64, key: Key, item: usize },
    Ended { render: u64, key: Key, how: &'static str },
    Committed { writer: usize, item: usize, version: u64 },
    Invalidates { writer: usize, target: Target, mode: Mode },
    Acknowledged { writer: usize, target: Target, seq: u64 },
    Moved { millis: u64, timers: bool },
    WallSet,
    Quiet,
}

impl Event {
    /// Whether it has to do with a page and the items that it shows.
    fn concerns(&self, key: Key, items: &[usize]) -> bool {
        match self {
            Self::Asked { key: own, .. }
            | Self::Answered { key: own, .. }
            | Self::HungUp { key: own, .. }
            | Self::Began { key: own, .. }
            | Self::Read { key: own, .. }
            | Self::Tagged { key: own, .. }
            | Self::Ended { key: own, .. } => *own == key,
            Self::Committed { item, .. } => items.contains(item),
            Self::Invalidates { target, .. } | Self::Acknowledged { target, .. } => {
                target.has_page(key.page) && items.iter().any(|&item| target.has_item(item))
            }
            Self::Moved { .. } | Self::WallSet | Self::Quiet => true,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked { ask, key, owed: 0 } => write!(f, "request {ask}    asks for {key}"),
            Self::Asked { ask, key, owed } => {
                write!(f, "request {ask}    asks for {key} with the receipt of invalidation {owed}")
            }
            Self::Answered { ask, label, .. } => write!(f, "request {ask}    gets {label}"),
            Self::HungUp { ask, .. } => write!(f, "request {ask}    hangs up"),
            Self::Began { render, key } => write!(f, "  render {render}   begins {key}"),
            Self::Read { render, item, version, .. } => {
                write!(f, "  render {render}   reads item {item} version {version}")
            }
            Self::Tagged { render, item, .. } => write!(f, "  render {render}   adds the tag of item {item}"),
            Self::Ended { render, how, .. } => write!(f, "  render {render}   ends: {how}"),
            Self::Committed { writer, item, version } => {
                write!(f, "    writer {writer} commits item {item} version {version}")
            }
            Self::Invalidates { writer, target, mode } => {
                let verb = if *mode == Mode::Hard { "expires" } else { "revalidates" };
                write!(f, "    writer {writer} {verb} {target}")
            }
            Self::Acknowledged { writer, target, seq } => {
                write!(f, "    writer {writer} has it acknowledged as invalidation {seq}: {target}")
            }
            Self::Moved { millis, timers } => {
                let which = if *timers { "clocks and timers move" } else { "clocks move" };
                write!(f, "      {which} by {millis} ms")
            }
            Self::WallSet => f.write_str("      the time of day is set to something else"),
            Self::Quiet => f.write_str("      nobody asks or writes any more; everything is let through"),
        }
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) struct History {
    order: AtomicU64,
    lanes: [Mutex<VecDeque<(u64, Event)>>; LANES],
    most: usize,
}

impl History {
    /// Whole, or only what was last.
    pub(crate) fn new(is_whole: bool) -> Self {
        let most = if is_whole { usize::MAX } else { KEPT };
        Self { order: AtomicU64::new(0), lanes: std::array::from_fn(|_| Mutex::default()), most }
    }

    pub(crate) fn record(&self, lane: u64, event: Event) {
        let lane = &self.lanes[lane as usize % LANES];
        let mut lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
        if lane.len() >= self.most {
            lane.pop_front();
        }
        lane.push_back((self.order.fetch_add(1, SeqCst), event));
    }

    /// The part that tells how it came to something, in order.
    pub(crate) fn about(&self, about: &About<'_>) -> Vec<String> {
        let events = match about {
            About::Everything => {
                let all = self.ordered(|_| true);
                let skipped = all.len().saturating_sub(LAST);
                all.into_iter().skip(skipped).collect()
            }
            About::Key(key) => self.ordered(|event| event.concerns(*key, &[])),
            About::Shown(key, items, render) => {
                since(self.ordered(|event| event.concerns(*key, items)), *render)
            }
        };
        events.into_iter().map(|(order, event)| format!("{order:>6}  {event}")).collect()
    }

    /// A number that differs where histories do.
    pub(crate) fn digest(&self) -> u64 {
        let text: String = self.ordered(|_| true).iter().map(|(_, event)| event.to_string()).collect();
        text.bytes().fold(0, |digest, byte| crate::rng::mix(digest ^ u64::from(byte)))
    }

    fn ordered(&self, is_wanted: impl Fn(&Event) -> bool) -> Vec<(u64, Event)> {
        let mut events: Vec<(u64, Event)> = Vec::new();
        for lane in &self.lanes {
            let lane = lane.lock().unwrap_or_else(PoisonError::into_inner);
            events.extend(lane.iter().filter(|(_, event)| is_wanted(event)).cloned());
        }
        events.sort_by_key(|(order, _)| *order);
        events
    }
}

/// From the beginning of a render on; of what was before, only invalidations that were still under way.
fn since(events: Vec<(u64, Event)>, render: u64) -> Vec<(u64, Event)> {
    let is_begin =
        |(_, event): &(u64, Event)| matches!(event, Event::Began { render: own, .. } if *own == render);
    let start = events.iter().position(is_begin).unwrap_or(0);
    let mut under_way: Vec<(usize, usize)> = Vec::new();
    for (at, (_, event)) in events[..start].iter().enumerate() {
        match event {
            Event::Invalidates { writer, .. } => under_way.push((*writer, at)),
            Event::Acknowledged { writer, .. } => under_way.retain(|(other, _)| other != writer),
            _ => {}
        }
    }
    let kept = |at: usize| at >= start || under_way.iter().any(|&(_, other)| other == at);
    events.into_iter().enumerate().filter(|(at, _)| kept(*at)).map(|(_, event)| event).collect()
}

/// What a story is about.
#[derive(Debug)]
pub(crate) enum About<'a> {
    /// Nothing in particular: what was last.
    Everything,
    Key(Key),
    /// What was shown of a key: the items, by a render.
    Shown(Key, &'a [usize], u64),
}
