//! A source as a flat list of tokens, each of which knows what it is part of.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// A word, a literal, a bracket, a sign; `::` is one token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
    pub(crate) last_line: usize,
    /// Whether only tests run it.
    pub(crate) is_test: bool,
    /// Whether it exists for tests of users only: behind the feature `testing` or `twins`.
    pub(crate) is_gated: bool,
    /// Whether an assertion checks it.
    pub(crate) is_asserted: bool,
    /// How many `mod … { }` of the file stand around it.
    pub(crate) depth: usize,
}

/// What holds for a stretch of tokens.
#[derive(Debug, Clone, Copy, Default)]
struct Around {
    is_test: bool,
    is_gated: bool,
    is_asserted: bool,
    depth: usize,
}

/// All tokens of a file.
pub(crate) fn of(path: &str, text: &str, is_test: bool) -> Vec<Token> {
    let stream: TokenStream = text.parse().unwrap_or_else(|error| panic!("{path} is no Rust: {error}"));
    let mut all = Vec::new();
    flatten(stream, Around { is_test, ..Around::default() }, &mut all);
    all
}

fn flatten(stream: TokenStream, around: Around, all: &mut Vec<Token>) {
    let trees: Vec<TokenTree> = stream.into_iter().collect();
    // What attributes say of the item that follows.
    let mut item = around;
    let mut angles = 0_i32;
    for (n, tree) in trees.iter().enumerate() {
        let sign = sign(tree);
        match sign {
            Some('#') => {
                item.is_test |= attribute(&trees[n + 1..]).is_some_and(is_for_tests);
                item.is_gated |= attribute(&trees[n + 1..]).is_some_and(is_for_users_tests);
            }
            Some('<') => angles += 1,
            Some('>') if n == 0 || !matches!(self::sign(&trees[n - 1]), Some('-' | '=')) => angles -= 1,
            _ => {}
        }
        match tree {
            TokenTree::Group(group) => flatten_group(group, &trees[..n], item, all),
            _ => push(tree, item, all),
        }
        let ends_with_body = matches!(tree, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        if ends_with_body || sign == Some(';') || sign == Some(',') && angles <= 0 {
            (item, angles) = (around, 0);
        }
    }
}

fn flatten_group(group: &Group, before: &[TokenTree], item: Around, all: &mut Vec<Token>) {
    let (open, close) = match group.delimiter() {
        Delimiter::Brace => ("{", "}"),
        Delimiter::Parenthesis => ("(", ")"),
        Delimiter::Bracket => ("[", "]"),
        Delimiter::None => ("", ""),
    };
    let mut inside = item;
    if let [.., mod_, _] = before
        && mod_.to_string() == "mod"
    {
        inside.depth += 1;
    }
    if let [.., name, bang] = before
        && sign(bang) == Some('!')
    {
        let name = name.to_string();
        inside.is_asserted |= name.starts_with("assert") || name.starts_with("prop_assert");
    }
    let bracket = |text: &str, line| token(text.to_owned(), (line, line), item);
    all.push(bracket(open, group.span_open().start().line));
    flatten(group.stream(), inside, all);
    all.push(bracket(close, group.span_close().start().line));
}

fn push(tree: &TokenTree, item: Around, all: &mut Vec<Token>) {
    let (text, span) = (tree.to_string(), tree.span());
    match all.last_mut() {
        Some(last) if text == ":" && last.text == ":" => last.text.push(':'),
        _ => all.push(token(text, (span.start().line, span.end().line), item)),
    }
}

fn token(text: String, (line, last_line): (usize, usize), item: Around) -> Token {
    let Around { is_test, is_gated, is_asserted, depth } = item;
    Token { text, line, last_line, is_test, is_gated, is_asserted, depth }
}

fn sign(tree: &TokenTree) -> Option<char> {
    match tree {
        TokenTree::Punct(sign) => Some(sign.as_char()),
        _ => None,
    }
}

/// What stands in the brackets of an outer attribute, behind its `#`.
fn attribute(after: &[TokenTree]) -> Option<String> {
    match after.first() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Bracket => {
            Some(group.stream().to_string().split_whitespace().collect())
        }
        _ => None,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed on from an option")]
fn is_for_tests(attribute: String) -> bool {
    attribute == "cfg(test)" || attribute.starts_with("cfg(all(test") || attribute == "test"
}

#[expect(clippy::needless_pass_by_value, reason = "it is handed on from an option")]
fn is_for_users_tests(attribute: String) -> bool {
    ["twins", "testing"].iter().any(|feature| attribute.contains(&format!("feature=\"{feature}\"")))
}

/// Where these tokens stand in this order.
pub(crate) fn find<'a>(tokens: &'a [&'a Token], sought: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
    let matches =
        move |window: &&[&Token]| window.iter().zip(sought).all(|(token, text)| token.text == *text);
    tokens.windows(sought.len()).enumerate().filter(move |(_, window)| matches(window)).map(|(n, _)| n)
}

/// The place of the bracket that closes the one at `open`.
pub(crate) fn closing(tokens: &[&Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (n, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return n;
        }
    }
    tokens.len() - 1
}

/// The text of a plain string literal.
pub(crate) fn string(token: &Token) -> Option<&str> {
    token.text.strip_prefix('"')?.strip_suffix('"')
}

#[test]
fn tokens_know_what_they_are_part_of() {
    let text = r#"
        fn one<A, B>() -> Vec<(A, B)> { two() } // three()
        #[cfg(test)]
        mod tests { #[test] fn four() { assert_eq!(five(), "six"); } }
        struct Seven { #[cfg(feature = "twins")] eight: Map<A, B>, nine: u8 }
        #[cfg(all(test, not(loom)))] fn ten<A, B>(a: A) -> Map<A, B> { eleven() }
        fn twelve() {}
    "#;
    let all = of("a.rs", text, false);
    let of = |name: &str| all.iter().find(|token| token.text == name);
    assert!(of("three").is_none(), "a comment is no token");
    for (name, is_test) in
        [("two", false), ("four", true), ("nine", false), ("eleven", true), ("twelve", false)]
    {
        assert_eq!(of(name).unwrap().is_test, is_test, "{name}");
    }
    let six = of("\"six\"").unwrap();
    assert_eq!((six.is_asserted, six.depth, string(six)), (true, 1, Some("six")));
    assert_eq!((of("B").unwrap().is_gated, of("eight").unwrap().is_gated), (false, true));
    assert!(!of("nine").unwrap().is_gated);
}
