//! The admin service as its clients see it, in front of an engine with real pages.

use std::convert::Infallible;
use std::future::poll_fn;

use edge_isr_core::{Policy, Reason};
use edge_isr_tower::{IsrLayer, path_tag};
use http::{Method, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_layer::Layer as _;

use super::*;

const TOKEN: &str = "a-token-for-tests";

/// An engine, and how to ask it.
struct Site {
    isr: Isr,
    admin: Admin,
}

impl Site {
    fn new() -> Self {
        let isr = Isr::builder().build().unwrap();
        let admin = Admin::new(&isr, Token::new(TOKEN).unwrap());
        Self { isr, admin }
    }

    /// Renders these URLs, and says what the cache says of each.
    async fn visit(&self, urls: impl IntoIterator<Item = String>) -> Vec<String> {
        let policy = Policy::new().stale_while_revalidate(Duration::from_secs(60));
        let layer: IsrLayer = IsrLayer::around(&self.isr)
            .route("/posts/{id}", policy.clone(), [path_tag("post:{id}"), path_tag("posts")])
            .route("/blog/{*rest}", policy, path_tag("blog"))
            .build()
            .unwrap();
        let mut site = layer.layer(tower_fn());
        let mut said = Vec::new();
        for url in urls {
            let request = Request::get(url).body(Full::<Bytes>::default()).unwrap();
            poll_fn(|cx| Service::<Request<Full<Bytes>>>::poll_ready(&mut site, cx)).await.unwrap();
            let answer = site.call(request).await.unwrap();
            let status = answer.headers()["cache-status"].to_str().unwrap().to_owned();
            answer.into_body().collect().await.unwrap();
            said.push(status);
        }
        self.isr.idle().await;
        said
    }

    async fn ask(&self, method: &str, target: &str, token: Option<&str>, body: &str) -> (StatusCode, String) {
        let (parts, text) = self.whole(method, target, token, body).await;
        (parts.status, text)
    }

    async fn whole(
        &self,
        method: &str,
        target: &str,
        token: Option<&str>,
        body: &str,
    ) -> (http::response::Parts, String) {
        let mut request = Request::new(Full::from(body.to_owned()));
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        *request.uri_mut() = target.parse().unwrap();
        if let Some(token) = token {
            request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {token}").parse().unwrap());
        }
        let (parts, body) = self.admin.clone().call(request).await.unwrap().into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        (parts, String::from_utf8(text.to_vec()).unwrap())
    }

    async fn get(&self, target: &str) -> (StatusCode, Value) {
        let (status, text) = self.ask("GET", target, Some(TOKEN), "").await;
        (status, serde_json::from_str(&text).unwrap())
    }

    async fn revalidate(&self, body: &str) -> (StatusCode, Value) {
        let (status, text) = self.ask("POST", "/revalidate", Some(TOKEN), body).await;
        (status, serde_json::from_str(&text).unwrap())
    }
}

/// A site whose every page is good.
fn tower_fn() -> impl Service<
    Request<Full<Bytes>>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send,
> + Clone
+ Send {
    #[derive(Clone)]
    struct Page;

    impl Service<Request<Full<Bytes>>> for Page {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
            std::future::ready(Ok(Response::new(Full::from(request.uri().to_string()))))
        }
    }

    Page
}

fn urls(range: std::ops::Range<usize>) -> impl Iterator<Item = String> {
    range.map(|n| format!("http://a.example/posts/{n}"))
}

#[tokio::test]
async fn an_order_is_carried_out_and_its_receipt_says_so() {
    let site = Site::new();
    site.visit(urls(0..3)).await;
    assert!(site.visit(urls(0..1)).await[0].contains("hit"));

    let soft = site.revalidate(r#"{"tags": ["Post:0"]}"#).await;
    assert_eq!(soft, (StatusCode::OK, json!({ "sequence": 1, "mode": "soft", "urls": 1 })));
    assert!(
        site.visit(urls(0..1)).await[0].contains("detail=invalidated"),
        "softly: served while it is rendered"
    );
    assert!(site.visit(urls(1..2)).await[0].contains("hit"), "others are left alone");

    let hard = site.revalidate(r#"{"tags": ["post:0"], "mode": "hard"}"#).await;
    assert_eq!(hard, (StatusCode::OK, json!({ "sequence": 2, "mode": "hard", "urls": 1 })));
    assert!(site.visit(urls(0..1)).await[0].contains("detail=dead"));
}

#[tokio::test]
async fn every_selector_selects_and_several_are_one_step() {
    let site = Site::new();
    let pages = [
        "http://a.example/posts/1",
        "http://a.example/posts/2",
        "http://a.example/blog/x/1",
        "http://b.example/blog/x/1",
        "http://a.example/blog/y/1",
    ];
    let visit = || async { site.visit(pages.map(str::to_owned)).await };
    let dead = || async {
        let said = visit().await;
        said.iter().map(|said| said.contains("detail=dead")).collect::<Vec<_>>()
    };
    visit().await;
    for (n, (body, expected)) in [
        (r#"{"mode":"hard","urls":["http://a.example/posts/1"]}"#, [true, false, false, false, false]),
        // http and https of a host are one, whatever its case and its port.
        (r#"{"mode":"hard","urls":["https://A.example:443/posts/2"]}"#, [false, true, false, false, false]),
        // A prefix is a path on all hosts, or a URL; it ends at a segment.
        (r#"{"mode":"hard","prefixes":["/blog/x"]}"#, [false, false, true, true, false]),
        (r#"{"mode":"hard","prefixes":["https://b.example/blog"]}"#, [false, false, false, true, false]),
        (r#"{"mode":"hard","prefixes":["/bl", "/post"]}"#, [false; 5]),
        (
            r#"{"mode":"hard","tags":["post:1"],"urls":["http://b.example/blog/x/1"],"prefixes":["/blog/y"]}"#,
            [true, false, false, true, true],
        ),
        (r#"{"mode":"hard","all":true}"#, [true; 5]),
        (r#"{"mode":"hard","all":false,"tags":["posts"]}"#, [true, true, false, false, false]),
    ]
    .into_iter()
    .enumerate()
    {
        let (status, receipt) = site.revalidate(body).await;
        assert_eq!((status, &receipt["sequence"]), (StatusCode::OK, &json!(n + 1)), "{body}: {receipt}");
        assert_eq!(dead().await, expected, "{body}");
        assert_eq!(dead().await, [false; 5]);
    }
}

/// What can't be an order, and the field that its refusal names.
const SLIPS: &[(&str, &str)] = &[
    ("", "body"),
    ("{", "body"),
    ("[]", "body"),
    ("{}", "body"),
    (r#"{"tags":[]}"#, "body"),
    (r#"{"all":false}"#, "body"),
    (r#"{"mode":"hard"}"#, "body"),
    (r#"{"tags":["post"]} {}"#, "body"),
    (r#"{"tags":"post"}"#, "tags"),
    (r#"{"tags":null}"#, "tags"),
    (r#"{"tags":["post"],"tags":["other"]}"#, "tags"),
    (r#"{"tags":["post",5]}"#, "tags[1]"),
    (r#"{"tags":["post",""]}"#, "tags[1]"),
    (r#"{"tags":["a::b"]}"#, "tags[0]"),
    (r#"{"tags":["a\u0000b"]}"#, "tags[0]"),
    (r#"{"tags":["~all"]}"#, "tags[0]"),
    (r#"{"urls":["/posts/1"]}"#, "urls[0]"),
    (r#"{"urls":["a.example/posts/1"]}"#, "urls[0]"),
    (r#"{"urls":["ftp://a.example/"]}"#, "urls[0]"),
    (r#"{"urls":["http://user@a.example/"]}"#, "urls[0]"),
    (r#"{"urls":["http://a.example/\n"]}"#, "urls[0]"),
    (r#"{"urls":["http:///posts"]}"#, "urls[0]"),
    (r#"{"prefixes":["blog"]}"#, "prefixes[0]"),
    (r#"{"prefixes":[""]}"#, "prefixes[0]"),
    (r#"{"prefixes":["/blog?page=1"]}"#, "prefixes[0]"),
    (r#"{"all":"yes"}"#, "all"),
    (r#"{"all":1}"#, "all"),
    (r#"{"tags":["post"],"mode":"Soft"}"#, "mode"),
    (r#"{"tags":["post"],"mode":null}"#, "mode"),
    (r#"{"tag":["post"]}"#, "tag"),
];

#[tokio::test]
async fn b18_a_slip_is_refused_with_its_field_and_applies_nothing() {
    let site = Site::new();
    let deep = format!("{{\"tags\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let many = format!("{{\"tags\":{:?}}}", vec!["a"; 10_001]);
    let fields: String = (0..20_000).map(|n| format!("\"f{n}\":0,")).collect();
    let fields = format!("{{{fields}\"all\":true}}");
    let long = format!(r#"{{"tags":["{}"]}}"#, "a".repeat(257));
    let long_url = format!(r#"{{"urls":["http://a.example/{}"]}}"#, "a".repeat(8 << 10));
    let made = [
        (&*deep, "body"),
        (&*many, "tags"),
        (&*fields, "body"),
        (&*long, "tags[0]"),
        (&*long_url, "urls[0]"),
    ];
    for (body, field) in SLIPS.iter().copied().chain(made) {
        let shown: String = body.chars().take(80).collect();
        let (status, told) = site.revalidate(body).await;
        assert_eq!((status, &told["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{shown}: {told}");
        assert!(told["error"].as_str().is_some_and(|error| !error.is_empty()), "{shown}: {told}");
        // Beside what is good, too: the next one would be the second.
        if let Some(rest) = body.strip_prefix('{').filter(|_| field != "body") {
            let (status, _) = site.revalidate(&format!("{{\"all\":true,{rest}")).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{shown}");
        }
    }
    let (_, receipt) = site.revalidate(r#"{"all":true}"#).await;
    assert_eq!(receipt["sequence"], 1, "nothing was applied");
}

#[tokio::test]
async fn p33_nothing_but_life_and_health_is_told_without_the_token() {
    let site = Site::new();
    site.visit(urls(0..1)).await;
    let cases = [
        ("POST", "/revalidate", r#"{"all":true}"#),
        ("GET", "/pages?tag=posts", ""),
        ("GET", "/stats", ""),
        ("GET", "/metrics", ""),
    ];
    for (method, target, body) in cases {
        for token in [None, Some(""), Some("x"), Some("a-token-for-test"), Some("a-token-for-testsX")] {
            let (parts, text) = site.whole(method, target, token, body).await;
            assert_eq!(parts.status, StatusCode::UNAUTHORIZED, "{target} {token:?}");
            assert_eq!(parts.headers[header::WWW_AUTHENTICATE], "Bearer");
            let told: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(told["field"], "authorization");
        }
        let (status, _) = site.ask(method, target, Some(TOKEN), body).await;
        assert_eq!(status, StatusCode::OK, "{target}");
    }
    let (_, receipt) = site.revalidate(r#"{"all":true}"#).await;
    assert_eq!(receipt["sequence"], 2, "the one with the token alone was applied");
    for target in ["/live", "/health"] {
        let (status, text) = site.ask("GET", target, None, "").await;
        assert_eq!(status, StatusCode::OK, "{text}");
    }
}

#[tokio::test]
async fn only_the_bearer_scheme_shows_a_token_and_only_once() {
    let site = Site::new();
    let ask = async |values: &[&str]| {
        let mut request = Request::get("/stats").body(Full::<Bytes>::default()).unwrap();
        for value in values {
            request.headers_mut().append(header::AUTHORIZATION, value.parse().unwrap());
        }
        site.admin.clone().call(request).await.unwrap().status()
    };
    let (bearer, lower) = (format!("Bearer {TOKEN}"), format!("bearer   {TOKEN}"));
    for good in [&*bearer, &lower] {
        assert_eq!(ask(&[good]).await, StatusCode::OK, "{good}");
    }
    for bad in
        [&[TOKEN][..], &["Bearer"], &[&format!("Basic {TOKEN}")], &[&bearer, &bearer], &["Bearer x", &bearer]]
    {
        assert_eq!(ask(bad).await, StatusCode::UNAUTHORIZED, "{bad:?}");
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_none_are_refused() {
    let site = Site::new();
    for token in [None, Some(TOKEN)] {
        for path in ["/", "/nothing", "/revalidate/", "/stats/x", "/Stats"] {
            let (status, text) = site.ask("GET", path, token, "").await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
            assert!(text.contains("\"field\":\"path\""), "{text}");
        }
        for (method, path, allowed) in [
            ("GET", "/revalidate", "POST"),
            ("PUT", "/revalidate", "POST"),
            ("POST", "/pages?tag=a", "GET, HEAD"),
            ("DELETE", "/stats", "GET, HEAD"),
            ("POST", "/metrics", "GET, HEAD"),
            ("POST", "/live", "GET, HEAD"),
            ("PURGE", "/health", "GET, HEAD"),
        ] {
            let (parts, text) = site.whole(method, path, token, r#"{"all":true}"#).await;
            assert_eq!(parts.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
            assert_eq!(parts.headers[header::ALLOW], allowed);
            assert!(text.contains("\"field\":\"method\""), "{text}");
        }
    }
    assert_eq!(site.revalidate(r#"{"all":true}"#).await.1["sequence"], 1, "nothing was applied");
}

#[tokio::test]
async fn b18_a_body_of_more_than_a_mebibyte_is_refused() {
    let site = Site::new();
    let exact = format!("{}{{\"all\":true}}", " ".repeat((1 << 20) - 12));
    assert_eq!(exact.len(), 1 << 20);
    assert_eq!(site.revalidate(&exact).await.0, StatusCode::OK);
    let (status, told) = site.revalidate(&format!(" {exact}")).await;
    assert_eq!((status, &told["field"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("body")));
    assert_eq!(site.revalidate(r#"{"all":true}"#).await.1["sequence"], 2);
}

#[tokio::test]
async fn pages_are_listed_a_hundred_at_a_time_and_each_once() {
    let site = Site::new();
    site.visit(urls(0..250)).await;
    // Of a tag that pages carry, and of one that only covers theirs.
    for tag in ["posts", "post", "POST"] {
        let (mut seen, mut sizes, mut after) = (std::collections::BTreeSet::new(), Vec::new(), String::new());
        loop {
            let (status, page) = site.get(&format!("/pages?tag={tag}{after}")).await;
            assert_eq!((status, &page["complete"]), (StatusCode::OK, &json!(true)));
            let listed = page["urls"].as_array().unwrap();
            sizes.push(listed.len());
            seen.extend(listed.iter().map(|url| url.as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!((seen.len(), &*sizes), (250, &[100, 100, 50][..]), "{tag}");
        assert!(seen.contains("http://a.example/posts/249"));
    }
    let (_, none) = site.get("/pages?tag=nobody").await;
    assert_eq!(none, json!({ "urls": [], "next": null, "complete": true }));
    for (query, field) in [
        ("", "tag"),
        ("?after=5", "tag"),
        ("?tag=", "tag"),
        ("?tag=~all", "tag"),
        ("?tag=a&tag=b", "tag"),
        ("?tag=a&after=x", "after"),
        ("?tag=a&after=-1", "after"),
        ("?tag=a&page=2", "page"),
    ] {
        let (status, told) = site.get(&format!("/pages{query}")).await;
        assert_eq!((status, &told["field"]), (StatusCode::BAD_REQUEST, &json!(field)), "{query}");
    }
    for after in [250_u64, u64::from(u32::MAX), u64::MAX] {
        for tag in ["posts", "post"] {
            let (status, page) = site.get(&format!("/pages?tag={tag}&after={after}")).await;
            assert_eq!((status, &page["urls"]), (StatusCode::OK, &json!([])), "{tag} {after}");
        }
    }
}

#[tokio::test]
async fn a_page_among_many_others_is_listed_at_once() {
    let site = Site::new();
    // More of them than the index looks through in one stretch.
    site.visit((0..300).map(|n| format!("http://a.example/blog/{n}"))).await;
    site.visit(urls(0..1)).await;
    let (_, page) = site.get("/pages?tag=post").await;
    assert_eq!(page["urls"], json!(["http://a.example/posts/0"]));
}

#[tokio::test]
async fn counters_are_told_as_json_and_to_prometheus() {
    let site = Site::new();
    site.visit(urls(0..2)).await;
    site.visit(urls(0..2)).await;
    let (_, stats) = site.get("/stats").await;
    assert_eq!((&stats["outcomes"]["hit"], &stats["outcomes"]["absent"]), (&json!(2), &json!(2)));
    assert_eq!((&stats["renders"], &stats["stored"], &stats["pages"]), (&json!(2), &json!(2), &json!(2)));
    assert_eq!(stats["bytes"], site.isr.stats().bytes);

    let (parts, text) = site.whole("GET", "/metrics", Some(TOKEN), "").await;
    assert_eq!(parts.headers[header::CONTENT_TYPE], "text/plain; version=0.0.4; charset=utf-8");
    assert_eq!(parts.headers[header::CACHE_CONTROL], "no-store");
    for line in [
        "# TYPE edge_isr_requests_total counter",
        "edge_isr_requests_total{reason=\"hit\"} 2",
        "edge_isr_renders_total 2",
        "edge_isr_stored_total 2",
        "# TYPE edge_isr_pages gauge",
        "edge_isr_pages 2",
        "edge_isr_health_notes 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} in {text}");
    }
    // Each line is a comment, or a name with labels and a number; each family is declared before its samples.
    let mut declared = std::collections::HashSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            declared.insert(rest.split(' ').next().unwrap().to_owned());
        } else if !line.starts_with("# HELP ") {
            let (name, number) = line.rsplit_once(' ').unwrap();
            assert!(declared.contains(name.split('{').next().unwrap()), "{line}");
            assert!(number.parse::<u64>().is_ok(), "{line}");
        }
    }
    assert!(text.ends_with('\n'));
}

#[tokio::test]
async fn p31_health_says_the_state_and_the_reason_and_no_keys() {
    let site = Site::new();
    let (status, text) = site.ask("GET", "/health", None, "").await;
    assert_eq!((status, &*text), (StatusCode::OK, "{\"reasons\":[],\"state\":\"good\"}\n"));
    site.isr.note(Reason::HostLimit, "secret-host.example", "list the hosts with `origins`");
    let (status, text) = site.ask("GET", "/health", None, "").await;
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &told["state"]), (StatusCode::OK, &json!("noted")));
    assert_eq!(told["reasons"][0]["reason"], "host-limit");
    assert!(!text.contains("secret-host"), "{text}");
    site.isr.shutdown(Duration::ZERO).await;
    let (status, text) = site.ask("GET", "/health", None, "").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(text.contains("\"state\":\"stopping\""), "{text}");
    assert_eq!(site.ask("HEAD", "/live", None, "").await.0, StatusCode::OK);
}

#[test]
fn p32_the_token_shows_nowhere() {
    let site = Site::new();
    assert!(!format!("{:?}", site.admin).contains(TOKEN));
}
