//! A place in a bucket: objects by their paths below it, one call each.

use std::{fmt, fs::File, io::Read, sync::Arc};

use futures_util::TryStreamExt;
use object_store::{
    Attribute, Attributes, Error, GetOptions, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions,
    PutPayload, WriteMultipart, path::Path,
};
use rustls::crypto::ring;
use tokio::runtime::{Builder, Runtime};

use super::{
    Address,
    dataset::{Source, unreadable},
    trouble::trouble,
};
use crate::base::Fatal;

/// Bytes of one request. A multipart upload may have 10,000 parts on S3, so large files have larger ones.
const CHUNK: usize = 8 << 20;
const MOST_CHUNKS: usize = 9_000;

/// Bytes of the largest object that is read: a manifest of some hundred thousand parts.
const LARGEST_READ: u64 = 64 << 20;

/// Chunks on their way at once.
const AT_ONCE: usize = 4;

/// The attribute that holds the hash of an object's content. Azure allows letters and digits only.
const HASH: &str = "blake3";

/// A place in a bucket.
pub struct Bucket {
    address: Address,
    store: Arc<dyn ObjectStore>,
    root: Path,
    runtime: Runtime,
}

impl Bucket {
    /// Makes the client; nothing is sent yet.
    pub fn open(address: &Address) -> Result<Self, Fatal> {
        // An error says that there is one already.
        let _ = ring::default_provider().install_default();
        let (store, root) = address.connect().map_err(|error| trouble(address, "be used", &error))?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| {
            Fatal::new(format!("publish: no event loop can be made: {error}"), "raise the limit of open files")
        })?;
        Ok(Self { address: address.clone(), store, root, runtime })
    }

    /// The content of a small object; none where there is none. What is too large to be ours is given as nothing at all.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Fatal> {
        let read = async {
            let found = self.store.get(&self.at(name)).await?;
            let whole = found.meta.size <= LARGEST_READ;
            Ok(if whole { found.bytes().await?.to_vec() } else { Vec::new() })
        };
        match self.runtime.block_on(read) {
            Ok(content) => Ok(Some(content)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.trouble(&format!("read `{name}`"), &error)),
        }
    }

    /// Puts a small object where there is none: false where there is one.
    pub fn create(&self, name: &str, content: &[u8]) -> Result<bool, Fatal> {
        match self.put_small(name, content, PutMode::Create) {
            Ok(()) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.not_written(name, &error)),
        }
    }

    /// Puts a small object, over another if there is one.
    pub fn put(&self, name: &str, content: &[u8]) -> Result<(), Fatal> {
        self.put_small(name, content, PutMode::Overwrite).map_err(|error| self.not_written(name, &error))
    }

    /// Takes an object away; it may be gone already.
    pub fn remove(&self, name: &str) -> Result<(), Fatal> {
        match self.runtime.block_on(self.store.delete(&self.at(name))) {
            Err(error) if !matches!(error, Error::NotFound { .. }) => {
                Err(self.trouble(&format!("take `{name}` away"), &error))
            }
            _ => Ok(()),
        }
    }

    /// The objects below a folder, with their lengths.
    pub fn list(&self, folder: &str) -> Result<Vec<(String, u64)>, Fatal> {
        let below = self.at(folder);
        let found: Result<Vec<_>, _> = self.runtime.block_on(self.store.list(Some(&below)).try_collect());
        let found = found.map_err(|error| self.trouble(&format!("list `{folder}`"), &error))?;
        Ok(found.iter().filter_map(|object| Some((self.name(&object.location)?, object.size))).collect())
    }

    /// The hash that an object was sent with; none where there is no object, or one that we have not sent.
    pub fn hash(&self, name: &str) -> Result<Option<String>, Fatal> {
        let look = GetOptions { head: true, ..GetOptions::default() };
        match self.runtime.block_on(self.store.get_opts(&self.at(name), look)) {
            Ok(found) => Ok(found.attributes.get(&Attribute::Metadata(HASH.into())).map(|hash| hash.to_string())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.trouble(&format!("look at `{name}`"), &error)),
        }
    }

    /// Sends a file, over another if there is one; it is there whole or not at all. `sent` hears how many bytes have gone
    /// out.
    pub fn send(&self, source: &Source, hash: &str, sent: &mut dyn FnMut(u64)) -> Result<(), Fatal> {
        let mut file = File::open(&source.place).map_err(|error| unreadable(&source.place, &error))?;
        let attributes = attributes(&source.path, Some(hash));
        if source.bytes > CHUNK as u64 {
            return self.runtime.block_on(self.send_chunks(source, &mut file, attributes, sent));
        }
        let content = next(&mut file, source, CHUNK)?;
        let options = PutOptions { attributes, ..PutOptions::default() };
        self.put_object(&source.path, content, options).map_err(|error| self.not_written(&source.path, &error))?;
        sent(source.bytes);
        Ok(())
    }

    async fn send_chunks(
        &self,
        source: &Source,
        file: &mut File,
        attributes: Attributes,
        sent: &mut dyn FnMut(u64),
    ) -> Result<(), Fatal> {
        let options = PutMultipartOptions { attributes, ..PutMultipartOptions::default() };
        let upload = self.store.put_multipart_opts(&self.at(&source.path), options).await;
        let upload = upload.map_err(|error| self.not_written(&source.path, &error))?;
        let chunk = CHUNK.max((source.bytes as usize).div_ceil(MOST_CHUNKS));
        let mut upload = WriteMultipart::new_with_chunk_size(upload, chunk);
        if let Err(fatal) = self.pour(source, file, &mut upload, chunk, sent).await {
            // Chunks of an upload without an end would be paid for, unseen. What this says is less than what went before.
            let _ = upload.abort().await;
            return Err(fatal);
        }
        upload.finish().await.map(drop).map_err(|error| self.not_written(&source.path, &error))
    }

    async fn pour(
        &self,
        source: &Source,
        file: &mut File,
        upload: &mut WriteMultipart,
        chunk: usize,
        sent: &mut dyn FnMut(u64),
    ) -> Result<(), Fatal> {
        loop {
            let content = next(file, source, chunk)?;
            if content.is_empty() {
                return Ok(());
            }
            let room = upload.wait_for_capacity(AT_ONCE).await;
            room.map_err(|error| self.not_written(&source.path, &error))?;
            sent(content.len() as u64);
            upload.put(content.into());
        }
    }

    fn put_small(&self, name: &str, content: &[u8], mode: PutMode) -> Result<(), Error> {
        let options = PutOptions { mode, attributes: attributes(name, None), ..PutOptions::default() };
        self.put_object(name, content.to_vec(), options)
    }

    fn put_object(&self, name: &str, content: Vec<u8>, options: PutOptions) -> Result<(), Error> {
        let place = self.at(name);
        self.runtime.block_on(self.store.put_opts(&place, PutPayload::from(content), options)).map(drop)
    }

    fn at(&self, name: &str) -> Path {
        name.split('/').fold(self.root.clone(), |path, part| path.join(part))
    }

    /// The reverse of `at`.
    fn name(&self, path: &Path) -> Option<String> {
        let parts: Vec<_> = path.prefix_match(&self.root)?.map(|part| part.as_ref().to_owned()).collect();
        Some(parts.join("/"))
    }

    fn not_written(&self, name: &str, error: &Error) -> Fatal {
        self.trouble(&format!("write `{name}`"), error)
    }

    fn trouble(&self, doing: &str, error: &Error) -> Fatal {
        trouble(&self.address, doing, error)
    }
}

/// The next bytes of a file, none at its end.
fn next(file: &mut File, source: &Source, most: usize) -> Result<Vec<u8>, Fatal> {
    let mut content = Vec::new();
    let read = file.take(most as u64).read_to_end(&mut content);
    read.map(|_| content).map_err(|error| unreadable(&source.place, &error))
}

fn attributes(name: &str, hash: Option<&str>) -> Attributes {
    let kind = if name.ends_with(".json") { "application/json" } else { "application/vnd.apache.parquet" };
    let mut attributes = Attributes::from_iter([(Attribute::ContentType, kind.to_owned())]);
    if let Some(hash) = hash {
        attributes.insert(Attribute::Metadata(HASH.into()), hash.to_owned().into());
    }
    attributes
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
