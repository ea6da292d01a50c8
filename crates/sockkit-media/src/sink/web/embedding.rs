//! Which other web pages may embed the pictures.

use std::str::FromStr;

/// Whose pages may embed the pictures, as in `<img src="http://…/stream">`.
///
/// The pages can show the pictures but not read them: browsers do not let a
/// page read pixels of another origin.
///
/// ```
/// # use sockkit_media as sockkit;
/// use sockkit::sink::web::Embedding;
///
/// let octoprint: Embedding = "http://octopi.local".parse()?;
/// assert_eq!(octoprint, Embedding::Origin("http://octopi.local".into()));
/// assert_eq!("any".parse(), Ok(Embedding::Anywhere));
/// assert!("octopi.local".parse::<Embedding>().is_err());
/// # Ok::<(), sockkit::sink::web::EmbeddingError>(())
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Embedding {
    /// Any page: every visitor of a page that embeds the pictures loads them.
    /// Written `any`.
    Anywhere,
    /// Pages of one origin, `http://HOST[:PORT]` or `https://…`, as reported by
    /// the browser in `Referer`. A page that suppresses `Referer` is refused.
    Origin(String),
}

impl FromStr for Embedding {
    type Err = EmbeddingError;

    fn from_str(text: &str) -> Result<Self, EmbeddingError> {
        if text == "any" {
            return Ok(Self::Anywhere);
        }
        let authority = ["http://", "https://"]
            .iter()
            .find_map(|scheme| text.strip_prefix(scheme))
            .map(|rest| rest.strip_suffix('/').unwrap_or(rest));
        match authority {
            Some(authority)
                if !authority.is_empty() && !authority.contains(['/', '?', '#', '@', '*']) =>
            {
                Ok(Self::Origin(
                    text.strip_suffix('/').unwrap_or(text).to_owned(),
                ))
            }
            _ => Err(EmbeddingError),
        }
    }
}

/// The text is neither an origin nor `any`.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not an origin: write http://HOST[:PORT] or https://HOST[:PORT] without a path, or any")]
pub struct EmbeddingError;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_has_a_scheme_and_no_path() {
        for text in [
            "http://octopi.local",
            "https://ha.example:8123/",
            "http://[::1]:80",
        ] {
            let origin = text.trim_end_matches('/').to_owned();
            assert_eq!(text.parse(), Ok(Embedding::Origin(origin)));
        }
        for text in [
            "",
            "*",
            "http://",
            "http:///",
            "http://*",
            "http://a/b",
            "http://u@a",
            "ftp://a",
            "null",
        ] {
            assert_eq!(text.parse::<Embedding>(), Err(EmbeddingError), "{text}");
        }
    }
}
