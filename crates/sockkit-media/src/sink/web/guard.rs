//! Access policy: keeps the pictures from other web sites.
//!
//! Any web page can make its visitor's browser send requests to this server.
//! The browser lets that page read the responses if the page's own host name
//! resolves to this machine (DNS rebinding). A request must therefore name this
//! machine as its users do: by IP address, as `localhost`, or by a configured
//! name. An `Origin` header must match, too.
//!
//! Even without reading them, a page could show the pictures and use up the
//! viewers' permits. If a browser reports where a request comes from
//! (`Sec-Fetch-Site`, otherwise `Referer`), it must be this server's own page,
//! or one that may embed the pictures. Following a link to the page is not
//! embedding.
//!
//! Pure: it only inspects header values.
//!
//! # Source
//! Fetch Metadata Request Headers, <https://www.w3.org/TR/fetch-metadata/>.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::Embedding;

/// Decides by the names of this machine, and by the pages that may embed its
/// pictures.
#[derive(Clone, Debug)]
pub(super) struct HostPolicy {
    names: Vec<String>,
    embeddings: Vec<Embedding>,
    /// How the URLs of this server's pages begin.
    page_schemes: &'static [&'static str],
}

/// The relevant headers of a request. A header that is not text counts as
/// empty.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Asking<'a> {
    /// The authority of the request.
    pub(super) host: Option<&'a str>,
    pub(super) origin: Option<&'a str>,
    pub(super) referer: Option<&'a str>,
    /// `Sec-Fetch-Site`, `-Mode` and `-Dest`.
    pub(super) site: Option<&'a str>,
    pub(super) mode: Option<&'a str>,
    pub(super) dest: Option<&'a str>,
    /// For `/` itself, not for a picture by way of it.
    pub(super) is_page: bool,
    /// HTTP/1.0, in which a request need not name a host.
    pub(super) is_http_1_0: bool,
}

/// On whose page the response may be shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Audience {
    /// This server's own, or none.
    Ours,
    /// Another page that may embed pictures.
    Embedder,
}

impl HostPolicy {
    pub(super) fn new(
        names: impl IntoIterator<Item = String>,
        embeddings: impl IntoIterator<Item = Embedding>,
        page_schemes: &'static [&'static str],
    ) -> Self {
        Self {
            names: names
                .into_iter()
                .map(|name| without_root(&name).to_owned())
                .collect(),
            embeddings: embeddings.into_iter().collect(),
            page_schemes,
        }
    }

    /// Checks the request's host, and the page it comes from, if known.
    pub(super) fn check(&self, asking: Asking<'_>) -> Result<Audience, Refusal> {
        let Some(host) = asking.host else {
            return match asking.is_of_an_old_program() {
                true => Ok(Audience::Ours),
                false => Err(Refusal::NoHost),
            };
        };
        if !self.knows(host) {
            return Err(Refusal::ForeignHost);
        }
        if asking
            .origin
            .is_some_and(|origin| !self.is_ours(origin, host))
        {
            return Err(Refusal::ForeignOrigin);
        }
        if asking.is_link_to_the_page() || self.comes_from_us(asking, host) {
            return Ok(Audience::Ours);
        }
        if self.embeds(asking) {
            return Ok(Audience::Embedder);
        }
        Err(Refusal::ForeignPage)
    }

    /// This server's page, the address bar, or a program other than a browser.
    fn comes_from_us(&self, asking: Asking<'_>, host: &str) -> bool {
        match (asking.site, asking.referer) {
            (Some(site), _) => matches!(site, "same-origin" | "none"),
            // Over plain HTTP, browsers omit `Sec-Fetch-Site` except on
            // loopback.
            (None, Some(referer)) => self.is_ours(origin_of(referer), host),
            (None, None) => true,
        }
    }

    /// A page that may embed pictures, if the browser reports it.
    fn embeds(&self, asking: Asking<'_>) -> bool {
        let origin = asking.referer.map(origin_of);
        !asking.is_page
            && matches!(asking.dest, None | Some("image"))
            && self.embeddings.iter().any(|allowed| match allowed {
                Embedding::Anywhere => true,
                Embedding::Origin(allowed) => {
                    origin.is_some_and(|origin| origin.eq_ignore_ascii_case(allowed))
                }
            })
    }

    fn knows(&self, authority: &str) -> bool {
        let Some(name) = name_of(authority) else {
            return false;
        };
        is_address(name) || name.eq_ignore_ascii_case("localhost") || self.has(name)
    }

    fn has(&self, name: &str) -> bool {
        self.names
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
    }

    /// A page of this server, or of a configured name.
    fn is_ours(&self, origin: &str, host: &str) -> bool {
        let mut schemes = self.page_schemes.iter();
        let Some(authority) = schemes.find_map(|scheme| origin.strip_prefix(scheme)) else {
            return false;
        };
        authority.eq_ignore_ascii_case(host)
            || name_of(authority).is_some_and(|name| self.has(name))
    }
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("the request has no host")]
    NoHost,
    #[error(
        "the request's Host is neither an address nor localhost nor a configured name: \
         add the name if it is this machine's (--web-name)"
    )]
    ForeignHost,
    #[error("the request comes from a page of another origin")]
    ForeignOrigin,
    #[error(
        "the request comes from another site's page: \
         allow that page's origin to embed the pictures if it may (--allow-embedding)"
    )]
    ForeignPage,
}

impl Refusal {
    /// A short name for it.
    pub(super) fn kind(self) -> &'static str {
        match self {
            Self::NoHost => "no host",
            Self::ForeignHost => "foreign host",
            Self::ForeignOrigin => "foreign origin",
            Self::ForeignPage => "foreign page",
        }
    }
}

impl Asking<'_> {
    /// One from before hosts were named. Browsers name theirs, and where the request
    /// comes from.
    fn is_of_an_old_program(&self) -> bool {
        let Self {
            origin,
            referer,
            site,
            ..
        } = self;
        self.is_http_1_0 && [origin, referer, site].iter().all(|it| it.is_none())
    }

    /// A tab of its own, which other pages cannot access.
    fn is_link_to_the_page(&self) -> bool {
        self.is_page
            && matches!(self.mode, None | Some("navigate"))
            && matches!(self.dest, None | Some("document"))
    }
}

/// `scheme://host[:port]` of a URL, or the whole text if it is not one.
fn origin_of(url: &str) -> &str {
    let rest = url.find("://").map_or(url.len(), |scheme| scheme + 3);
    let end = url[rest..]
        .find(['/', '?', '#'])
        .map_or(url.len(), |path| rest + path);
    &url[..end]
}

/// The host of `host[:port]`, without the brackets of an IPv6 address, and without the
/// root of DNS.
fn name_of(authority: &str) -> Option<&str> {
    let (name, rest) = match authority.strip_prefix('[') {
        Some(bracketed) => bracketed.split_once(']')?,
        None => match authority.find(':') {
            Some(colon) => authority.split_at(colon),
            None => (authority, ""),
        },
    };
    let port = rest.strip_prefix(':');
    let fits = rest.is_empty() || port.is_some_and(|port| port.parse::<u16>().is_ok());
    let name = without_root(name);
    (fits && !name.is_empty()).then_some(name)
}

/// `camera.lan.` and `camera.lan` are one name: the dot stands for the root of DNS.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn is_address(name: &str) -> bool {
    name.parse::<Ipv4Addr>().is_ok() || name.parse::<Ipv6Addr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(embeddings: &[&str]) -> HostPolicy {
        let embeddings = embeddings.iter().map(|text| text.parse().unwrap());
        let schemes = &["http://", "https://"];
        HostPolicy::new(["camera.lan".to_owned()], embeddings, schemes)
    }

    #[track_caller]
    fn check(host: &str, origin: Option<&str>, expected: Result<(), Refusal>) {
        let asking = Asking {
            host: Some(host),
            origin,
            ..Asking::default()
        };
        assert_eq!(
            guard(&[]).check(asking).map(drop),
            expected,
            "{host} {origin:?}"
        );
    }

    /// An `<img>` as a browser asks for it.
    const IMAGE: Asking<'_> = Asking {
        host: Some("127.0.0.1:8088"),
        origin: None,
        referer: None,
        site: Some("cross-site"),
        mode: Some("no-cors"),
        dest: Some("image"),
        is_page: false,
        is_http_1_0: false,
    };

    #[test]
    fn addresses_localhost_and_configured_names_may_ask() {
        for host in [
            "127.0.0.1",
            "127.0.0.1:8088",
            "192.168.1.7:80",
            "[::1]",
            "[::1]:8088",
            "localhost",
            "LOCALHOST:8088",
            "Camera.LAN:8088",
            "localhost.",
            "camera.lan.:8088",
        ] {
            check(host, None, Ok(()));
        }
    }

    #[test]
    fn other_names_may_not() {
        for host in [
            "evil.example",
            "evil.example:8088",
            "127.0.0.1.evil.example",
            "localhost.evil.example",
            "camera.lan.evil.example",
            "127.0.0.1:evil",
            "[::1",
            "[::1]evil.example",
            "::1",
            "localhost:99999",
            "localhost..",
            ".",
            "user@localhost",
            "2130706433",
            ":8088",
            "",
        ] {
            check(host, None, Err(Refusal::ForeignHost));
        }
    }

    #[test]
    fn a_request_without_host_is_refused() {
        let refused = guard(&[]).check(Asking::default());
        assert_eq!(refused, Err(Refusal::NoHost));
        let old = Asking {
            is_http_1_0: true,
            ..Asking::default()
        };
        assert_eq!(guard(&[]).check(old), Ok(Audience::Ours));
        for browsers in [
            Asking {
                origin: Some("http://evil.example"),
                ..old
            },
            Asking {
                referer: Some("http://evil.example/"),
                ..old
            },
            Asking {
                site: Some("cross-site"),
                ..old
            },
        ] {
            assert_eq!(guard(&[]).check(browsers), Err(Refusal::NoHost));
        }
    }

    #[test]
    fn our_own_page_may_ask() {
        check("127.0.0.1:8088", Some("http://127.0.0.1:8088"), Ok(()));
        check("localhost:8088", Some("http://LOCALHOST:8088"), Ok(()));
        check("camera.lan", Some("https://camera.lan"), Ok(()));
        // A page that a proxy serves under the configured name.
        check("127.0.0.1:8088", Some("https://camera.lan:8443"), Ok(()));
    }

    #[test]
    fn a_configured_name_is_known_with_and_without_the_root() {
        for name in ["camera.lan", "camera.lan."] {
            let guard = HostPolicy::new([name.to_owned()], [], &["http://"]);
            let check = |host, origin: Option<&str>| {
                guard.check(Asking {
                    host: Some(host),
                    origin,
                    ..Asking::default()
                })
            };
            for (asked, is_known) in [
                ("camera.lan", true),
                ("camera.lan.", true),
                ("camera.lan..", false),
            ] {
                let page = format!("http://{asked}:8088");
                let from = check("127.0.0.1:8088", Some(&page));
                assert_eq!(check(asked, None).is_ok(), is_known, "{name} {asked}");
                assert_eq!(from.is_ok(), is_known, "{name} {page}");
            }
        }
        // That is no name, and makes none known.
        let rootless = HostPolicy::new([".".to_owned()], [], &["http://"]);
        let asking = Asking {
            host: Some("."),
            ..Asking::default()
        };
        assert_eq!(rootless.check(asking), Err(Refusal::ForeignHost));
    }

    #[test]
    fn pages_in_the_clear_may_not_ask_over_tls() {
        let guard = HostPolicy::new(["camera.lan".to_owned()], [], &["https://"]);
        for authority in ["127.0.0.1:8088", "camera.lan"] {
            for (scheme, expected) in [
                ("https", Ok(Audience::Ours)),
                ("http", Err(Refusal::ForeignOrigin)),
            ] {
                let origin = format!("{scheme}://{authority}");
                let asking = Asking {
                    host: Some("127.0.0.1:8088"),
                    origin: Some(&origin),
                    ..Asking::default()
                };
                assert_eq!(guard.check(asking), expected, "{origin}");
            }
        }
    }

    #[test]
    fn pages_from_elsewhere_may_not() {
        for origin in [
            "http://evil.example",
            "http://127.0.0.1",
            "http://127.0.0.1:8089",
            "http://127.0.0.1:8088.evil.example",
            "null",
            "",
            "file://",
        ] {
            check("127.0.0.1:8088", Some(origin), Err(Refusal::ForeignOrigin));
        }
    }

    #[test]
    fn a_page_from_elsewhere_may_not_show_the_pictures() {
        for site in ["cross-site", "same-site", "", "nonsense"] {
            for (mode, dest) in [
                ("no-cors", "image"),
                ("navigate", "iframe"),
                ("navigate", "document"),
            ] {
                let asking = Asking {
                    site: Some(site),
                    mode: Some(mode),
                    dest: Some(dest),
                    ..IMAGE
                };
                assert_eq!(
                    guard(&[]).check(asking),
                    Err(Refusal::ForeignPage),
                    "{asking:?}"
                );
            }
        }
        for site in ["same-origin", "none"] {
            let asking = Asking {
                site: Some(site),
                ..IMAGE
            };
            assert_eq!(guard(&[]).check(asking), Ok(Audience::Ours), "{site}");
        }
    }

    #[test]
    fn without_fetch_metadata_the_referer_counts() {
        for (referer, expected) in [
            (None, Ok(Audience::Ours)),
            (Some("http://127.0.0.1:8088/"), Ok(Audience::Ours)),
            (Some("https://camera.lan/live?x#y"), Ok(Audience::Ours)),
            (Some("http://127.0.0.1/"), Err(Refusal::ForeignPage)),
            (
                Some("http://evil.example/127.0.0.1:8088"),
                Err(Refusal::ForeignPage),
            ),
            (
                Some("http://127.0.0.1:8088@evil.example/"),
                Err(Refusal::ForeignPage),
            ),
            (Some(""), Err(Refusal::ForeignPage)),
        ] {
            let asking = Asking {
                host: IMAGE.host,
                referer,
                ..Asking::default()
            };
            assert_eq!(guard(&[]).check(asking), expected, "{referer:?}");
        }
    }

    #[test]
    fn a_link_to_the_page_may_be_followed_from_anywhere() {
        let link = Asking {
            referer: Some("https://chat.example/"),
            mode: Some("navigate"),
            dest: Some("document"),
            is_page: true,
            ..IMAGE
        };
        assert_eq!(guard(&[]).check(link), Ok(Audience::Ours));
        for framed in ["iframe", "frame", "embed", "object"] {
            let asking = Asking {
                dest: Some(framed),
                ..link
            };
            let refused = guard(&["any"]).check(asking);
            assert_eq!(refused, Err(Refusal::ForeignPage), "{framed}");
        }
    }

    #[test]
    fn a_page_that_was_allowed_may_embed_pictures_and_no_other() {
        let from = |referer| Asking { referer, ..IMAGE };
        let octopi = guard(&["http://octopi.local"]);
        for referer in ["http://octopi.local/", "http://OctoPi.local/#control"] {
            assert_eq!(
                octopi.check(from(Some(referer))),
                Ok(Audience::Embedder),
                "{referer}"
            );
        }
        for referer in [
            None,
            Some("http://octopi.local:81/"),
            Some("https://octopi.local/"),
            Some("http://octopi.local.evil.example/"),
            Some("http://evil.example/?http://octopi.local/"),
        ] {
            let refused = octopi.check(from(referer));
            assert_eq!(refused, Err(Refusal::ForeignPage), "{referer:?}");
        }
        assert_eq!(guard(&["any"]).check(from(None)), Ok(Audience::Embedder));
    }
}
