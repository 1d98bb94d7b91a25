//! `POST /revalidate`: read whole and checked before anything is applied, then applied in one step.

use edge_isr_core::{Error, Graph, Mode, Receipt, Selector, Tag};
use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, Refusal};
use super::json::Fields;

/// The most selectors of one order.
const MOST_SELECTORS: usize = 10_000;
/// The most bytes of a URL or a prefix, as of a key.
const MOST_URL: usize = 8 << 10;

/// What is to be invalidated, and how.
#[derive(Debug)]
struct Order {
    selectors: Vec<Selector>,
    mode: Mode,
}

/// Reads an order and carries it out.
pub(super) async fn carry_out(graph: &Graph, body: &[u8]) -> Result<Answer, Refusal> {
    let Order { selectors, mode } = Order::read(body)?;
    let count = selectors.len();
    Ok(match graph.by_selectors(selectors, mode).await {
        Ok(receipt) => {
            tracing::info!(sequence = receipt.seq(), mode = word(mode), selectors = count, "invalidated");
            Answer::json(StatusCode::OK, &of_receipt(&receipt))
        }
        Err(error) => failed(&error),
    })
}

fn of_receipt(receipt: &Receipt) -> Value {
    json!({ "sequence": receipt.seq(), "mode": word(receipt.mode()), "urls": receipt.urls() })
}

/// What the graph refused or could not do. With `queued` it is applied on this node and written down for the others.
fn failed(error: &Error) -> Answer {
    let status = if error.is_transient() {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::INTERNAL_SERVER_ERROR
    };
    tracing::error!(%error, queued = error.is_queued(), "not invalidated everywhere");
    Answer::json(status, &json!({ "error": error.to_string(), "queued": error.is_queued() }))
}

const fn word(mode: Mode) -> &'static str {
    match mode {
        Mode::Soft => "soft",
        Mode::Hard => "hard",
    }
}

impl Order {
    fn read(body: &[u8]) -> Result<Self, Refusal> {
        let fields = Fields::read(body)?;
        let mut order = Self { selectors: Vec::new(), mode: Mode::Soft };
        for (name, value) in fields {
            match &*name {
                "tags" => order.add(&name, &value, tag)?,
                "urls" => order.add(&name, &value, url)?,
                "prefixes" => order.add(&name, &value, prefix)?,
                "all" => match value {
                    Value::Bool(true) => order.selectors.push(Selector::all()),
                    Value::Bool(false) => {}
                    _ => return Err(Refusal::field(name, "must be true or false")),
                },
                "mode" => order.mode = mode(&value)?,
                _ => {
                    let what = "is no field: there are tags, urls, prefixes, all and mode";
                    return Err(Refusal::field(name, what));
                }
            }
        }
        if order.selectors.is_empty() {
            let what = "must select something with at least one of tags, urls, prefixes and all";
            return Err(Refusal::field("body", what));
        }
        Ok(order)
    }

    /// Reads a list of texts. What is refused is named by its place: `tags[2]`.
    fn add(
        &mut self,
        name: &str,
        value: &Value,
        read: impl Fn(&str) -> Result<Selector, String>,
    ) -> Result<(), Refusal> {
        let texts = value.as_array().ok_or_else(|| Refusal::field(name, "must be a list of texts"))?;
        if self.selectors.len() + texts.len() > MOST_SELECTORS {
            let what = format!("holds too much: at most {MOST_SELECTORS} in one call, or all");
            return Err(Refusal::field(name, what));
        }
        for (n, text) in texts.iter().enumerate() {
            let refused = |what: &str| Refusal::field(format!("{name}[{n}]"), what);
            let text = text.as_str().ok_or_else(|| refused("must be a text"))?;
            self.selectors.push(read(text).map_err(|what| refused(&what))?);
        }
        Ok(())
    }
}

fn mode(value: &Value) -> Result<Mode, Refusal> {
    match value.as_str() {
        Some("soft") => Ok(Mode::Soft),
        Some("hard") => Ok(Mode::Hard),
        _ => Err(Refusal::field("mode", "must be \"soft\" or \"hard\"")),
    }
}

fn tag(text: &str) -> Result<Selector, String> {
    Tag::parse(text).map(Selector::tag).map_err(|error| error.to_string())
}

fn url(text: &str) -> Result<Selector, String> {
    let absolute = (!text.starts_with('/')).then(|| Selector::url(text).ok()).flatten();
    match absolute {
        Some(selector) if is_plain(text) => Ok(selector),
        _ => Err("must be an absolute URL, such as https://www.example.com/posts/1".to_owned()),
    }
}

fn prefix(text: &str) -> Result<Selector, String> {
    match Selector::prefix(text) {
        Ok(selector) if is_plain(text) && !text.contains(['?', '#']) => Ok(selector),
        _ => Err("must be a path, such as /blog, or an absolute URL, without a query".to_owned()),
    }
}

/// Whether a text may be a URL as far as its bytes go.
fn is_plain(text: &str) -> bool {
    text.len() <= MOST_URL && !text.chars().any(char::is_control)
}
