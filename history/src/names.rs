//! What the site consists of: items of data, pages that show them, and what one may invalidate.

use std::fmt;
use std::sync::LazyLock;

use edge_isr_core::{Tag, tag};

/// Items of data, each with a tag `item:<group>:<n>`.
pub(crate) const ITEMS: usize = 24;
/// Groups of items, each with a tag `item:<group>` above theirs.
pub(crate) const GROUPS: usize = 4;
/// Pages, each with a tag `page:<n>` that its layer knows.
pub(crate) const PAGES: usize = 24;
/// Sections of pages, by path.
pub(crate) const SECTIONS: usize = 2;
/// Tenants of a page that is kept apart for each.
pub(crate) const TENANTS: usize = 2;
/// Keys: a page for each tenant, and as a draft.
pub(crate) const KEYS: usize = PAGES * TENANTS * 2;
pub(crate) const HOST: &str = "history.example";

/// How the pages of a route live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) pattern: &'static str,
    prefix: &'static str,
    /// Seconds.
    pub(crate) fresh: u64,
    pub(crate) while_revalidate: u64,
    pub(crate) if_error: u64,
    pub(crate) has_tenants: bool,
    pub(crate) has_drafts: bool,
}

/// The routes: with a stale window, without, and with tenants and a window for failures.
pub(crate) const CLASSES: [Class; 3] = [
    Class {
        pattern: "/wide/{section}/{page}",
        prefix: "/wide",
        fresh: 10,
        while_revalidate: 30,
        if_error: 0,
        has_tenants: false,
        has_drafts: true,
    },
    Class {
        pattern: "/strict/{section}/{page}",
        prefix: "/strict",
        fresh: 10,
        while_revalidate: 0,
        if_error: 0,
        has_tenants: false,
        has_drafts: false,
    },
    Class {
        pattern: "/kept/{section}/{page}",
        prefix: "/kept",
        fresh: 5,
        while_revalidate: 5,
        if_error: 60,
        has_tenants: true,
        has_drafts: false,
    },
];

pub(crate) const fn class_of(page: usize) -> &'static Class {
    &CLASSES[page % CLASSES.len()]
}

const fn section_of(page: usize) -> usize {
    page / CLASSES.len() % SECTIONS
}

/// The texts, made once.
struct Texts {
    paths: Vec<String>,
    prefixes: Vec<String>,
    items: Vec<Tag>,
}

static TEXTS: LazyLock<Texts> = LazyLock::new(|| Texts {
    paths: (0..PAGES).map(|page| format!("{}/{}/{page}", class_of(page).prefix, section_of(page))).collect(),
    prefixes: CLASSES
        .iter()
        .flat_map(|class| (0..SECTIONS).map(move |section| format!("{}/{section}", class.prefix)))
        .collect(),
    items: (0..ITEMS)
        .map(|item| Tag::join(["item", &(item % GROUPS).to_string(), &item.to_string()]))
        .collect(),
});

pub(crate) fn path(page: usize) -> &'static str {
    &TEXTS.paths[page]
}

pub(crate) fn page_of(path: &str) -> Option<usize> {
    path.rsplit('/').next()?.parse().ok().filter(|&page| page < PAGES)
}

pub(crate) fn item_tag(item: usize) -> Tag {
    TEXTS.items[item].clone()
}

/// What a response is for. A body names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) page: usize,
    pub(crate) tenant: usize,
    pub(crate) is_draft: bool,
}

impl Key {
    pub(crate) const fn index(self) -> usize {
        (self.page * TENANTS + self.tenant) * 2 + self.is_draft as usize
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(path(self.page))?;
        if class_of(self.page).has_tenants {
            write!(f, " of tenant {}", self.tenant)?;
        }
        f.write_str(if self.is_draft { " as a draft" } else { "" })
    }
}

/// What is invalidated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Items, one bit each.
    Items(u32),
    Group(usize),
    PageTag(usize),
    Url(usize),
    /// A path prefix: a section of a class.
    Prefix(usize),
    Route(usize),
    Host,
    All,
}

impl Target {
    pub(crate) const fn has_page(self, page: usize) -> bool {
        match self {
            Self::Items(_) | Self::Group(_) | Self::Host | Self::All => true,
            Self::PageTag(own) | Self::Url(own) => own == page,
            Self::Prefix(at) => at / SECTIONS == page % CLASSES.len() && at % SECTIONS == section_of(page),
            Self::Route(class) => page % CLASSES.len() == class,
        }
    }

    pub(crate) const fn has_item(self, item: usize) -> bool {
        match self {
            Self::Items(items) => items >> item & 1 == 1,
            Self::Group(group) => item % GROUPS == group,
            _ => true,
        }
    }

    pub(crate) fn tags(self) -> Vec<Tag> {
        match self {
            Self::Items(_) => (0..ITEMS).filter(|&item| self.has_item(item)).map(item_tag).collect(),
            Self::Group(group) => vec![tag("item", group)],
            Self::PageTag(page) => vec![tag("page", page)],
            _ => Vec::new(),
        }
    }

    pub(crate) fn prefix(at: usize) -> &'static str {
        &TEXTS.prefixes[at]
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Items(_) | Self::Group(_) | Self::PageTag(_) => {
                let tags = self.tags();
                let tags: Vec<&str> = tags.iter().map(Tag::as_str).collect();
                write!(f, "{}", tags.join(" "))
            }
            Self::Url(page) => write!(f, "the URL {}", path(*page)),
            Self::Prefix(at) => write!(f, "the prefix {}", Self::prefix(*at)),
            Self::Route(class) => write!(f, "the route {}", CLASSES[*class].pattern),
            Self::Host => f.write_str("the host"),
            Self::All => f.write_str("everything"),
        }
    }
}
