//! What is read from where, which of two wins, and what is said of each slip.

use std::ffi::OsString;
use std::path::PathBuf;

use edge_isr_core::Isr;
use edge_isr_core::model::origin::{Obeys, OriginCookies};
use edge_isr_core::model::policy::Query;

use super::*;

/// The sample that is shipped with the gateway.
const SAMPLE: &str = include_str!("../../gateway.toml");

/// The page of those who run it.
const PAGE: &str = include_str!("../../../../docs/gateway.md");

/// A file of its own for each test that needs one, gone when it ends.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = std::env::temp_dir().join(format!("gateway-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn name(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn asked(flags: &[&str], variables: &[(&str, &str)]) -> Result<Asked, BadConfig> {
    let flags = std::iter::once(&"gateway").chain(flags).map(OsString::from);
    read(flags, variables.iter().map(|(name, value)| ((*name).into(), (*value).into())))
}

fn config(flags: &[&str], variables: &[(&str, &str)]) -> Config {
    match asked(flags, variables) {
        Ok(Asked::Serve(config, _)) => *config,
        other => panic!("{other:?}"),
    }
}

fn refused(flags: &[&str], variables: &[(&str, &str)]) -> String {
    asked(flags, variables).unwrap_err().to_string()
}

fn of_file(text: &str) -> Result<Config, BadConfig> {
    let mut draft = Draft { origin: Some(Uri::from_static("http://127.0.0.1:8000")), ..Draft::default() };
    draft.read_file("gateway.toml", text)?;
    draft.finish()
}

#[test]
fn the_sample_says_the_defaults() {
    let mut read = Draft::default();
    read.read_file("gateway.toml", SAMPLE).unwrap();
    let read = Draft { routes: Vec::new(), places: Default::default(), ..read };
    let origin = Some(Uri::from_static("http://127.0.0.1:8000"));
    assert_eq!(format!("{read:?}"), format!("{:?}", Draft { origin, ..Draft::default() }));
    // What it only shows, behind a `#`, is good, too.
    let shown: String =
        SAMPLE.lines().map(|line| line.strip_prefix("#: ").unwrap_or(line).to_owned() + "\n").collect();
    let mut draft = Draft { token: Some(Token::new("t").unwrap()), ..Draft::default() };
    draft.read_file("gateway.toml", &shown).unwrap();
    let config = draft.finish().unwrap();
    assert_eq!(config.admin.unwrap().listen, "127.0.0.1:8081".parse().unwrap());
    assert_eq!(config.origins, ["www.example.com"]);
    let [posts] = &*config.routes else { panic!("{:?}", config.routes) };
    assert_eq!((&*posts.path, posts.is_policy()), ("/posts/{id}", true));
    assert_eq!(posts.s_maxage, Some(Duration::from_secs(300)));
    assert_eq!(posts.stale_while_revalidate, Some(Duration::from_secs(3600)));
    assert_eq!(
        (&posts.tags, &posts.vary),
        (&vec!["post:{id}".to_owned()], &vec!["accept-language".to_owned()])
    );
    assert_eq!(
        (&posts.query, posts.cookies.clone()),
        (&Some(vec!["page".to_owned()]), Some(Cookies::Ignore))
    );
    // Every key stands in it.
    for key in keys::KEYS {
        let name = key.name.rsplit('.').next().unwrap();
        assert!(shown.lines().any(|line| line.starts_with(&format!("{name} = "))), "{}", key.name);
    }
}

#[test]
fn the_page_of_those_who_run_it_names_every_key_with_its_default() {
    let row = |name: &str| {
        let start = format!("| `{name}` |");
        PAGE.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no row of {name}"))
    };
    let mut table = "";
    for line in SAMPLE.lines() {
        if let Some(name) = line.strip_prefix('[') {
            table = name.split(']').next().unwrap();
        }
        let Some((name, value)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) else { continue };
        let name = if table.is_empty() { name.to_owned() } else { format!("{table}.{name}") };
        let bare = |text: &str| text.replace(['"', '`', '[', ']'], "").trim().to_owned();
        let told = bare(row(&name).split(" |").next().unwrap());
        let set = bare(value.split('#').next().unwrap());
        // What must be set has no default.
        assert!(
            told == set || name == "origin" && told.is_empty(),
            "{name}: {told} on the page, {set} in the file"
        );
    }
    keys::KEYS.iter().for_each(|key| _ = row(key.name));
    let route = ["path", "s_maxage", "stale_while_revalidate", "tags", "query", "cookies", "vary"];
    route.iter().for_each(|key| _ = row(key));
    for flag in ["--listen", "--origin", "--admin", "--config", "--log", "--check"] {
        assert!(PAGE.contains(&format!("| `{flag}")), "no row of {flag}");
    }
}

#[test]
fn flags_beat_variables_which_beat_the_file() {
    let file = Scratch::new("layers", "listen = \"127.0.0.1:1001\"\norigin = \"http://file\"\n");
    let variables = [("EDGE_ISR_LISTEN", "127.0.0.1:1002"), ("EDGE_ISR_CONFIG", file.name())];
    assert_eq!(config(&[], &variables[1..]).listen.port(), 1001);
    assert_eq!(config(&[], &variables).listen.port(), 1002);
    let all = config(&["--listen", "127.0.0.1:1003"], &variables);
    assert_eq!((all.listen.port(), all.origin.host()), (1003, Some("file")));
    assert_eq!(config(&["--config", file.name(), "--origin=http://flag"], &[]).origin.host(), Some("flag"));
    // Neither is the file that the flag beats so much as opened.
    let nowhere = [("EDGE_ISR_CONFIG", "/nowhere/at/all")];
    assert_eq!(config(&["--config", file.name()], &nowhere).listen.port(), 1001);
}

#[test]
fn an_address_may_be_a_name_of_this_machine() {
    for (text, address) in [("localhost:8080", "127.0.0.1:8080"), ("[::1]:80", "[::1]:80")] {
        let config = config(&["--origin", "http://a", "--listen", text], &[]);
        assert_eq!(config.listen, address.parse().unwrap());
    }
}

#[test]
fn every_key_has_a_variable() {
    let values = |name: &str| match name {
        "listen" | "admin.listen" => "127.0.0.1:1",
        "origin" => "http://variable",
        "origins" => "a.example, https://b.example",
        "tag_headers" => "x-tags",
        "cache.max_bytes" => "10000000",
        "cache.compress" | "http.heuristics" => "false",
        "pass_tag_headers" => "true",
        "http.cookies" => "rfc",
        "http.set_cookie" => "store",
        "http.request_directives" => "honor",
        name if name.ends_with("timeout") => "1m 1s",
        _ => "10000",
    };
    let token = ("EDGE_ISR_ADMIN_TOKEN".to_owned(), "t");
    let variables: Vec<_> =
        keys::KEYS.iter().map(|key| (key.variable(), values(key.name))).chain([token]).collect();
    let variables: Vec<_> = variables.iter().map(|(name, value)| (&**name, *value)).collect();
    assert!(variables.iter().any(|(name, _)| *name == "EDGE_ISR_CACHE__MAX_BYTES"));
    let read = config(&[], &variables);
    assert_eq!((read.listen.port(), read.origin.host()), (1, Some("variable")));
    assert_eq!(read.origins, ["a.example", "https://b.example"]);
    assert_eq!((read.tag_headers, read.pass_tag_headers), (vec![HeaderName::from_static("x-tags")], true));
    assert_eq!(read.cache, Cache { max_bytes: 10_000_000, max_body_bytes: 10_000, compress: false });
    let http = Http {
        cookies: Cookies::Rfc,
        set_cookie: SetCookie::Store,
        request_directives: RequestDirectives::Honor,
        heuristics: false,
    };
    assert_eq!(read.http, http);
    let time = Duration::from_secs(61);
    let limits = Limits {
        head_bytes: 10_000,
        request_body_bytes: 10_000,
        header_timeout: time,
        origin_connect_timeout: time,
        origin_timeout: time,
    };
    assert_eq!(read.limits, limits);
    assert_eq!(read.admin.unwrap().listen.port(), 1);
}

/// A slip, and what is said of it.
const SLIPS: &[(&str, &str)] = &[
    ("\n[cache]\nmax_byte = 5", "gateway.toml:3: unknown key cache.max_byte; did you mean cache.max_bytes"),
    ("max_bytes = 5", "gateway.toml:1: unknown key max_bytes; did you mean cache.max_bytes"),
    ("[caches]\nmax_bytes = 5", "gateway.toml:1: unknown key caches; did you mean cache"),
    ("[cache]\ncompress = true\n[telemetry]", "gateway.toml:3: unknown key telemetry"),
    ("cache = 5", "gateway.toml:1: cache must be a table, not a number"),
    ("[listen]", "gateway.toml:1: listen must be a text in quotes, not a table"),
    (
        "listen = \"127.0.0.1\"",
        "gateway.toml:1: listen must be an address and a port, such as 127.0.0.1:8080, not `127.0.0.1`",
    ),
    (
        "origin = \"127.0.0.1:8000\"",
        "gateway.toml:1: origin must be a URL such as http://127.0.0.1:8000, not `127.0.0.1:8000`: it must begin with http://",
    ),
    (
        "origin = \"https://a\"",
        "gateway.toml:1: origin must be a URL such as http://127.0.0.1:8000, not `https://a`: the way to the origin is http; it must begin with http://",
    ),
    (
        "origin = \"http://a/b\"",
        "gateway.toml:1: origin must be a URL such as http://127.0.0.1:8000, not `http://a/b`: it must end after the host and port: paths are the clients'",
    ),
    (
        "origin = \"http://a:99999\"",
        "gateway.toml:1: origin must be a URL such as http://127.0.0.1:8000, not `http://a:99999`: its host or port can't be read",
    ),
    (
        "origins = \"a\"",
        "gateway.toml:1: origins must be a list of texts, such as [\"a\", \"b\"], not a text",
    ),
    ("origins = [\n\"a\",\n\"A\",\n]", "gateway.toml:3: origins holds `A` twice"),
    ("origins = [\n\"a\",\n5]", "gateway.toml:3: origins must hold texts in quotes, not a number"),
    (
        "origins = [\"a b\"]",
        "gateway.toml:1: origins can't hold `a b`: write a host, such as www.example.com",
    ),
    (
        "tag_headers = [\"a b\"]",
        "gateway.toml:1: tag_headers can't hold `a b`: it is not the name of a header",
    ),
    (
        "tag_headers = [\"surrogate-key\",\n\"Set-Cookie\"]",
        "gateway.toml:2: tag_headers can't hold `Set-Cookie`: that header means something else",
    ),
    (
        "tag_headers = [\"content-language\"]",
        "gateway.toml:1: tag_headers can't hold `content-language`: that header means something else",
    ),
    (
        "tag_headers = [\"connection\"]",
        "gateway.toml:1: tag_headers can't hold `connection`: that header means something else",
    ),
    ("pass_tag_headers = 1", "gateway.toml:1: pass_tag_headers must be true or false, not a number"),
    ("cache.max_bytes = 1", "gateway.toml:1: cache.max_bytes must be at least 1048576, not 1"),
    ("cache.max_bytes = -1", "gateway.toml:1: cache.max_bytes must be at least 1048576, not -1"),
    (
        "cache.max_bytes = 1.5",
        "gateway.toml:1: cache.max_bytes must be a whole number, not a number with a point",
    ),
    (
        "limits.head_bytes = 1",
        "gateway.toml:1: limits.head_bytes must be at least 8192 and at most 1048576, not 1",
    ),
    (
        "http.cookies = \"all\"",
        "gateway.toml:1: http.cookies must be \"explicit\" or \"ignore\" or \"rfc\", not `all`",
    ),
    (
        "limits.header_timeout = 10",
        "gateway.toml:1: limits.header_timeout needs a unit and quotes, such as \"5m\", \"10s\" or \"500ms\"",
    ),
    (
        "limits.header_timeout = \"ten\"",
        "gateway.toml:1: limits.header_timeout must be a time such as \"5m\", \"10s\" or \"500ms\", not `ten`",
    ),
    (
        "limits.header_timeout = \"0s\"",
        "gateway.toml:1: limits.header_timeout must be more than zero and at most an hour",
    ),
    (
        "limits.header_timeout = \"61m\"",
        "gateway.toml:1: limits.header_timeout must be more than zero and at most an hour",
    ),
    (
        "limits.header_timeout = \"-5s\"",
        "gateway.toml:1: limits.header_timeout must be a time such as \"5m\", \"10s\" or \"500ms\", not `-5s`",
    ),
    (
        "[admin]\n\nlisten = \"127.0.0.1:1\"",
        "gateway.toml:3: admin.listen needs a token: set EDGE_ISR_ADMIN_TOKEN, or EDGE_ISR_ADMIN_TOKEN_FILE to the name of a file that holds it",
    ),
    // The first of two.
    ("listen = 5\nbad = 5", "gateway.toml:1: listen must be a text in quotes, not a number"),
    ("bad = 5\nalso = 5", "gateway.toml:1: unknown key bad"),
];

#[test]
fn b17_a_slip_in_the_file_is_told_with_its_line() {
    for (text, told) in SLIPS {
        assert_eq!(of_file(text).unwrap_err().to_string(), *told, "{text}");
    }
}

/// What is bounded here is bounded where it is used, too, under names that nobody knows here.
#[test]
fn b17_settings_at_their_bounds_can_begin() {
    let least = "cache.max_bytes = 1048576\ncache.max_body_bytes = 1\nlimits.head_bytes = 8192\n\
        limits.header_timeout = \"1ns\"\nlimits.origin_connect_timeout = \"1ns\"\nlimits.origin_timeout = \"1ns\"";
    let most = "cache.max_bytes = 9223372036854775807\ncache.max_body_bytes = 1073741824\n\
        limits.head_bytes = 1048576\nlimits.header_timeout = \"1h\"\n\
        limits.origin_connect_timeout = \"1h\"\nlimits.origin_timeout = \"1h\"\n\
        [[route]]\npath = \"/a\"\ns_maxage = \"2147483647s\"\nstale_while_revalidate = \"2147483647s\"";
    for text in [least, most] {
        crate::Gateway::check(&of_file(text).unwrap()).unwrap();
    }
    for key in ["header_timeout", "origin_connect_timeout", "origin_timeout"] {
        for time in ["24h", "3601s", "0s"] {
            let told = of_file(&format!("[limits]\n{key} = \"{time}\"")).unwrap_err().to_string();
            let bound = "must be more than zero and at most an hour";
            assert_eq!(told, format!("gateway.toml:2: limits.{key} {bound}"));
        }
    }
    let mut config = Config::new("127.0.0.1:0".parse().unwrap(), Uri::from_static("http://127.0.0.1:1"));
    config.limits.origin_timeout = Duration::from_secs(25 * 3600);
    assert!(crate::Gateway::check(&config).is_err(), "what nobody read is checked all the same");
}

/// The same in routes.
const ROUTE_SLIPS: &[(&str, &str)] = &[
    (
        "[[route]]\npath = \"/a\"\nvary = [\"accept\"]",
        "gateway.toml:3: route.vary needs s_maxage: without it the origin's answers say it",
    ),
    (
        "[[route]]\npath = \"/a\"\nstale_while_revalidate = \"1m\"",
        "gateway.toml:3: route.stale_while_revalidate needs s_maxage: without it the origin's answers say it",
    ),
    ("[[route]]\ns_maxage = \"5m\"", "gateway.toml:1: a [[route]] needs a path, such as \"/posts/{id}\""),
    ("[[route]]\npath = \"/a\"\npth = 1", "gateway.toml:3: unknown key route.pth; did you mean route.path"),
    ("[route]\npath = \"/a\"", "gateway.toml:1: routes stand in tables named [[route]], not in a table"),
    ("route = [5]", "gateway.toml:1: a route must be a table, not a number"),
    (
        "[[route]]\npath = \"posts\"",
        "gateway.toml:2: route.path must begin with a slash, as \"/posts/{id}\" does, not `posts`",
    ),
    ("[[route]]\npath = \"/a?b\"", "gateway.toml:2: route.path can't have `?`, which no path has, in `/a?b`"),
    (
        "[[route]]\npath = \"/a\\nb\"",
        "gateway.toml:2: route.path can't have `\\n`, which no path has, in `/a\\nb`",
    ),
    ("[[route]]\npath = \"/a b\"", "gateway.toml:2: route.path can't have ` `, which no path has, in `/a b`"),
    (
        "[[route]]\npath = \"/{x}/b/{x}\"",
        "gateway.toml:2: route.path `/{x}/b/{x}` has two parameters named `x`",
    ),
    (
        "[[route]]\npath = \"/a/{x}\"\n[[route]]\npath = \"/a/{*y}\"",
        "gateway.toml:4: route.path `/a/{*y}` conflicts with `/a/{x}` in line 2",
    ),
    (
        "[[route]]\npath = \"/a\"\ns_maxage = \"1m\"\nvary = [\"*\"]",
        "gateway.toml:4: route.vary can't hold `*`: no two requests would have the same page",
    ),
    (
        "[[route]]\npath = \"/a\"\ns_maxage = \"1m\"\nvary = [\"X-Forwarded-Proto\"]",
        "gateway.toml:4: route.vary can't hold `X-Forwarded-Proto`: the origin is never told what a client says there",
    ),
    (
        "[[route]]\npath = \"/a\"\ns_maxage = \"1m\"\nvary = [\"te\"]",
        "gateway.toml:4: route.vary can't hold `te`: the origin is never told what a client says there",
    ),
    (
        "[[route]]\npath = \"/a\"\nquery = [\"*\"]",
        "gateway.toml:3: route.query can't hold `*`: it is no name; leave query out if all parameters tell pages apart",
    ),
    (
        "[[route]]\npath = \"/{\"",
        "gateway.toml:2: route.path `/{` is no pattern: parameters must be registered with a valid name",
    ),
    (
        "[[route]]\npath = \"/a/{x}\"\n[[route]]\npath = \"/a/{y}\"",
        "gateway.toml:4: route.path `/a/{y}` conflicts with `/a/{x}` in line 2",
    ),
    (
        "[[route]]\npath = \"/a\"\n\n[[route]]\npath = \"/a\"",
        "gateway.toml:5: route.path `/a` conflicts with `/a` in line 2",
    ),
    (
        "[[route]]\npath = \"/a\"\ntags = [\"post:{id}\"]",
        "gateway.toml:3: route.tags can't hold `post:{id}`: the path has no `{id}`",
    ),
    (
        "[[route]]\npath = \"/a\"\ns_maxage = \"0s\"",
        "gateway.toml:3: `route.s_maxage` is 0ns, but must be at least 1 s and at most 2147483647 s; leave it out for none",
    ),
    (
        "[[route]]\npath = \"/a\"\nvary = [\"cookie\"]\ns_maxage = \"1m\"",
        "gateway.toml:3: `route.vary` can't be `cookie`: requests with credentials bypass; use `variant` or `tenant`",
    ),
    (
        "[[route]]\npath = \"/a\"\nquery = [\"a=b\"]",
        "gateway.toml:3: `route.query` can't be `a=b`: write the parameter's name as it stands in the URL",
    ),
    ("[[route]]\npath = \"/a\"\nquery = [\n\"a\",\n\"a\"]", "gateway.toml:5: route.query holds `a` twice"),
    (
        "[[route]]\npath = \"/{{a}}\"\ntags = [\"{a}\"]",
        "gateway.toml:3: route.tags can't hold `{a}`: the path has no `{a}`",
    ),
    (
        "[[route]]\npath = \"/a\"\ns_maxage = \"1m\"\ncookies = \"rfc\"",
        "gateway.toml:4: route.cookies can't be \"rfc\" beside s_maxage: such a page is rendered without cookies; say \"ignore\", or leave s_maxage to the origin",
    ),
];

#[test]
fn b17_a_slip_in_a_route_is_told_with_its_line() {
    for (text, told) in ROUTE_SLIPS {
        assert_eq!(of_file(text).unwrap_err().to_string(), *told, "{text}");
    }
}

#[test]
fn doubled_braces_name_no_parameter() {
    for path in ["/{{a}}/{a}", "/{{a}}/{{a}}"] {
        assert!(of_file(&format!("[[route]]\npath = \"{path}\"")).is_ok(), "{path}");
    }
    assert!(of_file("[[route]]\npath = \"/{{x}}/{a}\"\ntags = [\"t:{a}\"]").is_ok());
}

#[test]
fn patterns_that_differ_in_how_special_they_are_do_not_conflict() {
    let paths = ["/", "/{*rest}", "/posts/{id}", "/posts/new", "/posts/{id}/edit"];
    let text: String = paths.map(|path| format!("[[route]]\npath = \"{path}\"\n")).concat();
    let config = of_file(&text).unwrap();
    assert_eq!(config.routes.iter().map(|route| &*route.path).collect::<Vec<_>>(), paths);
    assert!(config.routes.iter().all(|route| !route.is_policy()));
}

#[test]
fn routes_with_s_maxage_are_policies_and_others_change_the_origins() {
    let text = "http.cookies = \"rfc\"\nhttp.heuristics = false\ntag_headers = [\"x-tags\"]
        [[route]]\npath = \"/policy\"\ns_maxage = \"5m\"\nstale_while_revalidate = \"1h\"\ncookies = \"explicit\"
        [[route]]\npath = \"/plain\"
        [[route]]\npath = \"/named\"\ncookies = \"ignore\"\nquery = [\"b\", \"a\"]";
    let config = of_file(text).unwrap();
    let of_origin = policies::of_origin(&config.http, &config.tag_headers, config.pass_tag_headers);
    let rules = |n: usize| config.routes[n].policy(&of_origin).check().unwrap();
    let policy = rules(0);
    assert!(policy.origin.is_none());
    assert_eq!((policy.lifetime.fresh.as_secs(), policy.lifetime.while_revalidate.as_secs()), (300, 3600));
    assert_eq!(policy.cookies, Cookies::Bypass);
    let obeyed = |n: usize| rules(n).origin.unwrap();
    let (plain, named, rest) = (obeyed(1), obeyed(2), of_origin.check().unwrap().origin.unwrap());
    assert_eq!(plain, rest);
    assert_eq!(&*rest.tag_headers, &[HeaderName::from_static("x-tags")]);
    assert_eq!((rest.cookies, rest.heuristics), (OriginCookies::Rfc, false));
    assert_eq!(named, Obeys { cookies: OriginCookies::Ignore, ..rest }, "what is not named stays");
    assert!(matches!(rules(1).query, Query::Whole));
    assert!(matches!(rules(2).query, Query::Declared(names) if *names == ["a", "b"]));
    let isr = Isr::builder().build().unwrap();
    assert!(config.layer(&isr).build().is_ok());
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    for (text, line) in
        [("a = ", 1), ("\n\nlisten == 5", 3), ("listen = \"a\"\nlisten = \"b\"", 2), ("[cache\n", 1)]
    {
        let told = of_file(text).unwrap_err().to_string();
        assert!(told.starts_with(&format!("gateway.toml:{line}: this is not TOML: ")), "{told}");
        assert!(!told.contains('\n'), "{told}");
    }
}

#[test]
fn files_that_cannot_be_read_are_told_by_name() {
    let nowhere = refused(&["--config", "/nowhere/gateway.toml"], &[]);
    assert_eq!(nowhere, "/nowhere/gateway.toml: can't be read: no such file or directory");
    let folder = refused(&["--config", "/"], &[]);
    assert_eq!(folder, "/: can't be read: is a directory");
    let latin = Scratch::new("latin", b"listen = \"a\"\n# caf\xe9\n");
    assert_eq!(refused(&["--config", latin.name()], &[]), format!("{}:2: this is not UTF-8", latin.name()));
    let long = Scratch::new("long", "#".repeat((1 << 20) + 1));
    assert_eq!(
        refused(&["--config", long.name()], &[]),
        format!("{}: has more than 1048576 bytes", long.name())
    );
}

#[test]
fn b17_a_slip_in_a_variable_or_a_flag_is_told_with_its_name() {
    let good = ("EDGE_ISR_ORIGIN", "http://a");
    for (name, value, told) in [
        (
            "EDGE_ISR_CACHE__MAX_BYTES",
            "12x",
            "EDGE_ISR_CACHE__MAX_BYTES: cache.max_bytes must be a whole number, not `12x`",
        ),
        (
            "EDGE_ISR_CACHE__MAX_BYTES",
            "",
            "EDGE_ISR_CACHE__MAX_BYTES: cache.max_bytes must be a whole number, not ``",
        ),
        ("EDGE_ISR_ORIGINS", "", "EDGE_ISR_ORIGINS: origins names nothing: leave it out for the default"),
        ("EDGE_ISR_ORIGINS", " ,", "EDGE_ISR_ORIGINS: origins names nothing: leave it out for the default"),
        (
            "EDGE_ISR_TAG_HEADERS",
            "",
            "EDGE_ISR_TAG_HEADERS: tag_headers names nothing: leave it out for the default",
        ),
        ("EDGE_ISR_CONFIG", "", "EDGE_ISR_CONFIG: names no file"),
        (
            "EDGE_ISR_CACHE__COMPRESS",
            "yes",
            "EDGE_ISR_CACHE__COMPRESS: cache.compress must be true or false, not `yes`",
        ),
        (
            "EDGE_ISR_CACHE_MAX_BYTES",
            "5",
            "EDGE_ISR_CACHE_MAX_BYTES: unknown variable; did you mean EDGE_ISR_CACHE__MAX_BYTES",
        ),
        (
            "EDGE_ISR_ADMIN__TOKEN",
            "t",
            "EDGE_ISR_ADMIN__TOKEN: unknown variable; did you mean EDGE_ISR_ADMIN_TOKEN",
        ),
        ("EDGE_ISR_ROUTE__0__PATH", "/a", "EDGE_ISR_ROUTE__0__PATH: routes can stand in the file alone"),
        ("EDGE_ISR_TELEMETRY", "on", "EDGE_ISR_TELEMETRY: unknown variable"),
        (
            "EDGE_ISR_LOG",
            "louder",
            "EDGE_ISR_LOG: can't filter by `louder`: write error, warn, info or debug",
        ),
    ] {
        assert_eq!(refused(&[], &[good, (name, value)]), told);
    }
    for (flags, told) in [
        (
            &["--listen", "here"][..],
            "--listen: listen must be an address and a port, such as 127.0.0.1:8080, not `here`",
        ),
        (
            &["--admin", "127.0.0.1:1"],
            "--admin: admin.listen needs a token: set EDGE_ISR_ADMIN_TOKEN, or EDGE_ISR_ADMIN_TOKEN_FILE to the name of a file that holds it",
        ),
        (&["--log", "louder"], "--log: can't filter by `louder`: write error, warn, info or debug"),
        (&["--config", ""], "--config: names no file"),
        (&["--listne", "here"], "unexpected argument '--listne' found (--help lists the flags)"),
        (
            &["--listen"],
            "a value is required for '--listen <HOST:PORT>' but none was supplied (--help lists the flags)",
        ),
    ] {
        assert_eq!(refused(flags, &[good]), told);
    }
    assert!(refused(&[], &[]).starts_with("no origin: say where the site is, with --origin "));
}

#[test]
fn variables_that_others_put_there_are_left_alone() {
    let origin = ("EDGE_ISR_ORIGIN", "http://a");
    // The library's own switch, what orchestrators set for a service of this name, and what is not ours.
    for name in [
        "EDGE_ISR",
        "EDGE_ISR_PORT",
        "EDGE_ISR_PORT_8080_TCP_ADDR",
        "EDGE_ISR_SERVICE_HOST",
        "EDGE_ISR_SERVICE_PORT",
        "EDGE_ISRAEL",
        "LISTEN",
    ] {
        assert_eq!(config(&[], &[origin, (name, "off")]).listen.port(), 8080, "{name}");
    }
}

#[test]
fn p32_secrets_come_from_the_environment_or_a_file_that_it_names() {
    let base = [("EDGE_ISR_ORIGIN", "http://a"), ("EDGE_ISR_ADMIN__LISTEN", "127.0.0.1:1")];
    let with = |name: &'static str, value: &str| {
        let variables: Vec<_> = base.iter().copied().chain([(name, value)]).collect();
        asked(&[], &variables).map(|asked| match asked {
            Asked::Serve(config, _) => config.admin.unwrap().token,
            other => panic!("{other:?}"),
        })
    };
    assert!(with("EDGE_ISR_ADMIN_TOKEN", "hunter2").unwrap().is(b"hunter2"));
    let file = Scratch::new("token", "hunter3\n");
    assert!(with("EDGE_ISR_ADMIN_TOKEN_FILE", file.name()).unwrap().is(b"hunter3"));
    let told = |name, value: &str| with(name, value).unwrap_err().to_string();
    assert_eq!(told("EDGE_ISR_ADMIN_TOKEN", ""), "EDGE_ISR_ADMIN_TOKEN: the token is empty");
    assert_eq!(
        told("EDGE_ISR_ADMIN_TOKEN", "hunter two"),
        "EDGE_ISR_ADMIN_TOKEN: the token must be printable ASCII without spaces"
    );
    let empty = Scratch::new("empty", "\n");
    assert_eq!(
        told("EDGE_ISR_ADMIN_TOKEN_FILE", empty.name()),
        "EDGE_ISR_ADMIN_TOKEN_FILE: the token is empty"
    );
    assert_eq!(
        told("EDGE_ISR_ADMIN_TOKEN_FILE", "/nowhere/token"),
        "EDGE_ISR_ADMIN_TOKEN_FILE: the file `/nowhere/token` can't be read: no such file or directory"
    );
    let both = [base[0], ("EDGE_ISR_ADMIN_TOKEN", "a"), ("EDGE_ISR_ADMIN_TOKEN_FILE", file.name())];
    assert_eq!(
        refused(&[], &both),
        "EDGE_ISR_ADMIN_TOKEN_FILE: EDGE_ISR_ADMIN_TOKEN is set, too: keep one of the two"
    );
}

#[test]
fn p32_a_secret_in_the_file_is_an_error_that_does_not_repeat_it() {
    for (text, line) in [
        ("[admin]\nlisten = \"127.0.0.1:1\"\ntoken = \"hunter2\"", 3),
        ("admin.token = \"hunter2\"", 1),
        ("token = \"hunter2\"", 1),
        ("EDGE_ISR_ADMIN_TOKEN = \"hunter2\"", 1),
        ("origin = \"http://user:hunter2@a\"", 1),
        ("[[route]]\npath = \"/\"\ntoken = \"hunter2\"", 3),
        ("admin.listen = [\"hunter2\"]", 1),
    ] {
        let told = of_file(text).unwrap_err().to_string();
        assert!(told.starts_with(&format!("gateway.toml:{line}: ")), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
    let told = of_file("\nadmin.token = \"hunter2\"").unwrap_err().to_string();
    assert!(told.contains("admin.token is a secret") && told.contains("EDGE_ISR_ADMIN_TOKEN_FILE"), "{told}");
}

#[test]
fn values_are_repeated_on_one_line_and_not_for_ever() {
    let told =
        of_file(&format!("listen = \"a\\n\\u001b[31m{}\"", "b".repeat(5_000))).unwrap_err().to_string();
    assert!(told.len() < 250 && !told.contains(['\n', '\u{1b}']), "{told}");
    let long = "b".repeat(5_000);
    let in_route = |rest: &str| format!("[[route]]\npath = \"/{long}\"\n{rest}");
    for text in [
        in_route(&in_route("")),
        in_route(&format!("tags = [\"a\\n\\u001b:{{{long}}}\"]")),
        in_route("tags = [\"a\\n\\u001b{\"]"),
        in_route(&format!("query = [\"\\n\\u001b{long}\"]")),
        in_route(&format!("s_maxage = \"1m\"\nvary = [\"\\n\\u001b{long}\"]")),
    ] {
        let told = of_file(&text).unwrap_err().to_string();
        assert!(told.len() < 500 && !told.contains(['\n', '\u{1b}']), "{told}");
    }
    let told = refused(&["--config", "/nowhere/a\n\u{1b}[31m"], &[]);
    assert_eq!(told, "/nowhere/a\\n\\u{1b}[31m: can't be read: no such file or directory");
}
