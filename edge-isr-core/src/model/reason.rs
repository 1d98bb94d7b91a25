//! The stable name of every outcome: the header, the counter, the log and `health()` say the same word.

/// Declares the enum, its words and the list of all, so that none can be forgotten.
macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// Why an answer is what it is.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The word, as it stands in `Cache-Status`, in metrics and in logs. Never changes.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

reasons! {
    /// Answered from a fresh page.
    Hit = "hit",
    /// A fresh page was answered from and a render begun ahead of its end. The answer itself is a `hit`.
    Ahead = "ahead",
    /// Answered from a page past its lifetime while a render runs.
    Aged = "aged",
    /// Answered from a softly invalidated page while a render runs.
    Invalidated = "invalidated",
    /// Answered from a page past its lifetime because the render failed.
    StaleIfError = "stale-if-error",
    /// There was no page.
    Absent = "absent",
    /// The page was dead: invalidated hard, or its incarnation was lost.
    Dead = "dead",
    /// The page was stale, and nothing allowed serving it to this visitor.
    Expired = "expired",
    /// The visitor's receipt asks for a newer page.
    Receipt = "receipt",
    /// The method is neither `GET` nor `HEAD`.
    Method = "method",
    /// The request carries `Authorization`. It bypasses, both ways.
    Authorization = "authorization",
    /// The request carries a cookie, and the policy did not say `Cookies::Ignore`.
    Cookie = "cookie",
    /// The request asks for an upgrade.
    Upgrade = "upgrade",
    /// The policy's `bypass_when` said so.
    Policy = "policy",
    /// The request has a body, and no page answers that.
    RequestBody = "request-body",
    /// A request's own `Cache-Control` asked for it, on a gateway route that obeys them.
    Directive = "directive",
    /// The request target is no path.
    BadUri = "bad-uri",
    /// The `Host` is missing, twice there, or no host.
    BadHost = "bad-host",
    /// The host is not one of `origins`.
    UnknownHost = "unknown-host",
    /// A declared header has a value that can't stand in a key.
    BadHeader = "bad-header",
    /// The key has more bytes than `Limits::key_bytes`.
    KeyTooLong = "key-too-long",
    /// The router matched no route.
    NoRoute = "no-route",
    /// The policy has tenants and this request has none.
    NoTenant = "no-tenant",
    /// The answer was lately not storable: the key is passed in parallel for a while.
    Pass = "pass",
    /// Waited for an answer that does not say how long it is and takes its time: this one was asked for alone.
    Undecided = "undecided",
    /// Waited long enough for somebody else's render.
    CollapseTimeout = "collapse-timeout",
    /// As many renders run, or as many wait for one, as the limits allow.
    Busy = "busy",
    /// `shutdown` was called.
    ShuttingDown = "shutting-down",
    /// The page store can't be reached.
    StoreUnavailable = "store-unavailable",
    /// The page store gave what can't be the page that was put.
    StoreCorrupt = "store-corrupt",
    /// The render took longer than `Limits::render_timeout`.
    RenderTimeout = "render-timeout",
    /// The handler panicked.
    RenderPanicked = "render-panicked",
    /// The inner service failed.
    RenderFailed = "render-failed",
    /// The answer was invalidated while it was rendered.
    Overtaken = "overtaken",
    /// Not stored: the policy stores no answer of this status.
    Status = "status",
    /// Not stored: the answer sets a cookie.
    SetCookie = "set-cookie",
    /// Not stored: `Cache-Control: private`.
    Private = "private",
    /// Not stored: `Cache-Control: no-store`.
    NoStore = "no-store",
    /// Not stored: `Cache-Control: no-cache`.
    NoCache = "no-cache",
    /// Not stored: a `Cache-Control` that can't be read.
    BadCacheControl = "bad-cache-control",
    /// Not stored: the origin's answer is not fresh, has no validator, and is of no use when stale.
    NoFreshness = "no-freshness",
    /// Not stored: the origin's answer has a tag that is none.
    BadTag = "bad-tag",
    /// Not stored: `Vary: *`.
    VaryStar = "vary-star",
    /// Not stored: `Vary: Origin`. Put the CORS layer outside this one.
    VaryOrigin = "vary-origin",
    /// Not stored: `Vary: Cookie`. Don't read cookies on a cached route.
    VaryCookie = "vary-cookie",
    /// Not stored: `Vary` on a header that the policy does not declare. Declare it with `Policy::vary`.
    VaryUndeclared = "vary-undeclared",
    /// Not stored: `Vary` on a header that the origin is told otherwise than the client sent it, such as `X-Forwarded-For`.
    VaryWithheld = "vary-withheld",
    /// Not stored: a partial answer.
    Partial = "partial",
    /// Not stored: the body is shorter or longer than its `Content-Length`, or broke off.
    Truncated = "truncated",
    /// Not stored: the body has more bytes than the cap.
    TooLarge = "too-large",
    /// Not stored: the head has more bytes than `Limits::head_bytes`.
    HeadTooLarge = "head-too-large",
    /// Not stored: an event stream.
    EventStream = "event-stream",
    /// Not stored: an empty body, and the policy did not say `Empty::Store`.
    Empty = "empty",
    /// Not stored: the handler said `no_store`.
    HandlerNoStore = "handler-no-store",
    /// Not stored: the handler set a lifetime of zero.
    HandlerLifetime = "handler-lifetime",
    /// Not stored: more tags than `Limits::tags_per_page`.
    TooManyTags = "too-many-tags",
    /// Not stored: the tag template names a parameter that the route lacks.
    TagParamMissing = "tag-param-missing",
    /// Not stored: something between the router and the layer changed the URI. Put it outside the router.
    Rewritten = "rewritten",
    /// Dropped: a tag was added after the page was sealed.
    LateTag = "late-tag",
    /// Not stored: the URL has as many variants as `Limits::variants_per_url`.
    VariantLimit = "variant-limit",
    /// Not stored: the store refused it for its size.
    StoreRefused = "store-refused",
    /// A further host took the place of an idle one, or found none idle and is served without being stored.
    HostLimit = "host-limit",
    /// No layer took the worker's request for a page.
    RefillUnreached = "refill-unreached",
    /// A worker's render did not succeed.
    RefillFailed = "refill-failed",
    /// The queue is at its bound: renders wait for room in it.
    QueueFull = "queue-full",
    /// The queue can't be reached, or breaks its contract: what it does not give back is done from memory.
    QueueUnavailable = "queue-unavailable",
    /// A purge did not wait for the new pages: no worker renders them.
    PurgeEarly = "purge-early",
    /// A connector did not confirm a purge yet: it is told again.
    PurgeRetried = "purge-retried",
    /// A connector did not confirm a purge, and is not told again.
    PurgeFailed = "purge-failed",
    /// The index dropped a page for want of room: lists of URLs are incomplete for a while.
    IndexFull = "index-full",
    /// An `IsrLayer::around` was put on with `Router::layer`, after routing.
    AroundInside = "around-inside",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_stands_in_the_docs() {
        let docs = include_str!("../../../docs/reasons.md");
        for reason in Reason::ALL {
            assert!(docs.contains(&format!("| `{}` |", reason.as_str())), "{}", reason.as_str());
        }
    }

    #[test]
    fn words_are_tokens_and_unique() {
        let mut words: Vec<_> = Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')));
        words.sort_unstable();
        let total = words.len();
        words.dedup();
        assert_eq!(words.len(), total);
    }
}
