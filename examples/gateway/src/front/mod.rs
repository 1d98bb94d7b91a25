//! The way in: connections of clients, and what is refused before a cache sees it.
