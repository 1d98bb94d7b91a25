//! Interim answers (102, 103) on their way from the origin to the client.

use edge_isr_core::model::storable::strip_hop_by_hop;
use http::header::CONTENT_LENGTH;
use http::{Request, StatusCode};

use super::fields::strip_named;
use crate::front::Visitor;

/// The most bytes of one.
const MAX_HEAD_BYTES: usize = 16 << 10;

/// Has interim answers passed on. hyper's server has no word for them: the wire below it writes them.
pub(super) fn forward<B>(request: &mut Request<B>, visitor: Visitor) {
    hyper::ext::on_informational(request, move |answer| {
        // 100 is for the connection it came on, as is 101.
        if matches!(answer.status(), StatusCode::CONTINUE | StatusCode::SWITCHING_PROTOCOLS) {
            return;
        }
        let mut headers = answer.headers().clone();
        strip_named(&mut headers);
        strip_hop_by_hop(&mut headers);
        // It has no body, whatever it says (RFC 9110 §8.6).
        headers.remove(CONTENT_LENGTH);
        let reason = answer.status().canonical_reason().unwrap_or("Interim");
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", answer.status().as_str()).into_bytes();
        for (name, value) in &headers {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                head.extend_from_slice(part);
            }
        }
        head.extend_from_slice(b"\r\n");
        if head.len() <= MAX_HEAD_BYTES {
            visitor.inform(&head);
        }
    });
}
