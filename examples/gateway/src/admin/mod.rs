//! The listener for those who run it: what is stored, what happened, and what is to be forgotten.
//!
//! | file | what is in it |
//! |---|---|
//! | `routes` | which path is which question, and who may ask it |
//! | `order`, `json` | `POST /revalidate`: what it asks for, field by field |
//! | `views`, `metrics` | what can be looked at |
//! | `answer` | answers and refusals |

mod answer;
mod json;
mod metrics;
mod order;
mod routes;
#[cfg(test)]
mod tests;
mod views;

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use edge_isr_core::{BoxError, Isr};
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower_service::Service;

use crate::config::Token;
use crate::front::Refused;

pub(crate) use answer::refused;
use answer::{Answer, Refusal};
use routes::Question;

/// The most bytes of a body that is read.
const MOST_BODY: usize = 1 << 20;
/// The most bytes of a longer one that are let pass, so that its client sees the refusal and not a broken connection.
const MOST_DRAINED: usize = 64 << 20;
/// How long a body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers those who run the gateway. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    isr: Isr,
    token: Arc<Token>,
    refused: Arc<Refused>,
    is_stopping: Arc<AtomicBool>,
}

impl Admin {
    /// Answers for this engine, to those who show this token.
    #[must_use]
    pub fn new(isr: &Isr, token: Token) -> Self {
        let (token, refused) = (Arc::new(token), Arc::default());
        Self { isr: isr.clone(), token, refused, is_stopping: Arc::default() }
    }

    /// Tells what the front refused as well.
    #[must_use]
    pub fn with_refused(mut self, refused: &Arc<Refused>) -> Self {
        self.refused = Arc::clone(refused);
        self
    }

    /// From now on the health is that of a gateway that takes no new clients.
    pub fn stop(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send,
    {
        let (parts, body) = request.into_parts();
        let question = match Question::of(&parts, &self.token) {
            Ok(question) => question,
            Err(refusal) => return refusal.into(),
        };
        let answered = match question {
            Question::Live => Ok(views::live()),
            Question::Health => {
                let is_stopping = self.is_stopping.load(Ordering::Relaxed) || self.isr.is_closing();
                Ok(views::health(&self.isr, is_stopping))
            }
            Question::Stats => Ok(views::stats(&self.isr.stats())),
            Question::Metrics => Ok(metrics::text(&self.isr, &self.refused)),
            Question::Pages => views::pages(&self.isr.graph(), parts.uri.query().unwrap_or_default()).await,
            Question::Revalidate => match read(body).await {
                Ok(bytes) => order::carry_out(&self.isr.graph(), &bytes).await,
                Err(refusal) => Err(refusal),
            },
        };
        answered.unwrap_or_else(Into::into)
    }
}

impl<B> Service<Request<B>> for Admin
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move { Ok(this.answer(request).await.into_response()) })
    }
}

impl fmt::Debug for Admin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admin").field("isr", &self.isr).finish_non_exhaustive()
    }
}

/// A whole body.
async fn read<B: Body<Data = Bytes, Error: Into<BoxError>>>(body: B) -> Result<Vec<u8>, Refusal> {
    let reading = async {
        let mut body = std::pin::pin!(body);
        let (mut kept, mut bytes) = (Vec::new(), 0_usize);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Refusal::field("body", "broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            bytes = bytes.saturating_add(data.len());
            if bytes > MOST_DRAINED {
                break;
            }
            if bytes <= MOST_BODY {
                kept.extend_from_slice(&data);
            }
        }
        if bytes > MOST_BODY { Err(Refusal::too_large(MOST_BODY)) } else { Ok(kept) }
    };
    let read = tokio::time::timeout(BODY_TIMEOUT, reading).await;
    read.unwrap_or_else(|_| Err(Refusal::too_slow()))
}
