//! What can be looked at: pages of a tag, counters, health.

use edge_isr_core::{Cursor, Graph, Isr, Stats, Tag};
use http::StatusCode;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Refusal};

/// How many URLs one answer lists at most.
const LISTED: usize = 100;
/// How many stretches of the index one answer looks through at most; then it has less, and says where to go on.
const STRETCHES: usize = 64;

/// That the process answers.
pub(super) fn live() -> Answer {
    Answer::json(StatusCode::OK, &json!({ "state": "live" }))
}

/// The state, and for what reason it is not better. No hosts, no URLs: whoever reaches the listener may see it.
pub(super) fn health(isr: &Isr, is_stopping: bool) -> Answer {
    let notes = isr.health().notes;
    let (status, state) = match (is_stopping, notes.is_empty()) {
        (true, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (false, true) => (StatusCode::OK, "good"),
        (false, false) => (StatusCode::OK, "noted"),
    };
    let reasons: Vec<_> = notes
        .iter()
        .map(|note| json!({ "reason": note.reason.as_str(), "advice": note.advice, "count": note.count }))
        .collect();
    Answer::json(status, &json!({ "state": state, "reasons": reasons }))
}

/// The counters since the start.
pub(super) fn stats(stats: &Stats) -> Answer {
    let outcomes: Map<String, Value> =
        stats.iter().map(|(reason, count)| (reason.as_str().to_owned(), count.into())).collect();
    let body = json!({
        "outcomes": outcomes,
        "renders": stats.renders,
        "stored": stats.stored,
        "collapsed": stats.collapsed,
        "pages": stats.pages,
        "bytes": stats.bytes,
    });
    Answer::json(StatusCode::OK, &body)
}

/// The URLs of a tag, a hundred at a time.
pub(super) async fn pages(graph: &Graph, query: &str) -> Result<Answer, Refusal> {
    let (mut tag, mut after) = (None, None);
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*name {
            "tag" => &mut tag,
            "after" => &mut after,
            _ => return Err(Refusal::field(name, "is no parameter: there are tag and after")),
        };
        if slot.replace(value).is_some() {
            return Err(Refusal::field(name, "is there twice"));
        }
    }
    let tag = tag.ok_or_else(|| Refusal::field("tag", "is missing: /pages?tag=post:42"))?;
    let tag = Tag::parse(&tag).map_err(|error| Refusal::field("tag", error.to_string()))?;
    let after = after.map(|after| after.parse().map(Cursor)).transpose();
    let mut after = after.map_err(|_| Refusal::field("after", "must be the `next` of an answer"))?;
    let (mut urls, mut is_complete) = (Vec::new(), true);
    for _ in 0..STRETCHES {
        let found = graph.urls_for(&tag, after, LISTED - urls.len()).await;
        let found = found.map_err(|error| Refusal::unavailable(error.to_string()))?;
        urls.extend(found.urls);
        (after, is_complete) = (found.next, is_complete && found.is_complete);
        if after.is_none() || urls.len() >= LISTED {
            break;
        }
    }
    let next = after.map(|Cursor(at)| at.to_string());
    Ok(Answer::json(StatusCode::OK, &json!({ "urls": urls, "next": next, "complete": is_complete })))
}
