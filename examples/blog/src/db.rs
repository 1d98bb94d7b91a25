//! The posts in SQLite. The calls block, so they run on tokio's threads for that.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior};

use crate::post::{Category, Draft, Moved, Post};

/// The longest list a page shows.
const LIST_LIMIT: u32 = 100;

const SELECT_POST: &str = "SELECT p.id, p.title, p.body, p.created_at, c.id, c.name \
     FROM posts p JOIN categories c ON c.id = p.category_id";

/// Why the database gave no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DbError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("the database call did not end: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// The database, cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Db {
    /// A std mutex: it is only ever locked on a blocking thread.
    connection: Arc<Mutex<Connection>>,
}

impl Db {
    /// Opens the file; makes it, with its schema and first posts, where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, DbError> {
        let mut connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        // `Immediate` writes, so a file that is read-only is noticed now and not at the first edit.
        let start = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let version: i64 = start.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            start.execute_batch(include_str!("schema.sql"))?;
            start.pragma_update(None, "user_version", 1)?;
        }
        start.commit()?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)) })
    }

    /// The newest posts, newest first.
    pub(crate) async fn posts(&self) -> Result<Vec<Post>, DbError> {
        self.run(|tx| {
            let sql = format!("{SELECT_POST} ORDER BY p.id DESC LIMIT {LIST_LIMIT}");
            tx.prepare_cached(&sql)?.query_map([], read_post)?.collect()
        })
        .await
    }

    /// A category with its newest posts, newest first.
    pub(crate) async fn category(&self, id: i64) -> Result<Option<(Category, Vec<Post>)>, DbError> {
        self.run(move |tx| {
            let found = tx
                .query_row("SELECT id, name FROM categories WHERE id = ?", [id], read_category)
                .optional()?;
            let Some(category) = found else { return Ok(None) };
            let sql = format!("{SELECT_POST} WHERE c.id = ? ORDER BY p.id DESC LIMIT {LIST_LIMIT}");
            let posts = tx.prepare_cached(&sql)?.query_map([id], read_post)?.collect::<Result<_, _>>()?;
            Ok(Some((category, posts)))
        })
        .await
    }

    pub(crate) async fn categories(&self) -> Result<Vec<Category>, DbError> {
        self.run(|tx| {
            tx.prepare_cached("SELECT id, name FROM categories ORDER BY id")?
                .query_map([], read_category)?
                .collect()
        })
        .await
    }

    pub(crate) async fn post(&self, id: i64) -> Result<Option<Post>, DbError> {
        self.run(move |tx| tx.query_row(&format!("{SELECT_POST} WHERE p.id = ?"), [id], read_post).optional())
            .await
    }

    /// Adds a post and returns its id. It is committed when this returns, as with every write here.
    pub(crate) async fn create(&self, draft: Draft) -> Result<i64, DbError> {
        self.run(move |tx| {
            let Draft { title, body, category_id } = draft;
            tx.execute(
                "INSERT INTO posts (title, body, category_id) VALUES (?, ?, ?)",
                (title, body, category_id),
            )?;
            Ok(tx.last_insert_rowid())
        })
        .await
    }

    /// Changes a post. `None` where there is no such post.
    pub(crate) async fn update(&self, id: i64, draft: Draft) -> Result<Option<Moved>, DbError> {
        self.run(move |tx| {
            let Draft { title, body, category_id } = draft;
            let Some(from) = category_of(tx, id)? else { return Ok(None) };
            tx.execute(
                "UPDATE posts SET title = ?, body = ?, category_id = ? WHERE id = ?",
                (title, body, category_id, id),
            )?;
            Ok(Some(Moved { from, to: category_id }))
        })
        .await
    }

    /// Deletes a post and returns the category it was in. `None` where there is no such post.
    pub(crate) async fn delete(&self, id: i64) -> Result<Option<i64>, DbError> {
        self.run(move |tx| {
            let Some(category_id) = category_of(tx, id)? else { return Ok(None) };
            tx.execute("DELETE FROM posts WHERE id = ?", [id])?;
            Ok(Some(category_id))
        })
        .await
    }

    /// Runs `work` in one transaction on a blocking thread and commits it.
    async fn run<T, F>(&self, work: F) -> Result<T, DbError>
    where
        T: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> rusqlite::Result<T> + Send + 'static,
    {
        let connection = Arc::clone(&self.connection);
        tokio::task::spawn_blocking(move || {
            // A panic in `work` rolled its transaction back, so the connection is as good as before.
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let tx = connection.transaction()?;
            let value = work(&tx)?;
            tx.commit()?;
            Ok(value)
        })
        .await?
    }
}

fn category_of(tx: &Transaction<'_>, post_id: i64) -> rusqlite::Result<Option<i64>> {
    tx.query_row("SELECT category_id FROM posts WHERE id = ?", [post_id], |row| row.get(0)).optional()
}

fn read_post(row: &Row<'_>) -> rusqlite::Result<Post> {
    let category = Category { id: row.get(4)?, name: row.get(5)? };
    Ok(Post { id: row.get(0)?, title: row.get(1)?, body: row.get(2)?, created_at: row.get(3)?, category })
}

fn read_category(row: &Row<'_>) -> rusqlite::Result<Category> {
    Ok(Category { id: row.get(0)?, name: row.get(1)? })
}

#[cfg(test)]
#[path = "db_tests.rs"]
pub(crate) mod tests;
