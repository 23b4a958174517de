//! A bucket that speaks as much of S3 as publishing needs, keeps what it is sent in memory, can be told to refuse
//! requests, and sees after each request whether a reader could have been misled.

use std::{
    collections::BTreeMap,
    io::Write,
    net::TcpStream,
    ops::Range,
    sync::{Arc, Mutex},
};

use serde_json::Value;

use crate::http::{self, Request};

const MANIFEST: &str = "_lapidary/manifest.json";

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: String,
    /// Below the bucket, without the query.
    pub path: String,
    pub query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object {
    pub content: Vec<u8>,
    /// `content-type` and `x-amz-meta-...`.
    pub headers: BTreeMap<String, String>,
}

#[derive(Default)]
struct State {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, (Object, BTreeMap<u32, Vec<u8>>)>,
    seen: Vec<Seen>,
    /// Which of them are refused, by their number.
    refused: Range<usize>,
    misled: Vec<String>,
    /// Behind a write to the first path somebody else puts an object at the second, once.
    behind: Option<(String, String, Vec<u8>)>,
}

/// A running server with the bucket `archive`; it ends with the test process.
#[derive(Clone)]
pub struct Server {
    pub address: String,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub fn start() -> Self {
        let state = Arc::default();
        Self { address: http::listen(&state, serve), state }
    }

    /// What lies in the bucket, by the path.
    pub fn objects(&self) -> BTreeMap<String, Object> {
        self.state.lock().unwrap().objects.clone()
    }

    /// Puts something there from the side.
    pub fn place(&self, path: &str, content: &[u8]) {
        let object = Object { content: content.to_vec(), ..Object::default() };
        self.state.lock().unwrap().objects.insert(path.to_owned(), object);
    }

    /// The same, once something is written to `behind`.
    pub fn place_behind(&self, behind: &str, path: &str, content: &[u8]) {
        self.state.lock().unwrap().behind = Some((behind.to_owned(), path.to_owned(), content.to_vec()));
    }

    /// Counts requests anew, and refuses these.
    pub fn refuse(&self, requests: Range<usize>) {
        let mut state = self.state.lock().unwrap();
        state.refused = requests;
        state.seen.clear();
    }

    /// The requests since the last call of `refuse`.
    pub fn seen(&self) -> Vec<Seen> {
        self.state.lock().unwrap().seen.clone()
    }

    /// The paths that were written to since then.
    pub fn written(&self) -> Vec<String> {
        let mut paths: Vec<_> =
            self.seen().into_iter().filter(|seen| seen.method == "PUT").map(|seen| seen.path).collect();
        paths.dedup();
        paths
    }

    /// Moments at which there was a manifest, and a part of it was not there.
    pub fn misled(&self) -> Vec<String> {
        self.state.lock().unwrap().misled.clone()
    }

    /// Uploads that were begun and neither finished nor given up.
    pub fn left_over(&self) -> usize {
        self.state.lock().unwrap().uploads.len()
    }
}

impl Seen {
    fn of(request: Request) -> Self {
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let path = path.strip_prefix("/archive").unwrap_or("elsewhere").trim_start_matches('/');
        let (path, query) = (path.to_owned(), query.to_owned());
        Self { method: request.method, path, query, headers: request.headers, body: request.body }
    }

    /// Was it signed with this key?
    pub fn signed_by(&self, key: &str) -> bool {
        let prefix = format!("AWS4-HMAC-SHA256 Credential={key}/");
        self.headers.get("authorization").is_some_and(|value| value.starts_with(&prefix))
    }

    fn argument(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value.replace("%2F", "/"))
    }

    fn object(&self) -> Object {
        let kept = |name: &str| name == "content-type" || name.starts_with("x-amz-meta-");
        let headers = self.headers.iter().filter(|(name, _)| kept(name));
        Object {
            content: self.body.clone(),
            headers: headers.map(|(name, value)| (name.clone(), value.clone())).collect(),
        }
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) {
    for seen in http::requests(&stream).map(Seen::of) {
        let mut state = state.lock().unwrap();
        let refused = state.refused.contains(&state.seen.len());
        state.seen.push(seen.clone());
        let (status, headers, body) = match refused {
            true => (403, String::new(), b"<Error><Code>AccessDenied</Code></Error>".to_vec()),
            false => answer(&mut state, &seen),
        };
        look(&mut state);
        let length = if seen.method == "HEAD" && status == 200 {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let head = format!("HTTP/1.1 {status} X\r\n{headers}{length}\r\n");
        drop(state);
        let body: &[u8] = if seen.method == "HEAD" { b"" } else { &body };
        if (&stream).write_all(head.as_bytes()).and_then(|()| (&stream).write_all(body)).is_err() {
            return;
        }
    }
}

type Answer = (u16, String, Vec<u8>);

fn answer(state: &mut State, seen: &Seen) -> Answer {
    let xml = |text: String| (200, "Content-Type: application/xml\r\n".to_owned(), text.into_bytes());
    let nothing = |status: u16| (status, String::new(), Vec::new());
    let tagged = || (200, "ETag: \"1\"\r\n".to_owned(), Vec::new());
    let upload = seen.argument("uploadId");
    match (seen.method.as_str(), upload) {
        _ if seen.path.starts_with("elsewhere") => {
            (404, String::new(), b"<Error><Code>NoSuchBucket</Code></Error>".to_vec())
        }
        ("GET", _) if seen.argument("list-type").is_some() => {
            xml(listing(state, &seen.argument("prefix").unwrap_or_default()))
        }
        ("GET" | "HEAD", _) => match state.objects.get(&seen.path) {
            None => nothing(404),
            Some(object) => {
                let kept: String = object.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let length = if seen.method == "HEAD" {
                    format!("Content-Length: {}\r\n", object.content.len())
                } else {
                    String::new()
                };
                let headers = format!("{kept}{length}ETag: \"1\"\r\nLast-Modified: Sun, 29 Nov 2026 12:00:00 GMT\r\n");
                (200, headers, object.content.clone())
            }
        },
        ("PUT", Some(id)) => {
            let number = seen.argument("partNumber").unwrap().parse().unwrap();
            // A chunk that was under way when the upload was given up comes too late.
            let Some((_, chunks)) = state.uploads.get_mut(&id) else { return nothing(404) };
            chunks.insert(number, seen.body.clone());
            tagged()
        }
        ("PUT", None) => {
            if seen.headers.get("if-none-match").is_some_and(|value| value == "*")
                && state.objects.contains_key(&seen.path)
            {
                return nothing(412);
            }
            state.objects.insert(seen.path.clone(), seen.object());
            if let Some((_, path, content)) = state.behind.take_if(|(behind, ..)| *behind == seen.path) {
                state.objects.insert(path, Object { content, ..Object::default() });
            }
            tagged()
        }
        ("POST", None) if seen.query.starts_with("uploads") => {
            let id = format!("upload-{}", state.seen.len());
            state.uploads.insert(id.clone(), (seen.object(), BTreeMap::new()));
            let text = "<InitiateMultipartUploadResult><UploadId>ID</UploadId></InitiateMultipartUploadResult>";
            xml(text.replace("ID", &id))
        }
        ("POST", Some(id)) => {
            let (mut object, chunks) = state.uploads.remove(&id).unwrap();
            object.content = chunks.into_values().flatten().collect();
            state.objects.insert(seen.path.clone(), object);
            xml("<CompleteMultipartUploadResult><ETag>1</ETag></CompleteMultipartUploadResult>".to_owned())
        }
        ("DELETE", Some(id)) => {
            state.uploads.remove(&id);
            nothing(204)
        }
        ("DELETE", None) => {
            state.objects.remove(&seen.path);
            nothing(204)
        }
        ("POST", None) if seen.query.starts_with("delete") => {
            let text = String::from_utf8_lossy(&seen.body).into_owned();
            let keys: Vec<_> = text.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next()).collect();
            keys.iter().for_each(|key| drop(state.objects.remove(*key)));
            let deleted: String = keys.iter().map(|key| format!("<Deleted><Key>{key}</Key></Deleted>")).collect();
            xml(format!("<DeleteResult>{deleted}</DeleteResult>"))
        }
        _ => nothing(400),
    }
}

fn listing(state: &State, prefix: &str) -> String {
    let found = state.objects.iter().filter(|(path, _)| path.starts_with(prefix));
    let one = |(path, object): (&String, &Object)| {
        let size = object.content.len();
        format!(
            "<Contents><Key>{path}</Key><Size>{size}</Size><LastModified>2026-11-29T12:00:00.000Z</LastModified><ETag>\"1\"</ETag></Contents>"
        )
    };
    format!("<ListBucketResult>{}</ListBucketResult>", found.map(one).collect::<String>())
}

/// A reader that sees a manifest must find its parts.
fn look(state: &mut State) {
    let manifests = state.objects.keys().filter(|path| path.ends_with(MANIFEST)).cloned().collect::<Vec<_>>();
    for path in manifests {
        let root = path.trim_end_matches(MANIFEST);
        let manifest: Value = serde_json::from_slice(&state.objects[&path].content).unwrap_or_default();
        let listed = ["extractions", "failures"].iter().filter_map(|table| manifest[*table].as_array()).flatten();
        for part in listed {
            let object = state.objects.get(&format!("{root}{}", part["path"].as_str().unwrap()));
            if object.map(|object| object.content.len() as u64) != part["bytes"].as_u64() {
                state.misled.push(format!("{} after {:?}", part["path"], state.seen.last()));
            }
        }
    }
}
