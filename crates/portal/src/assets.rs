//! The built page, inside the binary: whoever builds srwan needs Rust alone.
//!
//! `ui/` is the source, `dist/` what `ui/check.sh` builds from it; file names carry no hash, so
//! that two builds of one source are equal and the list below stays short.

use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

const INDEX: &[u8] = include_bytes!("../dist/index.html");

/// Name, media type and contents of what the page loads.
const FILES: [(&str, &str, &[u8]); 3] = [
    ("app.js", "text/javascript; charset=utf-8", include_bytes!("../dist/assets/app.js")),
    ("app.css", "text/css; charset=utf-8", include_bytes!("../dist/assets/app.css")),
    ("icon.svg", "image/svg+xml", include_bytes!("../dist/assets/icon.svg")),
];

/// The page itself, the same for each of its routes.
pub async fn index() -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], INDEX).into_response()
}

/// One file that the page loads.
pub async fn file(Path(name): Path<String>) -> Response {
    match FILES.iter().find(|(known, _, _)| *known == name) {
        Some((_, kind, bytes)) => ([(header::CONTENT_TYPE, *kind)], *bytes).into_response(),
        None => Problem::NOT_FOUND.into_response(),
    }
}
