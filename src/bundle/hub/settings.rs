//! Where the hub is, who asks, where its files are kept, and how patient we are.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

/// What a pull must know of its surroundings. `cli` fills it in from the environment.
#[derive(Debug, Clone)]
pub struct Hub {
    /// `https://huggingface.co`, or a mirror that speaks the same protocol; no slash at the end.
    pub endpoint: String,
    /// Sent to the endpoint and to no other host.
    pub token: Option<Token>,
    /// The folder that huggingface_hub calls `HF_HUB_CACHE`.
    pub cache: PathBuf,
    /// Only what the cache holds.
    pub offline: bool,
    /// How often and how slowly a request is repeated.
    pub patience: Patience,
}

/// A secret: it is sent, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(...)")
    }
}

/// How often and how slowly a request is repeated that may yet succeed.
#[derive(Clone)]
pub struct Patience {
    /// Attempts in a row that bring no byte before we give up.
    pub attempts: u32,
    /// The pause after the first failure; each further one is twice as long.
    pub first: Duration,
    /// No pause is longer, also when the server asks for a longer one.
    pub longest: Duration,
    /// To connect, and between two reads of a body.
    pub silence: Duration,
    /// How a pause is made; tests write it down instead.
    pub sleep: Arc<dyn Fn(Duration) + Send + Sync>,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 6,
            first: Duration::from_secs(1),
            longest: Duration::from_secs(300),
            silence: Duration::from_secs(60),
            sleep: Arc::new(std::thread::sleep),
        }
    }
}

impl Patience {
    /// The pause after the `failures`th failure in a row, or what the server asks for if that is longer.
    pub fn pause(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let grown = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20));
        grown.max(asked.unwrap_or_default()).min(self.longest)
    }
}

impl fmt::Debug for Patience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Patience({} attempts, {:?} to {:?})", self.attempts, self.first, self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_the_server_may_ask_for_longer_ones_within_reason() {
        let patience = Patience::default();
        let seconds = |failures, asked: Option<u64>| patience.pause(failures, asked.map(Duration::from_secs)).as_secs();
        assert_eq!([1, 2, 3, 4].map(|failures| seconds(failures, None)), [1, 2, 4, 8]);
        assert_eq!([Some(30), Some(86_400)].map(|asked| seconds(1, asked)), [30, 300]);
        assert_eq!(seconds(u32::MAX, None), 300);
    }

    #[test]
    fn a_token_is_never_shown() {
        assert!(!format!("{:?}", Token("hf_secret".to_owned())).contains("secret"));
    }
}
