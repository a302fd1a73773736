//! The API's description, generated from the handlers.

use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{admin, member, public};

/// Collects all paths.
#[derive(OpenApi)]
#[openapi(
    info(title = "srwan controller", description = "Joins, rosters and the segment database."),
    paths(
        member::join,
        member::roster,
        member::report,
        public::status,
        public::groups,
        public::routers,
        public::router,
        public::segments,
        public::history,
        public::health,
        admin::token,
        admin::quarantine,
        admin::release,
        admin::remove,
    ),
    modifiers(&Tokens)
)]
struct Document;

/// The two kinds of bearer token.
struct Tokens;

impl Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_with(Default::default);
        for name in ["member_token", "admin_token"] {
            let http = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
            components.add_security_scheme(name, SecurityScheme::Http(http));
        }
    }
}

/// The OpenAPI document as `/openapi.json` serves it.
///
/// # Panics
/// Never: the document has string keys only.
#[must_use]
pub fn openapi_json() -> String {
    let mut text = Document::openapi().to_pretty_json().expect("the document has string keys only");
    text.push('\n');
    text
}
