//! The database on real files.

use std::path::PathBuf;

use super::*;

/// A directory of its own for each test, removed at its end.
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn new(test: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("blog-{}-{test}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.join("blog.db")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        _ = std::fs::remove_dir_all(&self.0);
    }
}

fn draft(title: &str, category_id: i64) -> Draft {
    Draft { title: title.to_owned(), body: "text".to_owned(), category_id }
}

fn ids(posts: &[Post]) -> Vec<i64> {
    posts.iter().map(|post| post.id).collect()
}

#[tokio::test]
async fn the_first_start_fills_the_blog() {
    let scratch = Scratch::new("first-start");
    let db = Db::open(&scratch.file()).unwrap();
    assert_eq!(ids(&db.posts().await.unwrap()), [5, 4, 3, 2, 1]);
    assert_eq!(db.categories().await.unwrap().iter().map(|c| c.id).collect::<Vec<_>>(), [1, 2, 3]);
    for id in 1..=3 {
        let (category, posts) = db.category(id).await.unwrap().unwrap();
        assert_eq!(category.id, id);
        assert!(!posts.is_empty());
    }
    assert!(db.category(4).await.unwrap().is_none());
}

#[tokio::test]
async fn a_second_start_keeps_what_is_there() {
    let scratch = Scratch::new("second-start");
    let db = Db::open(&scratch.file()).unwrap();
    db.delete(5).await.unwrap();
    drop(db);
    let db = Db::open(&scratch.file()).unwrap();
    assert_eq!(ids(&db.posts().await.unwrap()), [4, 3, 2, 1]);
}

#[tokio::test]
async fn a_new_post_is_first_and_can_be_read() {
    let scratch = Scratch::new("create");
    let db = Db::open(&scratch.file()).unwrap();
    let id = db.create(draft("new", 3)).await.unwrap();
    assert_eq!(id, 6);
    assert_eq!(db.posts().await.unwrap()[0].title, "new");
    assert_eq!(db.post(id).await.unwrap().unwrap().category.id, 3);
}

#[tokio::test]
async fn an_edit_tells_where_the_post_was() {
    let scratch = Scratch::new("update");
    let db = Db::open(&scratch.file()).unwrap();
    assert_eq!(db.update(1, draft("a", 2)).await.unwrap(), Some(Moved { from: 1, to: 2 }));
    assert_eq!(db.update(1, draft("b", 2)).await.unwrap(), Some(Moved { from: 2, to: 2 }));
    assert_eq!(db.post(1).await.unwrap().unwrap().title, "b");
    assert_eq!(db.update(99, draft("c", 2)).await.unwrap(), None);
}

#[tokio::test]
async fn the_id_of_a_deleted_post_is_not_used_again() {
    let scratch = Scratch::new("delete");
    let db = Db::open(&scratch.file()).unwrap();
    assert_eq!(db.delete(5).await.unwrap(), Some(3));
    assert_eq!(db.delete(5).await.unwrap(), None);
    assert!(db.post(5).await.unwrap().is_none());
    assert_eq!(db.create(draft("next", 1)).await.unwrap(), 6);
}

#[test]
fn a_file_that_cannot_be_used_is_an_error() {
    let scratch = Scratch::new("unusable");
    assert!(Db::open(&scratch.file().join("below/a/file")).is_err());
    std::fs::write(scratch.file(), "this is not a database, it is a longer text").unwrap();
    assert!(Db::open(&scratch.file()).is_err());
}
