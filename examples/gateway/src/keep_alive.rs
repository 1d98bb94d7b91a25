//! Asks the other side of a silent socket whether it is still there.

use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};

/// After how long a silence.
const SILENCE: Duration = Duration::from_secs(60);
/// How often from then on, until the system calls it gone.
const AGAIN: Duration = Duration::from_secs(10);

/// Lets the system find out when whoever is on the other side vanished without a word. What a listener accepts from now
/// on has it from the listener, on the systems that a server runs on.
pub(crate) fn keep_alive<'a>(socket: impl Into<SockRef<'a>>) {
    let asking = TcpKeepalive::new().with_time(SILENCE).with_interval(AGAIN);
    // Without it other bounds end it, later.
    let _ = socket.into().set_tcp_keepalive(&asking);
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_listener_accepts_is_asked() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        keep_alive(&listener);
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert!(SockRef::from(&accepted).keepalive().unwrap());
    }
}
