//! A JSON object as the list of its fields, so that one that stands there twice is seen.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::answer::Refusal;

/// The most fields of an object: more than there are, so that a slip among them can be named.
const MOST_FIELDS: usize = 16;

/// The fields in their order.
pub(super) struct Fields(Vec<(String, Value)>);

impl Fields {
    /// Reads an object, each field of which is there once.
    pub(super) fn read(bytes: &[u8]) -> Result<Vec<(String, Value)>, Refusal> {
        let Self(fields) = serde_json::from_slice(bytes)
            .map_err(|error| Refusal::field("body", format!("must be a JSON object: {error}")))?;
        for (n, (name, _)) in fields.iter().enumerate() {
            if fields[..n].iter().any(|(other, _)| other == name) {
                return Err(Refusal::field(name, "is there twice"));
            }
        }
        Ok(fields)
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Fields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Fields, M::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    if fields.len() >= MOST_FIELDS {
                        return Err(M::Error::custom(format_args!("it has more than {MOST_FIELDS} fields")));
                    }
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
