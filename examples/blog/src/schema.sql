CREATE TABLE categories (
    id   INTEGER PRIMARY KEY,
    name TEXT NOT NULL
) STRICT;

-- AUTOINCREMENT: the id of a deleted post is never given to another one.
CREATE TABLE posts (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    category_id INTEGER NOT NULL REFERENCES categories (id),
    title       TEXT    NOT NULL,
    body        TEXT    NOT NULL,
    created_at  INTEGER NOT NULL DEFAULT (unixepoch())
) STRICT;

CREATE INDEX posts_by_category ON posts (category_id, id);

INSERT INTO categories (id, name) VALUES (1, 'Caching'), (2, 'Rust'), (3, 'The web');

INSERT INTO posts (id, category_id, title, created_at, body) VALUES
(1, 1, 'A page is a promise', unixepoch() - 12 * 86400,
'Most pages of most sites are the same for everyone, and change a few times a week. Still, they are put together from the database for every visitor, as if each reading were the first.

Incremental static regeneration turns this around. A page is rendered once and kept. It is a promise: this is what the data said when we looked. The art lies in knowing when the promise no longer holds.'),

(2, 3, 'Stale for one, fresh for all', unixepoch() - 9 * 86400,
'When a kept page grows old, somebody has to wait for the new one. Or nobody: the visitor who finds the old page gets it at once, and their visit starts a render in the background. The next visitor reads the new page.

This is called stale-while-revalidate. One reader sees something a little old; no reader sees a spinner.'),

(3, 2, 'One render for a thousand readers', unixepoch() - 6 * 86400,
'A link goes around, a thousand people open it in the same second, and the page is not there yet. A thousand renders would do the same work a thousand times, just when the server can least afford it.

So the first one renders and the others wait for it. If the first one hangs up, the render goes on: it belongs to the page, not to whoever asked first.'),

(4, 1, 'Tags: what a page is made of', unixepoch() - 3 * 86400,
'Look at the foot of this page. It names the tags the page carries: what it was made of. The front page carries posts, this page carries post:4, and the page of its category carries category:1.

Edit this post, and three pages change: this one, the list of its category and the front page. Every other page stays just as it is. Move the post to another category, and that page changes as well.'),

(5, 3, 'Read your own writes', unixepoch() - 1 * 86400,
'You press Save, and the page shows the old text. You press Save again. Caches have taught people to distrust them.

Here, the answer to a write carries a receipt: a small cookie that says which change you have made. Whoever bears it never gets a page from before it. Everyone else keeps reading at full speed, and sees the new page a moment later.');
