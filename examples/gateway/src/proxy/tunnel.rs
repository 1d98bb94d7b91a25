//! What follows an upgrade: bytes, both ways, that are nobody's business here.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

/// Joins a client and the origin until one of them ends.
pub(super) async fn join(client: OnUpgrade, origin: OnUpgrade) {
    let Ok((client, origin)) = futures_util::future::try_join(client, origin).await else { return };
    let (mut client, mut origin) = (TokioIo::new(client), TokioIo::new(origin));
    // Whoever leaves first ends it for both.
    let _ = tokio::io::copy_bidirectional(&mut client, &mut origin).await;
}
