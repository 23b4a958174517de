//! A hub on 127.0.0.1: lists one repository, serves its files with ranges, sends large ones to a second server, and
//! misbehaves on demand.

use std::{
    collections::HashMap,
    io::Write,
    net::TcpStream,
    sync::{Arc, Mutex},
    thread,
};

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::http::{self, Request};

pub const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What goes wrong with one request; each is used up by one.
#[derive(Clone)]
pub enum Fault {
    /// This status, with these header lines.
    Status(u16, &'static str),
    /// The connection ends after so many bytes of the body.
    Cut(usize),
    /// The connection stays open and silent after so many bytes of the body.
    Stall(usize),
    /// Zeros instead of the content.
    Zeros,
    /// A body without a length that never seems to end.
    Endless,
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    pub path: String,
    pub range: Option<u64>,
    pub authorization: Option<String>,
}

#[derive(Default)]
struct State {
    files: Vec<(String, Vec<u8>)>,
    extra: Vec<String>,
    faults: HashMap<String, Vec<Fault>>,
    seen: Vec<Seen>,
    /// Where large files are.
    elsewhere: Option<String>,
}

/// A running server; it ends with the test process.
#[derive(Clone)]
pub struct Server {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    /// Serves these files as `org/model`; those over 8 kB count as large, with SHA-256.
    pub fn start(files: &[(&str, Vec<u8>)]) -> Self {
        let files = files.iter().map(|(path, bytes)| ((*path).to_owned(), bytes.clone())).collect();
        let state = Arc::new(Mutex::new(State { files, ..State::default() }));
        Self { address: http::listen(&state, serve), state }
    }

    /// Large files are redirected there.
    pub fn send_to(&self, other: &Self) {
        self.state.lock().unwrap().elsewhere = Some(other.address.clone());
    }

    /// The list names this path too.
    pub fn list_also(&self, path: &str) {
        self.state.lock().unwrap().extra.push(path.to_owned());
    }

    /// The next requests whose path ends like this go wrong.
    pub fn fail(&self, end: &str, faults: &[Fault]) {
        self.state.lock().unwrap().faults.insert(end.to_owned(), faults.to_vec());
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The places from which a file was asked.
    pub fn ranges(&self, end: &str) -> Vec<u64> {
        self.seen().iter().filter(|seen| seen.path.ends_with(end)).map(|seen| seen.range.unwrap_or(0)).collect()
    }
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The name of the blob: SHA-256 of large files, 40 digits that stand for git's hash of small ones.
pub fn blob(bytes: &[u8]) -> String {
    let digits = if bytes.len() > 8192 { 64 } else { 40 };
    sha256(bytes)[..digits].to_owned()
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    for seen in http::requests(&stream).map_while(|request| Seen::of(&request)) {
        let fault = {
            let mut state = state.lock().unwrap();
            state.seen.push(seen.clone());
            let hit = state.faults.iter_mut().find(|(end, faults)| seen.path.ends_with(*end) && !faults.is_empty());
            hit.map(|(_, faults)| faults.remove(0))
        };
        if answer(&stream, state, &seen, fault).is_none() {
            return;
        }
    }
}

impl Seen {
    fn of(request: &Request) -> Option<Self> {
        let range = match request.headers.get("range") {
            Some(range) => range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok(),
            None => None,
        };
        let (method, path) = (request.method.clone(), request.target.replace("%2F", "/"));
        Some(Self { method, path, range, authorization: request.headers.get("authorization").cloned() })
    }
}

/// Answers; nothing when the connection is over.
fn answer(mut stream: &TcpStream, state: &Mutex<State>, seen: &Seen, fault: Option<Fault>) -> Option<()> {
    let head_only = seen.method == "HEAD";
    let mut send = |status: u16, headers: &str, body: &[u8]| {
        let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).ok()?;
        if head_only { Some(()) } else { stream.write_all(body).ok() }
    };
    if let Some(Fault::Status(status, headers)) = fault {
        return send(status, headers, b"no");
    }
    if seen.path.starts_with("/api/models/org/model/revision/") {
        return match seen.path.split("/revision/").nth(1)?.split('?').next()? {
            "main" | COMMIT => send(200, "Content-Type: application/json\r\n", &listing(state)),
            _ => send(404, "", b"{}"),
        };
    }
    let resolved = seen.path.strip_prefix("/org/model/resolve/").and_then(|rest| rest.split_once('/'));
    let (path, here) = match (resolved, seen.path.strip_prefix("/cdn/")) {
        (Some((_, path)), _) => (path, true),
        (None, Some(path)) => (path, false),
        _ => return send(404, "", b"{}"),
    };
    let (bytes, elsewhere) = {
        let state = state.lock().unwrap();
        let found = state.files.iter().find(|(name, _)| name == path).map(|(_, bytes)| bytes.clone());
        (found, state.elsewhere.clone().filter(|_| here))
    };
    let Some(bytes) = bytes else { return send(404, "", b"no") };
    let name = blob(&bytes);
    let linked = match bytes.len() > 8192 && here {
        true => format!("X-Linked-Etag: \"{name}\"\r\nX-Linked-Size: {}\r\n", bytes.len()),
        false => String::new(),
    };
    let headers = format!("X-Repo-Commit: {COMMIT}\r\nETag: \"{name}\"\r\n{linked}");
    if let Some(host) = elsewhere.filter(|_| bytes.len() > 8192) {
        return send(302, &format!("{headers}Location: {host}/cdn/{path}\r\n"), b"");
    }
    let from = seen.range.unwrap_or(0) as usize;
    let (status, range) = match seen.range {
        Some(_) => (206, format!("Content-Range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len())),
        None => (200, String::new()),
    };
    let headers = headers + &range;
    let length = bytes.len() - from;
    match fault {
        None => send(status, &headers, &bytes[from..]),
        Some(Fault::Zeros) => send(status, &headers, &vec![0; length]),
        Some(Fault::Endless) => {
            stream.write_all(format!("HTTP/1.1 200 X\r\n{headers}Connection: close\r\n\r\n").as_bytes()).ok()?;
            while stream.write_all(&[7; 4096]).is_ok() {}
            None
        }
        Some(Fault::Cut(after) | Fault::Stall(after)) => {
            let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n");
            stream.write_all(head.as_bytes()).ok()?;
            stream.write_all(&bytes[from..from + after]).ok()?;
            if matches!(fault, Some(Fault::Stall(_))) {
                thread::park();
            }
            stream.shutdown(std::net::Shutdown::Both).ok();
            None
        }
        Some(Fault::Status(..)) => None,
    }
}

fn listing(state: &Mutex<State>) -> Vec<u8> {
    let state = state.lock().unwrap();
    let file = |(path, bytes): &(String, Vec<u8>)| match bytes.len() > 8192 {
        true => json!({"rfilename": path, "size": bytes.len(), "blobId": "0".repeat(40),
            "lfs": {"sha256": sha256(bytes), "size": bytes.len(), "pointerSize": 134}}),
        false => json!({"rfilename": path, "size": bytes.len(), "blobId": blob(bytes)}),
    };
    let mut files: Vec<_> = state.files.iter().map(file).collect();
    files.extend(state.extra.iter().map(|path| json!({"rfilename": path, "size": 1, "blobId": "1".repeat(40)})));
    json!({"id": "org/model", "sha": COMMIT, "siblings": files}).to_string().into_bytes()
}
