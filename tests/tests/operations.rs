//! What an operator and an application do with it: the doorman, receipts, the off switch, counters, health,
//! hosts, tenants, errors.
#![allow(
    clippy::unwrap_used,
    clippy::type_complexity,
    reason = "a helper that can't go on fails its test, and its cases are tables"
)]

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{FromRef, Request, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{MethodRouter, get, post};
use edge_isr_axum::prelude::*;
use edge_isr_axum::{Error, Limits, Mode, Reason};
use edge_isr_stories::{
    Answer, POSITIONS, Page, Position, Site, Story, ask, begun, call, get_with, html, lasting, place, send,
    site, within,
};
use http::{HeaderValue, StatusCode};

const S: Duration = Duration::from_secs(1);

fn memory() -> Isr {
    Isr::builder().build().unwrap()
}

/// The cookie of a receipt, as a browser sends it back.
fn cookie_of(answer: &Answer) -> Option<String> {
    let mut receipts = answer.headers.get_all("set-cookie").iter().filter_map(|line| {
        let line = line.to_str().unwrap();
        line.starts_with("edge-isr-receipt=").then(|| line.split(';').next().unwrap().to_owned())
    });
    let first = receipts.next();
    assert!(receipts.next().is_none(), "one receipt at most: {:?}", answer.headers);
    first
}

fn answering(make: impl Fn() -> Response + Clone + Send + Sync + 'static) -> MethodRouter {
    axum::routing::any(move || {
        let response = make();
        async move { response }
    })
}

/// A site with pages at `/pages/{id}` and whatever else.
fn with_pages(position: Position, isr: &Isr, pages: MethodRouter, others: Router) -> Site {
    let policy = lasting().query(["page"]);
    match position {
        Position::Inside => {
            let layer = IsrLayer::new(isr).policy(policy).tags(path_tag("page:{id}"));
            site(others.route("/pages/{id}", pages.layer(layer)).layer(isr.edge()))
        }
        Position::Around => {
            let layer =
                IsrLayer::around(isr).route("/pages/{id}", policy, path_tag("page:{id}")).build().unwrap();
            site(layer.wrap(others.route("/pages/{id}", pages)))
        }
    }
}

fn answer(status: u16, headers: &[(&'static str, &str)]) -> Response {
    let mut response = html("done");
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    for (name, value) in headers {
        response.headers_mut().append(*name, value.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn unsafe_methods_that_succeed_invalidate_their_url_and_where_they_point_on_the_same_host() {
    // (status, headers, which of /pages/1 … /pages/4 become stale); sent to /pages/1.
    type Case = (&'static str, u16, &'static [(&'static str, &'static str)], &'static [u32]);
    let cases: &[Case] = &[
        ("POST", 200, &[], &[1]),
        ("PUT", 204, &[], &[1]),
        ("PATCH", 200, &[], &[1]),
        ("DELETE", 200, &[], &[1]),
        ("MAKE", 200, &[], &[1]),
        ("POST", 303, &[("location", "/pages/2")], &[1, 2]),
        ("POST", 201, &[("location", "/pages/2?utm=x#top"), ("content-location", "/pages/3")], &[1, 2, 3]),
        ("POST", 302, &[("location", "http://WWW.example.com:80/pages/2")], &[1, 2]),
        ("POST", 201, &[("location", "2")], &[1, 2]),
        ("POST", 201, &[("location", "../pages/2")], &[1, 2]),
        ("POST", 201, &[("location", "//www.example.com/pages/2")], &[1, 2]),
        ("POST", 303, &[("location", "http://evil.example/pages/2")], &[1]),
        ("POST", 303, &[("location", "//evil.example/pages/2")], &[1]),
        ("POST", 303, &[("location", "mailto:x")], &[1]),
        ("POST", 303, &[("location", "\\pages\\2")], &[1]),
        ("POST", 400, &[("location", "/pages/2")], &[]),
        ("POST", 422, &[], &[]),
        ("DELETE", 404, &[], &[]),
        ("POST", 500, &[("content-location", "/pages/2")], &[]),
        ("OPTIONS", 200, &[("location", "/pages/2")], &[]),
    ];
    for position in POSITIONS {
        for (method, status, headers, expected) in cases {
            let (isr, page) = (memory(), Page::default());
            let (status, headers) = (*status, *headers);
            let pages = page.handler().fallback_service(answering(move || answer(status, headers)));
            let site = with_pages(position, &isr, pages, Router::new());
            for n in 1..=4 {
                get_with(&site, &format!("/pages/{n}"), &[]).await;
            }
            page.gated(true);
            let case = format!("{position:?} {method} {status} {headers:?}");
            let changed = call(&site, method, "/pages/1").await;
            assert_eq!(changed.status.as_u16(), status, "{case}");
            let mut stale = Vec::new();
            for n in 1..=4 {
                let answer = get_with(&site, &format!("/pages/{n}"), &[]).await;
                assert!(answer.is_hit(), "{case}");
                if answer.detail() == "invalidated" {
                    stale.push(n);
                }
            }
            assert_eq!(stale, *expected, "{case}");
            assert_eq!(cookie_of(&changed).is_some(), !expected.is_empty(), "{case}");
            page.gate().open(100);
        }
    }
}

#[tokio::test]
async fn a_change_of_a_url_covers_its_queries_and_one_with_a_query_its_own() {
    for position in POSITIONS {
        for (target, expected) in [
            ("/pages/1", [true, true, true, false]),
            ("/pages/1?utm=1", [true, true, true, false]),
            ("/pages/1?page=2&utm=1", [false, false, true, false]),
        ] {
            let (isr, page) = (memory(), Page::default());
            let pages = page.handler().fallback_service(answering(|| answer(200, &[])));
            let site = with_pages(position, &isr, pages, Router::new());
            let urls = ["/pages/1", "/pages/1?page=1", "/pages/1?page=2", "/pages/11"];
            for url in urls {
                get_with(&site, url, &[]).await;
            }
            page.gated(true);
            call(&site, "POST", target).await;
            for (url, is_stale) in urls.into_iter().zip(expected) {
                let answer = get_with(&site, url, &[]).await;
                assert_eq!(answer.detail() == "invalidated", is_stale, "{position:?} {target} {url}");
            }
            page.gate().open(100);
        }
    }
}

#[tokio::test]
async fn a_parameter_that_only_another_route_declares_hides_no_page_from_a_change() {
    let isr = memory();
    let layer = || IsrLayer::new(&isr).policy(lasting());
    let paged = IsrLayer::new(&isr).policy(lasting().query(["page"]));
    let site = site(
        Router::new()
            .route("/list", get(|| async { "list" }).layer(paged))
            .route("/plain", get(|| async { "plain" }).post(|| async { "changed" }).layer(layer()))
            .layer(isr.edge()),
    );
    get_with(&site, "/plain?page=2", &[]).await;
    assert!(get_with(&site, "/plain?page=2", &[]).await.is_fresh_hit());
    call(&site, "POST", "/plain?page=2").await;
    assert!(!get_with(&site, "/plain?page=2", &[]).await.is_fresh_hit());
    isr.idle().await;
    assert!(get_with(&site, "/plain?page=2", &[]).await.is_fresh_hit());
    isr.graph().by_url("/plain?page=2", Mode::Soft).await.unwrap();
    assert!(!get_with(&site, "/plain?page=2", &[]).await.is_fresh_hit());
}

#[derive(Clone)]
struct App {
    graph: Graph,
    page: Page,
}

impl FromRef<App> for Graph {
    fn from_ref(app: &App) -> Self {
        app.graph.clone()
    }
}

async fn edit(State(app): State<App>, graph: Graph) -> Result<impl IntoResponse, Error> {
    app.page.commit(2);
    let receipt = graph.revalidate_by_tags([tag("page", 1)]).await?;
    Ok((receipt, Redirect::to("/pages/1")))
}

fn editable(position: Position, isr: &Isr, page: &Page) -> Site {
    let app = App { graph: isr.graph(), page: page.clone() };
    let others = Router::new().route("/edit", post(edit)).with_state(app);
    with_pages(position, isr, page.handler(), others)
}

#[tokio::test]
async fn the_bearer_of_a_receipt_waits_for_the_new_page_and_others_get_the_old_one() {
    for position in POSITIONS {
        let (isr, page) = (memory(), Page::default());
        let site = editable(position, &isr, &page);
        get_with(&site, "/pages/1", &[]).await;
        get_with(&site, "/pages/2", &[]).await;
        page.gated(true);
        let edited = call(&site, "POST", "/edit").await;
        assert_eq!(edited.status, StatusCode::SEE_OTHER);
        assert_eq!(
            edited.header("cache-control").is_empty(),
            position == Position::Around || edited.cache_status().is_empty()
        );
        let cookie = cookie_of(&edited).unwrap();
        let line = edited.header("set-cookie");
        assert!(line.ends_with("; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"), "{line}");
        // Another visitor: the old page, while one render runs.
        let other = get_with(&site, "/pages/1", &[]).await;
        assert_eq!((other.text(), &*other.detail()), ("v1", "invalidated"), "{position:?}");
        page.gate().arrival().await;
        // The author waits for that render, which began after the change; any number of them.
        let mine = || {
            let (site, cookie) = (site.clone(), cookie.clone());
            async move { get_with(&site, "/pages/1", &[("cookie", &cookie)]).await }
        };
        let (first, second) = (begun(mine()).await, begun(mine()).await);
        // What is fresh is not waited for.
        let fresh = get_with(&site, "/pages/2", &[("cookie", &cookie)]).await;
        assert_eq!((fresh.text(), fresh.is_fresh_hit()), ("v1", true), "{position:?}");
        page.gate().open(1);
        for author in [first.await, second.await] {
            assert_eq!(author.text(), "v2", "{position:?}");
            assert!(
                author.cache_status().starts_with("edge-isr;fwd=stale;fwd-status=200;"),
                "{}",
                author.cache_status()
            );
            assert!(author.cache_status().ends_with(";detail=receipt"), "{}", author.cache_status());
        }
        assert!(get_with(&site, "/pages/1", &[("cookie", &cookie)]).await.is_fresh_hit());
        assert_eq!(page.renders(), 3, "{position:?}: two pages, and one once more");
    }
}

#[tokio::test]
async fn a_receipt_is_good_for_a_minute() {
    for position in POSITIONS {
        let story = Story::at(position);
        story.get("/pages/1").await;
        story.page.commit(2);
        story.page.gated(true);
        let receipt = story.invalidate(1, Mode::Soft).await;
        let cookie = receipt.cookie().to_str().unwrap().split(';').next().unwrap().to_owned();
        story.clock.advance(61 * S);
        let late = get_with(&story.site, "/pages/1", &[("cookie", &cookie)]).await;
        assert_eq!((late.text(), &*late.detail()), ("v1", "invalidated"), "{position:?}");
        story.page.gate().open(10);
    }
}

#[tokio::test]
async fn one_receipt_of_the_highest_sequence_leaves() {
    for position in POSITIONS {
        for (has_page, has_twice) in [(true, true), (true, false), (false, true), (false, false)] {
            let (isr, page) = (memory(), Page::default());
            let graph = isr.graph();
            let twice = post(move || async move {
                let old = graph.revalidate_by_tags([tag("a", 1)]).await.unwrap();
                let new = graph.revalidate_by_tags([tag("a", 1)]).await.unwrap();
                // The older one last, which a browser would keep.
                let own = axum::response::AppendHeaders([("set-cookie", "own=1")]);
                if has_twice {
                    (new, old, own, "done").into_response()
                } else {
                    (own, new, "done").into_response()
                }
            });
            let layered =
                has_page.then(|| get(|| async { "a page" }).layer(IsrLayer::new(&isr).policy(lasting())));
            let changes = match layered {
                Some(pages) => twice.merge(pages),
                None => twice,
            };
            let site = with_pages(position, &isr, page.handler(), Router::new().route("/change", changes));
            get_with(&site, "/change", &[]).await;
            let changed = call(&site, "POST", "/change").await;
            let case = format!("{position:?} {has_page} {has_twice}");
            assert!(changed.header("set-cookie").contains("own=1"), "{case}");
            let cookie = cookie_of(&changed).unwrap();
            let owed = isr.owed(cookie.strip_prefix("edge-isr-receipt=").map(str::as_bytes));
            // The handler's are 1 and 2; that of the URL's own invalidation comes after them.
            assert_eq!(owed, if has_page { 3 } else { 2 }, "{case}");
        }
    }
}

#[tokio::test]
async fn a_doorman_around_a_layer_around_a_router_adds_no_second_receipt() {
    let (isr, page) = (memory(), Page::default());
    let around = with_pages(
        Position::Around,
        &isr,
        page.handler().fallback_service(answering(|| answer(200, &[]))),
        Router::new(),
    );
    let site = site(tower::Layer::layer(&isr.edge(), around));
    get_with(&site, "/pages/1", &[]).await;
    let changed = call(&site, "POST", "/pages/1").await;
    assert!(cookie_of(&changed).is_some(), "and only one");
    let latest = isr.graph().revalidate_by_tags([tag("x", 1)]).await.unwrap().seq() - 1;
    let cookie = cookie_of(&changed).unwrap();
    assert_eq!(isr.owed(cookie.strip_prefix("edge-isr-receipt=").map(str::as_bytes)), latest);
}

#[tokio::test]
async fn an_answer_that_something_outside_made_private_is_taken_back() {
    let additions: [(&str, &[(&str, &str)], bool); 6] = [
        ("cookie", &[("set-cookie", "session=1")], true),
        ("private", &[("cache-control", "private")], true),
        ("private among others", &[("cache-control", "public, max-age=9, PRIVATE")], true),
        ("both", &[("set-cookie", "a=b"), ("cache-control", "public, max-age=9")], true),
        ("nothing", &[], false),
        ("another header", &[("x-y", "private")], false),
    ];
    for (name, headers, is_taken_back) in additions {
        let (isr, page) = (memory(), Page::default());
        page.answers(|_| {
            answer(200, &[("cdn-cache-control", "max-age=60"), ("surrogate-control", "max-age=60")])
        });
        let headers: Vec<(String, String)> =
            headers.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        let outer = axum::middleware::map_response(move |mut response: Response| {
            let headers = headers.clone();
            async move {
                for (name, value) in headers {
                    let name = http::HeaderName::try_from(name).unwrap();
                    match name == "set-cookie" {
                        true => drop(response.headers_mut().append(name, value.parse().unwrap())),
                        false => drop(response.headers_mut().insert(name, value.parse().unwrap())),
                    }
                }
                response
            }
        });
        let layer = IsrLayer::new(&isr).policy(lasting());
        let router = Router::new()
            .route("/pages/1", page.handler().layer(layer))
            .route("/bare", get(|| async { ([("cache-control", "public, max-age=9")], "bare") }))
            .layer(outer);
        let site = site(router.layer(isr.edge()));
        for _ in 0..2 {
            for headers in [&[][..], &[("if-none-match", "*")]] {
                let answer = get_with(&site, "/pages/1", headers).await;
                let case = format!("{name}: {:?}", answer.headers);
                assert_eq!(answer.header("cache-control") == "private, no-store", is_taken_back, "{case}");
                assert_eq!(answer.headers.contains_key("cdn-cache-control"), !is_taken_back, "{case}");
                assert_eq!(answer.headers.contains_key("surrogate-control"), !is_taken_back, "{case}");
            }
        }
        // What is not ours stays as it is.
        let bare = get_with(&site, "/bare", &[]).await;
        assert!(bare.header("cache-control") != "private, no-store", "{name}");
        assert_eq!(isr.stats().pages, 1, "{name}: the page itself is fine");
    }
}

#[tokio::test]
async fn switched_off_everything_passes() {
    for position in POSITIONS {
        let (isr, page) = (Isr::builder().disabled().build().unwrap(), Page::default());
        assert!(isr.is_disabled());
        let site = editable(position, &isr, &page);
        let worker = tokio::spawn(isr.worker(site.clone()));
        for _ in 0..2 {
            let answer = get_with(&site, "/pages/1", &[("x-edge-isr-x", "1")]).await;
            assert_eq!((answer.text(), &*answer.cache_status()), ("v1", ""), "{position:?}");
            for name in ["age", "etag", "cache-control"] {
                assert!(!answer.headers.contains_key(name), "{position:?} {name}");
            }
        }
        assert_eq!((page.renders(), isr.stats().pages, isr.stats().renders), (2, 0, 0), "{position:?}");
        assert_eq!(
            call(&site, "POST", "/edit").await.status,
            StatusCode::SEE_OTHER,
            "and applications need no change"
        );
        within(isr.idle()).await;
        isr.shutdown(S).await;
        worker.abort();
    }
}

/// Run twice: here, and by itself in a process whose environment says `EDGE_ISR=off`.
#[tokio::test]
async fn the_environment_switches_it_off() {
    let is_off = std::env::var_os("EDGE_ISR").is_some_and(|value| value == "off");
    let (isr, page) = (memory(), Page::default());
    assert_eq!(isr.is_disabled(), is_off);
    let site = editable(Position::Around, &isr, &page);
    for _ in 0..2 {
        get_with(&site, "/pages/1", &[]).await;
    }
    assert_eq!(page.renders(), if is_off { 2 } else { 1 });
    if is_off {
        return;
    }
    let me = std::env::current_exe().unwrap();
    let run = |value: &str| {
        let arguments = ["--exact", "the_environment_switches_it_off"];
        std::process::Command::new(&me).env("EDGE_ISR", value).args(arguments).output().unwrap()
    };
    let off = run("off");
    let said = String::from_utf8_lossy(&off.stdout);
    assert!(off.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
async fn tenants_have_pages_of_their_own_and_nobodys_request_bypasses() {
    async fn whose(isr: IsrContext) -> String {
        format!("{:?}", isr.tenant())
    }
    for position in POSITIONS {
        let isr = memory();
        let tenant = |parts: &http::request::Parts| {
            parts.headers.get("x-tenant").map(|value| value.to_str().unwrap().to_owned())
        };
        let site = place(position, &isr, "/", lasting().tenant(tenant), Tag::named("home"), get(whose));
        for round in 0..2 {
            for (name, expected) in [("a", "Some(\"a\")"), ("a:b", "Some(\"a:b\")"), ("", "Some(\"\")")] {
                let answer = get_with(&site, "/", &[("x-tenant", name)]).await;
                assert_eq!(
                    (answer.text(), answer.is_fresh_hit()),
                    (expected, round == 1),
                    "{position:?} {name:?}"
                );
            }
            let nobody = get_with(&site, "/", &[]).await;
            assert_eq!((nobody.text(), &*nobody.detail()), ("None", "no-tenant"), "{position:?}");
        }
        assert_eq!((isr.stats().pages, isr.stats().count(Reason::NoTenant)), (3, 2));
    }
}

#[tokio::test]
async fn variants_are_computed_once_and_told_to_the_handler() {
    async fn which(isr: IsrContext, request: Request) -> String {
        format!(
            "{:?} {:?} {:?} {}",
            isr.variant("device"),
            isr.variant("beta"),
            isr.variant("x"),
            request.headers().contains_key("user-agent")
        )
    }
    for position in POSITIONS {
        let isr = memory();
        let policy = lasting()
            .vary(["x-v"])
            .variant("beta", |parts| parts.headers.contains_key("x-beta").then(|| "1".to_owned()))
            .variant("device", |parts| {
                let agent = parts.headers.get("user-agent")?.to_str().ok()?;
                Some(if agent.contains("Mobile") { "phone" } else { "desk" }.to_owned())
            });
        let site = place(position, &isr, "/", policy, (), get(which));
        for (headers, expected) in [
            (&[("user-agent", "A Mobile B")][..], "Some(\"phone\") None None false"),
            (&[("user-agent", "C")], "Some(\"desk\") None None false"),
            (&[("user-agent", "C"), ("x-beta", ""), ("x-v", "9")], "Some(\"desk\") Some(\"1\") None false"),
            (&[], "None None None false"),
        ] {
            assert_eq!(get_with(&site, "/", headers).await.text(), expected, "{position:?}");
        }
        assert!(
            get_with(&site, "/", &[("user-agent", "Another Mobile")]).await.is_fresh_hit(),
            "{position:?}"
        );
        assert_eq!(isr.stats().pages, 4);
    }
}

#[tokio::test]
async fn hosts_beyond_the_bound_are_counted_with_advice() {
    for position in POSITIONS {
        let story = Story::with(position, lasting(), |builder| {
            let mut limits = Limits::default();
            limits.hosts = 2;
            builder.limits(limits)
        });
        let by_host = async |host: &str| {
            let request = Request::get("/pages/1").header("host", HeaderValue::from_str(host).unwrap());
            send(&story.site, request.body(Body::empty()).unwrap()).await
        };
        for host in ["a.example", "b.example"] {
            assert!(by_host(host).await.cache_status().contains(";stored"));
        }
        assert!(story.isr.health().is_good());
        for n in 0..5 {
            let answer = by_host(&format!("x{n}.example")).await;
            assert!(
                answer.cache_status().contains(";stored"),
                "{position:?}: served and stored all the same"
            );
        }
        assert_eq!(story.isr.stats().count(Reason::HostLimit), 5, "{position:?}");
        let notes = story.isr.health().notes;
        let note = notes.iter().find(|note| note.reason == Reason::HostLimit).unwrap();
        assert!(note.advice.contains("origins"), "{note:?}");
    }
}

#[tokio::test]
async fn an_error_is_a_response_of_one_line() {
    let unavailable =
        |queued| Error::Unavailable { backend: "redis", queued, source: "secret://user:pass@host".into() };
    for (error, line) in [
        (unavailable(false), "The page cache can't be reached; please try again."),
        (unavailable(true), "The change is saved; some pages may show it a little later."),
    ] {
        assert_eq!((error.is_transient(), error.is_queued()), (true, line.contains("saved")));
        let response = error.into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(body, line);
    }
    let graph = memory().graph();
    let site = site(Router::new().route(
        "/",
        post(move || async move {
            graph.by_url("not a url\r\nx: y?token=1", Mode::Hard).await.map(|receipt| (receipt, "done"))
        }),
    ));
    let refused = call(&site, "POST", "/").await;
    assert_eq!((refused.status.as_u16(), refused.text()), (503, "The page cache refused the change."));
}

#[tokio::test]
async fn the_words_of_headers_and_counters_are_the_same() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::at(position);
        page.answers(|_| ([("set-cookie", "a=b")], "x").into_response());
        for headers in [&[][..], &[], &[("cookie", "a=b")], &[("authorization", "x")], &[("upgrade", "x")]] {
            let word = get_with(&site, "/pages/1", headers).await.detail();
            assert!(isr.stats().iter().any(|(reason, _)| reason.as_str() == word), "{position:?} {word}");
        }
        assert_eq!((isr.stats().renders, isr.stats().stored, isr.stats().hits()), (2, 0, 0));
        assert_eq!(isr.stats().count(Reason::SetCookie), 2);
        assert_eq!(isr.stats().count(Reason::Pass), 1);
        assert!(isr.health().is_good(), "{position:?}: {:?}", isr.health());
    }
}

#[tokio::test]
async fn after_a_shutdown_hits_are_served_and_the_rest_goes_to_the_handler() {
    for position in POSITIONS {
        let Story { isr, page, site, .. } = Story::at(position);
        get_with(&site, "/pages/1", &[]).await;
        within(isr.shutdown(S)).await;
        assert!(get_with(&site, "/pages/1", &[]).await.is_fresh_hit());
        let passed = get_with(&site, "/pages/2", &[]).await;
        assert_eq!((passed.text(), &*passed.detail()), ("v1", "shutting-down"), "{position:?}");
        assert_eq!((page.renders(), isr.stats().pages), (2, 1));
    }
}

#[tokio::test]
async fn a_get_that_changes_nothing_sets_no_receipt_and_moves_no_sequence() {
    for position in POSITIONS {
        let (isr, page) = (memory(), Page::default());
        let site = editable(position, &isr, &page);
        for method in ["GET", "HEAD", "OPTIONS", "TRACE"] {
            let answer = send(&site, ask("/pages/1").method(method).body(Body::empty()).unwrap()).await;
            assert!(cookie_of(&answer).is_none(), "{position:?} {method}");
        }
        let receipt = isr.graph().revalidate_by_tags([tag("x", 1)]).await.unwrap();
        assert_eq!(receipt.seq(), 1, "{position:?}");
    }
}
