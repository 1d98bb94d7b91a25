//! edge-isr in front of any HTTP origin: a caching reverse proxy in one binary.
//!
//! | module | what is in it |
//! |---|---|
//! | `config` | the file, the environment and the flags → one [`Config`](config::Config) |
//! | `front` | the way in: connections of clients, and what is refused before a cache sees it |
//! | `proxy` | the way to the origin |
//! | `admin` | the listener for those who run it |
//! | `log` | what is written down |
//! | `keep_alive` | sockets whose other side may vanish |
//! | [`Gateway`] | all of it, put together |

pub mod admin;
pub mod config;
pub mod front;
mod gateway;
mod keep_alive;
pub mod log;
pub mod proxy;

pub use gateway::{Gateway, StartError};
