//! An answer whose head has come, and whose body is on its way.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HeaderValue};
use http::response;

use super::Isr;
use super::admit::Sealed;
use super::flight::Permit;
use crate::model::page::Page;
use crate::model::policy::Rules;
use crate::model::reason::Reason;

impl Isr {
    /// The page that an answer of a gateway route will be, without its body: to be judged as a page is, and for the
    /// head of those who read along. Nothing is stored; [`admit`](Self::admit) judges the whole once more.
    ///
    /// `len` is the length that the head promises, if it does.
    ///
    /// # Errors
    ///
    /// The reason why the answer is the leader's alone, whatever its body.
    pub fn open(
        &self,
        permit: &Permit,
        rules: &Rules,
        mut parts: response::Parts,
        len: Option<u64>,
        sealed: &Sealed,
    ) -> Result<Arc<Page>, Reason> {
        let obeys = rules.origin.as_ref().ok_or(Reason::Policy)?;
        let promised = len.map(usize::try_from).transpose().map_err(|_| Reason::TooLarge)?;
        let admission = self.may_store(permit, rules, (&parts, promised), sealed)?;
        // Before anybody waits for the body: they may need another variant.
        self.note_varies(&admission.key);
        // Of one that does not say how long it is nothing is known yet but that it may be long enough.
        self.offer_codings(&mut parts.headers, rules, promised.unwrap_or(usize::MAX));
        self.dress_as_origin(&mut parts.headers, obeys, None);
        match len {
            Some(len) => drop(parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(len))),
            None => drop(parts.headers.remove(CONTENT_LENGTH)),
        }
        self.tell_tags(&mut parts.headers, permit.key(), &admission.tags);
        Ok(Arc::new(self.assemble(permit, rules, &admission, &mut parts, None)))
    }
}
