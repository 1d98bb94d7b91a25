//! The pages as templates. askama escapes whatever people wrote.

use askama::Template;
use axum::{http::StatusCode, response::Html};

use crate::{
    clock,
    error::AppError,
    forms::PostForm,
    post::{Category, Post},
};

/// What a kept page says about itself at its foot.
#[derive(Debug)]
pub(crate) struct Foot {
    /// In UTC, as `Moment::utc` writes it.
    pub(crate) rendered_at: String,
    pub(crate) millis: u128,
    pub(crate) tag: String,
}

impl Foot {
    fn rendered_for_people(&self) -> String {
        self.rendered_at.replace('T', " ").replace('Z', " UTC")
    }
}

#[derive(Debug, Template)]
#[template(path = "front.html")]
pub(crate) struct FrontPage {
    pub(crate) categories: Vec<Category>,
    pub(crate) posts: Vec<Post>,
    pub(crate) foot: Option<Foot>,
}

#[derive(Debug, Template)]
#[template(path = "category.html")]
pub(crate) struct CategoryPage {
    pub(crate) category: Category,
    pub(crate) posts: Vec<Post>,
    pub(crate) foot: Option<Foot>,
}

#[derive(Debug, Template)]
#[template(path = "post.html")]
pub(crate) struct PostPage {
    pub(crate) post: Post,
    pub(crate) foot: Option<Foot>,
}

/// The form for a new post or an old one; with `problems` when it is shown again.
#[derive(Debug, Template)]
#[template(path = "form.html")]
pub(crate) struct FormPage<'a> {
    /// The post being edited; `None` for a new one.
    pub(crate) id: Option<i64>,
    pub(crate) form: &'a PostForm,
    pub(crate) categories: &'a [Category],
    pub(crate) problems: &'a [String],
    pub(crate) foot: Option<Foot>,
}

impl FormPage<'_> {
    fn is_chosen(&self, category: &Category) -> bool {
        self.form.category_id.trim() == category.id.to_string()
    }
}

#[derive(Debug, Template)]
#[template(path = "message.html")]
struct MessagePage<'a> {
    status: StatusCode,
    text: &'a str,
    foot: Option<Foot>,
}

pub(crate) fn html(page: &impl Template) -> Result<Html<String>, AppError> {
    Ok(Html(page.render()?))
}

pub(crate) fn message(status: StatusCode, text: &str, foot: Option<Foot>) -> Result<Html<String>, AppError> {
    html(&MessagePage { status, text, foot })
}

impl Post {
    fn day(&self) -> String {
        clock::day(self.created_at)
    }

    fn paragraphs(&self) -> impl Iterator<Item = &str> {
        self.body.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty())
    }

    /// The beginning of the first paragraph, for lists.
    fn teaser(&self) -> String {
        const LENGTH: usize = 180;
        let first = self.paragraphs().next().unwrap_or_default();
        match first.char_indices().nth(LENGTH) {
            None => first.to_owned(),
            Some((end, _)) => {
                let head = &first[..end];
                let words = head.rsplit_once(char::is_whitespace).map_or(head, |(words, _)| words);
                format!("{words} …")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(body: &str) -> Post {
        let category = Category { id: 1, name: "Rust".to_owned() };
        Post { id: 1, title: "<b>T</b>".to_owned(), body: body.to_owned(), created_at: 0, category }
    }

    #[test]
    fn a_long_paragraph_is_cut_between_words_and_characters() {
        assert_eq!(post("short\nand sweet\n\nmore").teaser(), "short\nand sweet");
        let teaser = post(&"äö ü ".repeat(100)).teaser();
        assert!(teaser.ends_with("ü …") || teaser.ends_with("äö …"), "{teaser}");
        assert!(post(&"é".repeat(500)).teaser().chars().count() == 182);
    }

    #[test]
    fn what_people_wrote_is_escaped() {
        let page = PostPage { post: post("<script>alert(1)</script>"), foot: None };
        let text = page.render().unwrap();
        assert!(!text.contains("<script>") && !text.contains("<b>T"), "{text}");
    }
}
