//! Under which names the portal answers: the guard against DNS rebinding.
//!
//! A page of a foreign site can make its own name point to 127.0.0.1, and then the browser lets it
//! read what answers there. Its requests still carry its name in `Host`, so a name that nobody
//! allowed is refused.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use axum::http::{HeaderMap, Uri, header};

/// The values of `Host` under which the portal answers, lower case, each with its port.
#[derive(Clone, Debug)]
pub struct HostAllowlist {
    hosts: Vec<String>,
}

impl HostAllowlist {
    /// Allows the address listened on, the loopback names if that is loopback or unspecified, and
    /// `extra`.
    ///
    /// A name in `extra` without a port is allowed with the port listened on.
    pub fn new(listen: SocketAddr, extra: &[String]) -> Self {
        let port = listen.port();
        let mut hosts = vec![listen.to_string()];
        if listen.ip().is_loopback() || listen.ip().is_unspecified() {
            let loopback = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
            hosts.extend(loopback.map(|ip| SocketAddr::new(ip, port).to_string()));
            hosts.push(format!("localhost:{port}"));
        }
        for name in extra {
            let name = name.to_ascii_lowercase();
            hosts.push(if has_port(&name) { name } else { format!("{name}:{port}") });
        }
        Self { hosts }
    }

    /// The host of a request if it is allowed: exactly one `Host`, and no other name in the request
    /// line.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Option<&str> {
        let mut values = headers.get_all(header::HOST).iter();
        let host = values.next()?.to_str().ok()?;
        if values.next().is_some() {
            return None;
        }
        if uri.authority().is_some_and(|authority| !authority.as_str().eq_ignore_ascii_case(host)) {
            return None;
        }
        self.hosts.iter().map(String::as_str).find(|allowed| allowed.eq_ignore_ascii_case(host))
    }
}

fn has_port(name: &str) -> bool {
    name.rsplit_once(':').is_some_and(|(host, port)| {
        (!host.contains(':') || host.ends_with(']')) && port.parse::<u16>().is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(listen: &str, extra: &[&str], host: &str, allowed: bool) {
        let extra: Vec<String> = extra.iter().map(|name| (*name).into()).collect();
        let list = HostAllowlist::new(listen.parse().unwrap(), &extra);
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        let found = list.check(&Uri::from_static("/"), &headers);
        assert_eq!(found.is_some(), allowed, "{listen} {extra:?} {host}");
    }

    #[test]
    fn only_known_names_with_the_right_port_are_allowed() {
        check("127.0.0.1:7443", &[], "127.0.0.1:7443", true);
        check("127.0.0.1:7443", &[], "LocalHost:7443", true);
        check("127.0.0.1:7443", &[], "[::1]:7443", true);
        check("127.0.0.1:7443", &[], "127.0.0.1", false);
        check("127.0.0.1:7443", &[], "localhost:80", false);
        check("127.0.0.1:7443", &[], "evil.example:7443", false);
        check("127.0.0.1:7443", &[], "localhost:7443.evil.example", false);
        check("127.0.0.1:7443", &[], "localhost.evil.example:7443", false);
        check("192.0.2.1:7443", &[], "192.0.2.1:7443", true);
        check("192.0.2.1:7443", &[], "localhost:7443", false);
        check("0.0.0.0:7443", &[], "192.0.2.1:7443", false);
        check("0.0.0.0:7443", &["192.0.2.1", "Router.example"], "router.example:7443", true);
        check("0.0.0.0:7443", &["router.example:443"], "router.example:443", true);
        check("0.0.0.0:7443", &["[2001:db8::1]"], "[2001:db8::1]:7443", true);
    }

    #[test]
    fn two_names_are_refused() {
        let list = HostAllowlist::new("127.0.0.1:1".parse().unwrap(), &[]);
        let mut headers = HeaderMap::new();
        assert!(list.check(&Uri::from_static("/"), &headers).is_none());
        headers.append(header::HOST, "127.0.0.1:1".parse().unwrap());
        assert!(list.check(&Uri::from_static("http://evil.example/"), &headers).is_none());
        headers.append(header::HOST, "127.0.0.1:1".parse().unwrap());
        assert!(list.check(&Uri::from_static("/"), &headers).is_none());
    }
}
