//! Just enough JSON to read what cargo prints; not a validator.

use std::iter::Peekable;
use std::str::Chars;

/// A value. Numbers, `true`, `false` and `null` are nothing we ask for: they are read and forgotten.
#[derive(Debug, PartialEq)]
pub(crate) enum Json {
    Other,
    Text(String),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

impl Json {
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        entries.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    pub(crate) fn keys(&self) -> Option<impl Iterator<Item = &str>> {
        let Self::Map(entries) = self else { return None };
        Some(entries.iter().map(|(name, _)| name.as_str()))
    }

    pub(crate) fn items(&self) -> Option<&[Self]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Reads one value; `None` when it isn't one or something follows it.
pub(crate) fn parse(text: &str) -> Option<Json> {
    let mut reader = Reader(text.chars().peekable());
    let value = reader.value()?;
    reader.peek().is_none().then_some(value)
}

struct Reader<'a>(Peekable<Chars<'a>>);

impl Reader<'_> {
    /// The next character that isn't white space.
    fn peek(&mut self) -> Option<char> {
        while self.0.next_if(char::is_ascii_whitespace).is_some() {}
        self.0.peek().copied()
    }

    fn accept(&mut self, wanted: char) -> Option<()> {
        (self.peek()? == wanted).then(|| self.0.next()).map(|_| ())
    }

    fn value(&mut self) -> Option<Json> {
        match self.peek()? {
            '{' => self.sequence('{', '}', Self::entry).map(Json::Map),
            '[' => self.sequence('[', ']', Self::value).map(Json::List),
            '"' => self.string().map(Json::Text),
            _ => self.other(),
        }
    }

    fn sequence<T>(&mut self, open: char, close: char, item: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        self.accept(open)?;
        let mut items = Vec::new();
        if self.accept(close).is_some() {
            return Some(items);
        }
        loop {
            items.push(item(self)?);
            if self.accept(',').is_none() {
                return self.accept(close).map(|()| items);
            }
        }
    }

    fn entry(&mut self) -> Option<(String, Json)> {
        self.peek();
        let key = self.string()?;
        self.accept(':')?;
        Some((key, self.value()?))
    }

    fn string(&mut self) -> Option<String> {
        self.accept('"')?;
        let mut text = String::new();
        loop {
            match self.0.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                plain => text.push(plain),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        Some(match self.0.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let digits: String = self.0.by_ref().take(4).collect();
                // Half of a surrogate pair stands for nothing by itself; nothing we look for has one.
                char::from_u32(u32::from_str_radix(&digits, 16).ok()?).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            itself => itself,
        })
    }

    fn other(&mut self) -> Option<Json> {
        let mut length = 0;
        while self.0.next_if(|c| c.is_ascii_alphanumeric() || "+-.".contains(*c)).is_some() {
            length += 1;
        }
        (length > 0).then_some(Json::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_nest() {
        let json = parse(r#" { "a" : [ null , -1.5e3, "x" ], "b": {}, "c": [] } "#).expect("well-formed");
        assert_eq!(json.get("a").and_then(Json::items).map(<[_]>::len), Some(3));
        assert_eq!(json.get("a").and_then(|a| a.items()?[2].text()), Some("x"));
        assert_eq!(json.keys().map(Iterator::collect::<Vec<_>>), Some(vec!["a", "b", "c"]));
        assert_eq!(json.get("c"), Some(&Json::List(Vec::new())));
        assert_eq!(json.get("d"), None);
    }

    #[test]
    fn escapes_are_read() {
        let json = parse(r#""a\"\\\/\n\u00e9""#);
        assert_eq!(json, Some(Json::Text("a\"\\/\n\u{e9}".to_owned())));
    }

    #[test]
    fn broken_text_is_refused() {
        for text in ["", "[1", "[1 2]", "{\"a\"}", "\"open", "{} {}", "[,]", "\"\\u12\""] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
