//! Keeps one token fresh: does what the schedule says, with the file, the gateway and the clock that it is given.

use std::fmt;

use super::super::call::Transport;
use super::super::skew::Skew;
use super::file::{FileError, Replacement, TokenFile};
use super::issuer::{Fresh, Issuer, Refused, claimed, read_token};
use super::schedule::{Action, Last, Life, Schedule, alert};
use crate::clock::{Clock, Timestamp};
use crate::secret::Secret;

/// What a keeper works with.
pub struct Parts<T> {
    pub issuer: Issuer,
    pub file: TokenFile,
    pub schedule: Schedule,
    pub clock: Clock,
    pub transport: T,
    /// Numbers from 0 to 1 by chance, for the waits.
    pub draw: Box<dyn FnMut() -> f64 + Send>,
}

/// What comes next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Nothing before this time of this machine's clock, but the file may be replaced by hand before it.
    Wait(Timestamp),
    /// It failed, and the token is about to end, or there is none.
    GiveUp,
}

/// What happened. No token is in any of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    Refreshed {
        until: Timestamp,
    },
    /// Somebody else put another token into the file.
    Replaced,
    ClockDiffers(Skew),
    Failed {
        text: String,
        left: Option<std::time::Duration>,
    },
    /// So few days are left, and no refresh has succeeded.
    Alert {
        days: u64,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refreshed { until } => write!(f, "refreshed: the token is good until {until}"),
            Self::Replaced => f.write_str("the file holds another token now, which is used from here on"),
            Self::ClockDiffers(skew) => write!(f, "this machine's clock is {skew}, and is corrected for it here"),
            Self::Failed { text, left: None } => write!(f, "not refreshed: {text}"),
            Self::Failed { text, left: Some(left) } => {
                let left = humantime::format_duration(std::time::Duration::from_secs(left.as_secs()));
                write!(f, "not refreshed, {left} left: {text}")
            }
            Self::Alert { days } => {
                write!(f, "ALERT: the token ends in less than {days} days, and could not be refreshed")
            }
        }
    }
}

/// For metrics.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Numbers {
    pub refreshes: u64,
    pub failures: u64,
    pub last_success: Option<Timestamp>,
    /// Of the token in the file.
    pub until: Option<Timestamp>,
    pub skew_secs: i64,
}

pub struct Keeper<T> {
    parts: Parts<T>,
    /// The token that the file held at the last look, or that is to be put there.
    token: Option<Secret>,
    life: Option<Life>,
    last: Last,
    /// A new token that could not be put into the file yet.
    unkept: Option<Replacement>,
    alerted: Option<u64>,
    skew: Skew,
    numbers: Numbers,
    events: Vec<Event>,
}

impl<T: Transport> Keeper<T> {
    pub fn new(parts: Parts<T>) -> Self {
        Self {
            parts,
            token: None,
            life: None,
            last: Last::Good,
            unkept: None,
            alerted: None,
            skew: Skew::default(),
            numbers: Numbers::default(),
            events: Vec::new(),
        }
    }

    /// Looks at the file and the clock, and refreshes if it is time to; one attempt at the most, and one more where the
    /// clock was to blame. Never to be dropped halfway: a token that was given out would be lost.
    ///
    /// # Errors
    /// When the file can't be read, or there is no token in it to refresh.
    pub async fn step(&mut self) -> Result<Step, FileError> {
        if self.unkept.is_some() {
            self.keep_unkept();
        } else {
            self.look()?;
            if self.action() == Action::Refresh {
                self.refresh().await?;
            }
        }
        if let (Some(life), Last::Failed { .. }) = (self.life, self.last)
            && let Some(days) = alert(life, self.now(), self.alerted)
        {
            self.alerted = Some(days);
            self.events.push(Event::Alert { days });
        }
        self.numbers.until = self.life.map(|life| life.until);
        if self.unkept.is_some() {
            return Ok(Step::Wait(self.parts.clock.now().after(Schedule::SHORTEST_RETRY)));
        }
        Ok(match self.action() {
            Action::GiveUp => Step::GiveUp,
            Action::Wait(until) => Step::Wait(self.skew.local(until)),
            // What failed a moment ago and may be tried at once, or a token whose whole life is over too soon.
            Action::Refresh => Step::Wait(self.parts.clock.now().after(Schedule::SHORTEST_RETRY)),
        })
    }

    /// What happened since the last call of this.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether a new token waits to be put into the file: who ends now loses it.
    pub fn holds_unkept(&self) -> bool {
        self.unkept.is_some()
    }

    pub fn numbers(&self) -> Numbers {
        self.numbers
    }

    /// The gateway's time, as far as it is known.
    pub fn now(&self) -> Timestamp {
        self.skew.corrected(self.parts.clock.now())
    }

    fn action(&self) -> Action {
        self.parts.schedule.next(self.now(), self.life, self.last)
    }

    /// Takes over what the file holds, if it is not what it held; whether it is another.
    fn look(&mut self) -> Result<bool, FileError> {
        let found = self.parts.file.read()?;
        if found.is_none() || found == self.token {
            return Ok(false);
        }
        let is_replaced = self.token.is_some();
        if is_replaced {
            self.events.push(Event::Replaced);
        }
        let Some(text) = found else { return Ok(false) };
        // The answer to the first token's creation, put here as it came: readers want the token alone.
        match read_token(text.expose()) {
            Some(Fresh { token, until }) => {
                self.parts.file.prepare()?.commit(&token)?;
                self.adopt(token, until);
            }
            None => {
                let until = claimed(&text).1;
                self.adopt(text, until);
            }
        }
        // Whoever put it there a moment ago has just got it; to refresh it at once would be a race without an end.
        if is_replaced && self.life.is_none() {
            let from = self.now();
            self.life = Some(Life { from, until: from.after(self.parts.issuer.assumed_life()) });
        }
        Ok(true)
    }

    fn adopt(&mut self, token: Secret, until: Option<Timestamp>) {
        let from = claimed(&token).0;
        self.life = until.map(|until| Life {
            // Where nobody says when it was made: long enough ago that the rule of 30 days is the one that holds.
            from: from.unwrap_or_else(|| until.before(90 * self.parts.issuer.assumed_life())).min(until),
            until,
        });
        (self.token, self.last, self.alerted) = (Some(token), Last::Good, None);
    }

    async fn refresh(&mut self) -> Result<(), FileError> {
        // Before the gateway gives a token out, so that it is not lost.
        let mut replacement = match self.parts.file.prepare() {
            Ok(replacement) => replacement,
            Err(error) => {
                self.fail(None, format!("the new token could not be kept: {error}"));
                return Ok(());
            }
        };
        match self.exchange().await {
            Ok(fresh) => {
                let now = self.now();
                let until = fresh.until.filter(|until| *until > now);
                let until = until.unwrap_or_else(|| now.after(self.parts.issuer.assumed_life()));
                self.adopt(fresh.token, Some(until));
                self.life = Some(Life { from: now, until });
                self.numbers.refreshes += 1;
                self.numbers.last_success = Some(now);
                if let Some(token) = &self.token
                    && let Err(error) = replacement.commit(token)
                {
                    self.unkept = Some(replacement);
                    self.fail(None, format!("there is a new token, which could not be kept: {error}"));
                } else {
                    self.events.push(Event::Refreshed { until });
                }
            }
            // Somebody else may have refreshed the token in between, and have put the new one into the file.
            Err(_) if self.look()? => {}
            Err(refused) => self.fail(refused.retry_after, refused.text),
        }
        Ok(())
    }

    /// One call, and one more where the gateway refuses what a wrong clock made.
    async fn exchange(&mut self) -> Result<Fresh, Refused> {
        let used = self.skew.secs();
        let answer = self.call().await;
        match answer {
            Err(refused)
                if refused.is_unauthorized && !self.parts.issuer.needs_current() && self.skew.secs() != used =>
            {
                self.call().await
            }
            answer => answer,
        }
    }

    async fn call(&mut self) -> Result<Fresh, Refused> {
        let failed = |text: String| Refused { is_unauthorized: false, retry_after: None, text };
        let request = self.parts.issuer.request(self.token.as_ref(), self.now()).map_err(failed)?;
        let sent = self.parts.clock.now();
        let answer = self.parts.transport.send(request).await.map_err(|error| failed(error.to_string()))?;
        if let Some(skew) = Skew::measure(sent, self.parts.clock.now(), answer.headers()) {
            if skew.secs() != self.skew.secs() {
                self.events.push(Event::ClockDiffers(skew));
            }
            (self.skew, self.numbers.skew_secs) = (skew, skew.secs());
        }
        self.parts.issuer.read(&answer, self.now())
    }

    fn fail(&mut self, retry_after: Option<std::time::Duration>, text: String) {
        let times = match self.last {
            Last::Good => 1,
            Last::Failed { times, .. } => times.saturating_add(1),
        };
        let (at, draw) = (self.now(), (self.parts.draw)());
        self.last = Last::Failed { times, at, retry_after, draw };
        self.numbers.failures += 1;
        self.events.push(Event::Failed { text, left: self.life.map(|life| life.left(at)) });
    }

    fn keep_unkept(&mut self) {
        let (Some(mut replacement), Some(token)) = (self.unkept.take(), &self.token) else { return };
        match (replacement.commit(token), self.life) {
            (Ok(()), life) => {
                self.last = Last::Good;
                self.events.extend(life.map(|life| Event::Refreshed { until: life.until }));
            }
            (Err(error), _) => {
                self.unkept = Some(replacement);
                self.fail(None, format!("there is a new token, which could not be kept: {error}"));
            }
        }
    }
}
