//! Where in which bucket, from an address as people write it.

use std::{fmt, sync::Arc};

use object_store::{ObjectStore, ObjectStoreScheme, parse_url_opts, path::Path};
use url::Url;

use super::trouble::shown;
use crate::base::Fatal;

/// What a request may take, where the environment says nothing: a chunk over a slow line.
const PATIENCE: (&str, &str) = ("timeout", "300 seconds");

/// A place in a bucket, and what is needed to get there.
#[derive(Clone)]
pub struct Address {
    url: Url,
    scheme: ObjectStoreScheme,
    /// Names in lower case, as `aws_region`, and values, which may be secrets.
    settings: Vec<(String, String)>,
}

impl Address {
    /// `text` is `s3://BUCKET/PATH`, `gs://BUCKET/PATH`, `az://CONTAINER/PATH`,
    /// `abfss://CONTAINER@ACCOUNT.dfs.core.windows.net/PATH`, or an `https` address of one of these services.
    /// `variables` are those of the environment; what begins with `AWS_`, `AZURE_` or `GOOGLE_` says who we are and how the
    /// service is to be reached.
    ///
    /// # Errors
    /// When it is no address of a bucket, or holds a secret or anything else beside the place.
    pub fn new(text: &str, variables: impl Iterator<Item = (String, String)>) -> Result<Self, Fatal> {
        let url = Url::parse(text).map_err(|_| no_bucket(text))?;
        let (scheme, _) = ObjectStoreScheme::parse(&url).map_err(|_| no_bucket(text))?;
        let prefix = prefix(&scheme).ok_or_else(|| no_bucket(text))?;
        if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
            return Err(Fatal::new(
                format!("publish: `{}` holds more than a place", shown(text)),
                "give the place alone; who you are belongs into the environment, as AWS_ACCESS_KEY_ID or AZURE_STORAGE_SAS_KEY",
            ));
        }
        let of_service = variables.filter(|(name, value)| name.starts_with(prefix) && !value.trim().is_empty());
        let settings = of_service.map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        Ok(Self { url, scheme, settings })
    }

    /// The service, and the path in it.
    pub(super) fn connect(&self) -> object_store::Result<(Arc<dyn ObjectStore>, Path)> {
        let patience = [PATIENCE].map(|(name, value)| (name.to_owned(), value.to_owned()));
        let (store, path) = parse_url_opts(&self.url, patience.iter().chain(&self.settings).cloned())?;
        Ok((Arc::from(store), path))
    }

    /// The variables of the environment that say who we are.
    pub(super) fn variables(&self) -> &'static str {
        match self.scheme {
            ObjectStoreScheme::AmazonS3 => {
                "AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and, for other services, AWS_ENDPOINT_URL"
            }
            ObjectStoreScheme::GoogleCloudStorage => "GOOGLE_APPLICATION_CREDENTIALS or GOOGLE_SERVICE_ACCOUNT",
            _ => "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY or AZURE_STORAGE_SAS_KEY",
        }
    }
}

/// How the names of a service's variables begin.
fn prefix(scheme: &ObjectStoreScheme) -> Option<&'static str> {
    match scheme {
        ObjectStoreScheme::AmazonS3 => Some("AWS_"),
        ObjectStoreScheme::GoogleCloudStorage => Some("GOOGLE_"),
        ObjectStoreScheme::MicrosoftAzure => Some("AZURE_"),
        _ => None,
    }
}

fn no_bucket(text: &str) -> Fatal {
    Fatal::new(
        format!("publish: `{}` is no address of a bucket", shown(text)),
        "give one such as s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH",
    )
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self}, {} settings)", self.settings.len())
    }
}
