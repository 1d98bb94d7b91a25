//! What is measured: an application, a request, a body.

use std::fmt::{self, Display};
use std::str::FromStr;

use crate::outcome::Outcome;

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum App {
    /// Nothing: a body comes back at once. What every other row includes.
    Harness,
    /// A hash look-up of the path that answers a prepared response: no rule of caching is kept.
    Floor,
    /// axum without any cache; the handler sets all the headers that a cached page leaves with.
    Axum,
    /// The same, the handler setting only its own.
    AxumSparse,
    /// The layer around the router.
    Around,
    /// The same, its pages compressed.
    Coded,
    /// The same as `wrap` gives it, its body boxed into axum's.
    Wrapped,
    /// The same with `isr.edge()` outside, its body boxed into axum's.
    AroundEdge,
    /// The layer on one route.
    Route,
    /// The same with `isr.edge()` outside, by `Router::layer`.
    RouteEdge,
}

impl App {
    /// What the row of a table says.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Harness => "the harness alone",
            Self::Floor => "floor: a prepared response by its path",
            Self::Axum => "axum, all headers from the handler",
            Self::AxumSparse => "axum, sparse",
            Self::Around => "edge-isr around the router",
            Self::Coded => "  served compressed",
            Self::Wrapped => "  boxed, as `wrap` gives it",
            Self::AroundEdge => "  with isr.edge() outside, boxed",
            Self::Route => "edge-isr inside a route",
            Self::RouteEdge => "  with isr.edge() outside",
        }
    }
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// `GET` with `Host` and no other header.
    Plain,
    /// `GET` with the 12 headers of a browser.
    Browser,
    /// `GET` with `Host` and the codings that a browser takes.
    Coding,
    /// `GET` with an `If-None-Match` that matches.
    Condition,
    /// `HEAD`.
    Head,
    /// As `Plain`, each after an invalidation of something else.
    Invalidated,
    /// That invalidation alone, to be subtracted.
    Invalidate,
}

const APPS: [(App, &str); 10] = [
    (App::Harness, "harness"),
    (App::Floor, "floor"),
    (App::Axum, "axum"),
    (App::AxumSparse, "axum-sparse"),
    (App::Around, "around"),
    (App::Coded, "coded"),
    (App::Wrapped, "wrapped"),
    (App::AroundEdge, "around-edge"),
    (App::Route, "route"),
    (App::RouteEdge, "route-edge"),
];

const ASKS: [(Ask, &str); 7] = [
    (Ask::Plain, "plain"),
    (Ask::Browser, "browser"),
    (Ask::Coding, "coding"),
    (Ask::Condition, "condition"),
    (Ask::Head, "head"),
    (Ask::Invalidated, "invalidated"),
    (Ask::Invalidate, "invalidate"),
];

/// One row of a table. Written `around:browser:16`, the body in KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scenario {
    /// What answers.
    pub app: App,
    /// What is asked.
    pub ask: Ask,
    /// The body, in KiB.
    pub kib: usize,
}

impl Scenario {
    /// With the page that most is measured with.
    pub const fn of(app: App, ask: Ask) -> Self {
        Self { app, ask, kib: 16 }
    }

    /// The same with a body of so many KiB.
    #[must_use]
    pub const fn with_kib(self, kib: usize) -> Self {
        Self { kib, ..self }
    }
}

impl Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let app = APPS.iter().find(|(app, _)| *app == self.app).map_or("", |(_, name)| name);
        let ask = ASKS.iter().find(|(ask, _)| *ask == self.ask).map_or("", |(_, name)| name);
        write!(f, "{app}:{ask}:{}", self.kib)
    }
}

impl FromStr for Scenario {
    type Err = Box<dyn std::error::Error + Send + Sync>;

    fn from_str(text: &str) -> Outcome<Self> {
        let unknown = || format!("no scenario `{text}`; write `around:browser:16`");
        let mut parts = text.split(':');
        let (Some(app), Some(ask), Some(kib), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(unknown().into());
        };
        let app = APPS.iter().find(|(_, name)| *name == app).ok_or_else(unknown)?.0;
        let ask = ASKS.iter().find(|(_, name)| *name == ask).ok_or_else(unknown)?.0;
        Ok(Self { app, ask, kib: kib.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_read_as_they_are_written() {
        for (app, _) in APPS {
            for (ask, _) in ASKS {
                let scenario = Scenario::of(app, ask).with_kib(128);
                assert_eq!(scenario.to_string().parse::<Scenario>().unwrap(), scenario);
            }
        }
        assert!("around:browser".parse::<Scenario>().is_err());
        assert!("around:browser:16:x".parse::<Scenario>().is_err());
    }
}
