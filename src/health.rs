//! What is wrong with the parts of a running gateway: each part tells, readiness shows.

use std::sync::{Arc, Mutex, PoisonError};

/// What is wrong with one part, if anything. Copies share it.
#[derive(Clone, Debug, Default)]
pub struct Fault(Arc<Mutex<Option<String>>>);

impl Fault {
    /// Says what is wrong; whether that is news.
    pub fn set(&self, what: impl Into<String>) -> bool {
        let what = Some(what.into());
        let mut fault = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = *fault != what;
        *fault = what;
        is_news
    }

    /// Nothing is wrong; whether anything was.
    pub fn clear(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take().is_some()
    }

    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_news_once_and_so_is_its_end() {
        let fault = Fault::default();
        assert!(!fault.clear());
        assert!(fault.set("full") && !fault.clone().set("full") && fault.set("gone"));
        assert_eq!(fault.get().as_deref(), Some("gone"));
        assert!(fault.clear() && !fault.clear() && fault.get().is_none());
    }
}
