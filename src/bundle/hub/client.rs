//! One request to the hub: redirects followed by hand so that the token stays with its host, answers sorted into what
//! may be tried again and what may not.

use std::{sync::Arc, time::Duration};

use ureq::{
    Agent, Body,
    http::{HeaderMap, Response, StatusCode},
    tls::{RootCerts, TlsConfig},
};

use super::{Hub, address::Address, settings::Token};
use crate::base::Fatal;

/// Redirects that are followed for one request.
const REDIRECTS: usize = 5;

/// Speaks to one hub.
pub struct Client {
    agent: Agent,
    home: Address,
    token: Option<Token>,
}

/// How a request failed.
#[derive(Debug)]
pub enum Trouble {
    /// It may work later: what happened, and the pause that the server asks for.
    Passing(String, Option<Duration>),
    /// Refused, with the status and the address.
    Refused(u16, String),
    /// It will not work.
    Final(Fatal),
}

/// An answer with a good status.
pub struct Answer {
    /// 200 or 206.
    pub status: StatusCode,
    /// Of the last answer, below those of the hub's redirects (`X-Repo-Commit` and `X-Linked-*` come with them).
    pub headers: HeaderMap,
    /// Not yet read.
    pub body: Body,
}

/// What to do to an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Headers only.
    Head,
    /// From this byte on.
    Get(u64),
}

impl Client {
    /// A client of this hub. HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY are honoured.
    pub fn new(hub: &Hub) -> Result<Self, Fatal> {
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::PlatformVerifier)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let silence = Some(hub.patience.silence);
        let config = Agent::config_builder()
            .tls_config(tls)
            .user_agent(concat!("lapidary/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_resolve(silence)
            .timeout_connect(silence)
            .timeout_recv_response(silence)
            .timeout_per_read(silence)
            .timeout_per_write(silence);
        let home = Address::parse(&hub.endpoint)?;
        Ok(Self { agent: config.build().new_agent(), home, token: hub.token.clone() })
    }

    /// Asks for `path` of the hub, and goes where it sends us.
    pub fn ask(&self, method: Method, path: &str) -> Result<Answer, Trouble> {
        let mut address = Address::parse(&format!("{}{path}", self.home.text())).map_err(Trouble::Final)?;
        let mut said = HeaderMap::new();
        for _ in 0..=REDIRECTS {
            let (parts, body) = self.send(method, &address)?.into_parts();
            for (name, value) in &parts.headers {
                if !(name.as_str().starts_with("x-") && said.contains_key(name)) {
                    said.insert(name, value.clone());
                }
            }
            match parts.status.as_u16() {
                200 | 206 => return Ok(Answer { status: parts.status, headers: said, body }),
                301 | 302 | 303 | 307 | 308 => {
                    let location = header(&parts.headers, "location").unwrap_or_default();
                    address = address.follow(location).map_err(Trouble::Final)?;
                }
                status => return Err(refusal(status, &parts.headers, &address)),
            }
        }
        Err(Trouble::Final(Fatal::new(
            format!("`{}{path}` was redirected more than {REDIRECTS} times", self.home.shown()),
            "the hub is not set up well: try another HF_ENDPOINT",
        )))
    }

    fn send(&self, method: Method, address: &Address) -> Result<Response<Body>, Trouble> {
        let mut request = match method {
            Method::Head => self.agent.head(address.text()),
            Method::Get(_) => self.agent.get(address.text()),
        };
        if let Method::Get(from @ 1..) = method {
            request = request.header("range", format!("bytes={from}-"));
        }
        if let (Some(Token(token)), true) = (&self.token, address.same_origin(&self.home)) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        request.call().map_err(|error| failed(&error, address))
    }
}

/// A header that is text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn refusal(status: u16, headers: &HeaderMap, address: &Address) -> Trouble {
    let after = header(headers, "retry-after").and_then(|seconds| seconds.trim().parse().ok());
    match status {
        408 | 429 | 500..=599 => {
            Trouble::Passing(format!("`{}` answers {status}", address.shown()), after.map(Duration::from_secs))
        }
        _ => Trouble::Refused(status, address.shown()),
    }
}

fn failed(error: &ureq::Error, address: &Address) -> Trouble {
    let what = format!("`{}`: {error}", address.shown());
    let hopeless = matches!(error, ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl | ureq::Error::Http(_));
    match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => Trouble::Final(Fatal::new(
            what,
            "the host's certificate is not trusted: install your company's root certificate, or set SSL_CERT_FILE",
        )),
        _ if hopeless => Trouble::Final(Fatal::new(what, "check HF_ENDPOINT, HF_TOKEN and HTTPS_PROXY")),
        _ => Trouble::Passing(what, None),
    }
}
