//! What requests say of codings.

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};

use super::{lines, trim};
use crate::model::coding::{Accepts, Coding};

/// Each line of the input is the value of an `Accept-Encoding`. What is taken must follow from the grammar of RFC 9110
/// §12.5.3, in the order of the qualities, and what is malformed says nothing.
///
/// # Panics
///
/// When it does not.
pub fn codings(input: &[u8]) {
    let values: Vec<&[u8]> = lines(input).take(8).map(trim).collect();
    let mut headers = HeaderMap::new();
    for value in &values {
        let Ok(value) = HeaderValue::from_bytes(value) else { return };
        headers.append(ACCEPT_ENCODING, value);
    }
    let accepts = Accepts::of_request(&headers);
    if let [value] = &*values {
        assert_eq!(Accepts::of(value), accepts, "{headers:?}: read in another way it says something else");
    }
    let stated: Vec<(Vec<u8>, u32)> = values.iter().flat_map(|value| members(value)).collect();
    let says = |names: &[&[u8]]| {
        stated.iter().find(|(name, _)| names.contains(&&**name)).map(|(_, quality)| *quality)
    };
    let others = says(&[b"*"]);
    let identity = says(&[b"identity"]).or(others).unwrap_or(0);
    let quality = |coding: Coding| {
        let own = match coding {
            Coding::Gzip => says(&[b"gzip", b"x-gzip"]),
            other => says(&[other.as_str().as_bytes()]),
        };
        own.or(others).unwrap_or(0)
    };
    let mut expected: Vec<Coding> = Coding::ALL
        .into_iter()
        .filter(|coding| quality(*coding) > 0 && quality(*coding) >= identity)
        .collect();
    expected.sort_by_key(|coding| (u32::MAX - quality(*coding), *coding));
    assert_eq!(accepts.iter().collect::<Vec<_>>(), expected, "{headers:?}");
}

/// Names in lower case and qualities in thousandths, of the members that are well formed.
fn members(value: &[u8]) -> Vec<(Vec<u8>, u32)> {
    let mut members = Vec::new();
    for member in value.split(|byte| *byte == b',') {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let quality = match parts.collect::<Vec<_>>()[..] {
            [] => Some(1000),
            [weight] => quality(weight),
            _ => None,
        };
        members.extend(quality.map(|quality| (name, quality)));
    }
    members
}

/// `q=` and a number from 0 to 1 with at most three digits behind the point.
fn quality(weight: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(weight).ok()?.to_ascii_lowercase();
    let number = text.strip_prefix("q=")?;
    let (whole, digits) = number.split_once('.').unwrap_or((number, ""));
    let is_number = digits.len() <= 3 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let thousandths: u32 = format!("{digits:0<3}").parse().ok().filter(|_| is_number)?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}
