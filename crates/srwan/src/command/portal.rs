//! `srwan portal ...`

use crate::exit::Exit;
use crate::output::Output;
use crate::problem::code;
use clap::Subcommand;
use srwan_api::http::ApiError;
use srwan_api::router::Status;
use srwan_portal::TokenError;
use std::net::SocketAddr;
use std::path::Path;

/// `srwan portal ...`
#[derive(Subcommand)]
pub enum PortalVerb {
    /// Print the address of the router's web page with its one-time token.
    Url,
}

impl PortalVerb {
    /// Does it.
    pub fn run(self, socket: &Path, output: Output) -> anyhow::Result<Exit> {
        let Self::Url = self;
        let status: Status = super::router(socket)?.get("/v1/status")?;
        let listen = status.portal_url.as_deref().and_then(listen_of).ok_or_else(|| {
            ApiError::new(404, code::PORTAL, "this router has no portal")
                .why("its status names no address of one")
                .fix("set [portal] listen and restart the router")
        })?;
        let token_file = socket.with_file_name("portal.token");
        let url = srwan_portal::portal_url(listen, &token_file).map_err(|error| refused(&error))?;
        output.value("srwan.portal-url/1", "url", &url)?;
        Ok(Exit::Ok)
    }
}

/// The address in `http://ADDRESS:PORT/`.
fn listen_of(url: &str) -> Option<SocketAddr> {
    url.trim_start_matches("http://").trim_end_matches('/').parse().ok()
}

fn refused(error: &TokenError) -> ApiError {
    let is_denied = matches!(error, TokenError::Io { source, .. }
        if source.kind() == std::io::ErrorKind::PermissionDenied);
    let status = if is_denied { 403 } else { 0 };
    ApiError::new(status, code::PORTAL, "the portal's login token cannot be used")
        .why(error.to_string())
        .fix("run the command as the router's user; a restart of the router makes a fresh token")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_with_and_without_a_slash() {
        for url in ["http://127.0.0.1:7443/", "http://127.0.0.1:7443", "http://[::1]:7443/"] {
            assert_eq!(listen_of(url).map(|address| address.port()), Some(7443), "{url}");
        }
        assert_eq!(listen_of("off"), None);
    }
}
