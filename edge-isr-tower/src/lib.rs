//! Incremental Static Regeneration as a tower layer.
//!
//! [`IsrLayer`] stores the pages of a route with their tags, serves them at once, renders stale ones once in
//! the background, and never stores or shares what is for one visitor only. With axum, use `edge-isr-axum`.
//!
//! | file | what is in it |
//! |---|---|
//! | `layer`, `routes`, `path_tag` | what an application says |
//! | `reading` | a request head → its key, or why it bypasses |
//! | `service` | one `match`: fresh, stale, miss, bypass |
//! | `gateway` | what routes do that obey their origin |
//! | `miss`, `visitor`, `render` | leading, following, going alone; the sanitised render in a task of its own |
//! | `context` | what the handler says while it renders |
//! | `edge`, `origin` | the doorman; the worker's way through the application |
#![cfg_attr(docsrs, feature(doc_cfg))]

mod at_once;
mod body;
mod context;
mod edge;
mod facts;
mod future;
mod gateway;
mod inner;
mod layer;
mod miss;
mod origin;
mod path_tag;
mod reading;
mod render;
mod routes;
mod service;
mod visitor;
mod write;

pub use body::{IsrBody, IsrRequestBody};
pub use context::IsrContext;
pub use edge::{Edge, EdgeFuture, EdgeService};
pub use facts::{NoFacts, RouteFacts};
pub use future::ResponseFuture;
pub use layer::{Around, IsrLayer};
pub use origin::{AppOrigin, IsrExt};
pub use path_tag::{PathTag, PathTags, path_tag};
pub use routes::path_params;
pub use service::IsrService;
