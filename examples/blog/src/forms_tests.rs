//! What the form takes and what it refuses.

use axum::http::HeaderValue;

use super::*;

fn categories() -> Vec<Category> {
    (1..=3).map(|id| Category { id, name: format!("Category {id}") }).collect()
}

fn problems(form: &str) -> Vec<String> {
    PostForm::parse(form.as_bytes()).check(&categories()).unwrap_err()
}

#[test]
fn a_whole_form_becomes_a_trimmed_draft() {
    let form = PostForm::parse(b"title=+A+%26+B+&body=one%0D%0Atwo%0D%0A&category_id=2&other=x");
    let draft = form.check(&categories()).unwrap();
    assert_eq!(draft, Draft { title: "A & B".to_owned(), body: "one\ntwo".to_owned(), category_id: 2 });
}

#[test]
fn every_problem_of_an_empty_form_is_named() {
    let all = ["The title is empty.", "The body is empty.", "The category is missing."];
    assert_eq!(problems(""), all);
    assert_eq!(problems("title=&body=&category_id="), all);
}

#[test]
fn blanks_are_as_good_as_nothing() {
    assert_eq!(problems("title=%20%C2%A0%09&body=b&category_id=1"), ["The title is empty."]);
    assert_eq!(problems("title=t&body=+%0D%0A+&category_id=1"), ["The body is empty."]);
}

#[test]
fn a_category_must_be_one_of_ours() {
    assert_eq!(problems("title=t&body=b&category_id=9"), ["There is no category 9."]);
    assert_eq!(problems("title=t&body=b&category_id=-1"), ["There is no category -1."]);
    assert_eq!(problems("title=t&body=b&category_id=rust"), ["The category must be a number."]);
    assert_eq!(
        problems("title=t&body=b&category_id=99999999999999999999"),
        ["The category must be a number."]
    );
}

#[test]
fn bytes_that_are_no_text_do_not_matter() {
    let form = PostForm::parse(b"title=%FF%FE&body=\xff%&category_id=1&&=&%");
    assert!(form.check(&categories()).is_ok());
}

#[test]
fn only_a_urlencoded_body_is_a_form() {
    let with = |value: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(value));
        is_form(&headers)
    };
    assert!(with("application/x-www-form-urlencoded"));
    assert!(with("Application/X-WWW-Form-Urlencoded; charset=UTF-8"));
    assert!(!with("application/json"));
    assert!(!with("multipart/form-data; boundary=x"));
    assert!(!with(""));
    assert!(!is_form(&HeaderMap::new()));
}
