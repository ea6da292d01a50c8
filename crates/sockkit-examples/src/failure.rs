//! How a program ends that fails: what happened and what to do, in the user's language.

use std::{error::Error, fmt, io};

use sockkit::tcp::ConnectError;

use crate::language;

/// What `main` returns if the program has failed; printed by its `Debug`, after `Error: `.
pub struct Failure(anyhow::Error);

impl<E: Into<anyhow::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match language::is_korean() {
            true => f.write_str(&in_korean(&self.0)),
            false => write!(f, "{:#}", self.0),
        }
    }
}

/// What to do comes first; the program's own words follow.
fn in_korean(error: &anyhow::Error) -> String {
    match advice(error.chain().filter_map(kind).next()) {
        Some(advice) => format!("{advice}\n({error:#})"),
        None => format!("{error:#}"),
    }
}

fn kind(error: &(dyn Error + 'static)) -> Option<(io::ErrorKind, String)> {
    let io = match error.downcast_ref::<ConnectError>() {
        // A refusal says more than silence: the host was reached.
        Some(ConnectError::Failed(attempts)) => {
            let mut all = attempts.iter().map(|attempt| &attempt.source);
            let refused = |error: &&io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
            all.clone().find(refused).or_else(|| all.next())?
        }
        Some(ConnectError::TimedOut { .. }) => {
            return Some((io::ErrorKind::TimedOut, error.to_string()));
        }
        _ => error.downcast_ref::<io::Error>()?,
    };
    Some((io.kind(), io.to_string()))
}

fn advice(failed: Option<(io::ErrorKind, String)>) -> Option<&'static str> {
    use io::ErrorKind as Kind;

    let (kind, words) = failed?;
    Some(match kind {
        Kind::ConnectionRefused => {
            "연결이 거부되었습니다. 서버 프로그램을 먼저 실행했는지, 주소와 포트 번호가 맞는지 확인하세요."
        }
        Kind::AddrInUse => {
            "포트를 이미 다른 프로그램이 쓰고 있습니다. 그 프로그램을 끝내거나 --bind 0.0.0.0:다른번호로 \
             실행하세요."
        }
        Kind::AddrNotAvailable => {
            "이 컴퓨터의 주소가 아닙니다. --bind에 이 컴퓨터의 주소를 쓰세요."
        }
        Kind::TimedOut => {
            "상대가 응답하지 않습니다. 켜져 있는지, 같은 네트워크인지, 방화벽이 막는지 확인하세요."
        }
        Kind::HostUnreachable | Kind::NetworkUnreachable => {
            "상대에 닿을 수 없습니다. 네트워크 연결과 주소를 확인하세요."
        }
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe => {
            "상대가 연결을 끊었습니다."
        }
        Kind::NotFound => "파일이나 폴더가 없습니다. 이름을 확인하세요.",
        Kind::AlreadyExists => "같은 이름의 파일이 이미 있습니다. 옮기거나 다른 이름을 쓰세요.",
        Kind::PermissionDenied => "권한이 없습니다.",
        _ if words.starts_with(RESOLVING) => UNKNOWN_NAME,
        _ => return None,
    })
}

/// The text for a host that has no address.
#[must_use]
pub fn unknown_name(text: &str) -> String {
    format!("{UNKNOWN_NAME} ({text})")
}

const UNKNOWN_NAME: &str =
    "이름을 찾을 수 없거나 주소가 잘못되었습니다. HOST:PORT 형식인지 확인하세요.";

/// What the standard library's error of a name begins with, which has no kind of its own.
const RESOLVING: &str = "failed to lookup address information";

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn what_happens_to_students_is_told_in_korean() {
        for (kind, said) in [
            (io::ErrorKind::ConnectionRefused, "거부되었습니다"),
            (io::ErrorKind::AddrInUse, "이미 다른 프로그램이"),
            (io::ErrorKind::TimedOut, "응답하지 않습니다"),
            (io::ErrorKind::NotFound, "없습니다"),
        ] {
            let error = Err::<(), _>(io::Error::from(kind)).context("cannot connect to desk:5000");
            let told = in_korean(&error.unwrap_err());
            assert!(told.contains(said) && told.contains("desk:5000"), "{told}");
        }
        let unknown = anyhow::Error::new(io::Error::other(format!("{RESOLVING}: none")));
        assert!(in_korean(&unknown).starts_with(UNKNOWN_NAME));
        assert_eq!(
            in_korean(&anyhow::anyhow!("anything else")),
            "anything else"
        );
    }
}
