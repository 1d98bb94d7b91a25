//! The words of the blog: what a post and a category are.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Category {
    pub(crate) id: i64,
    pub(crate) name: String,
}

#[derive(Clone, Debug)]
pub(crate) struct Post {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) body: String,
    /// In seconds since 1970.
    pub(crate) created_at: i64,
    pub(crate) category: Category,
}

/// What an author writes, already checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) title: String,
    pub(crate) body: String,
    pub(crate) category_id: i64,
}

/// The categories a post was in before an edit and is in after it; often the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    pub(crate) from: i64,
    pub(crate) to: i64,
}
