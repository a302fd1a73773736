//! Who is logged in: sessions in memory, gone when the router stops.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::token::{TokenError, equal, random_hex};

/// Sessions kept; the least recently used one makes room. A person has a few browsers, and each one
/// costs 200 octets.
pub const SESSIONS_MAX: usize = 16;

/// A session that nobody used for so long is closed: a working day and the evening, as an open page
/// counts as use.
pub const SESSION_IDLE_MAX: Duration = Duration::from_secs(12 * 3600);

/// A session is closed at this age whatever its use, so that a stolen cookie dies within a week.
pub const SESSION_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// One login: the cookie's value and the token that every POST of that session repeats.
#[derive(Clone)]
pub struct Session {
    /// Value of the cookie, 64 hex characters.
    pub id: String,
    /// What the page puts into the header `x-srwan-csrf`, 64 hex characters.
    pub csrf: String,
    opened: Instant,
    used: Instant,
}

impl Session {
    fn is_alive(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.used) < SESSION_IDLE_MAX
            && now.saturating_duration_since(self.opened) < SESSION_AGE_MAX
    }
}

/// The open sessions, at most [`SESSIONS_MAX`].
pub struct Sessions {
    open: Mutex<Vec<Session>>,
    closed: watch::Sender<()>,
}

impl Default for Sessions {
    fn default() -> Self {
        Self { open: Mutex::default(), closed: watch::Sender::new(()) }
    }
}

impl Sessions {
    /// Opens a session at `now`; closes the least recently used one if there are too many.
    ///
    /// **Errors:** no random numbers; the login must be refused.
    pub fn open(&self, now: Instant) -> Result<Session, TokenError> {
        let session = Session { id: random_hex()?, csrf: random_hex()?, opened: now, used: now };
        let mut open = self.lock();
        open.retain(|other| other.is_alive(now));
        if open.len() >= SESSIONS_MAX {
            let oldest = open.iter().enumerate().min_by_key(|(_, other)| other.used);
            if let Some((index, _)) = oldest {
                open.swap_remove(index);
                self.closed.send_replace(());
            }
        }
        open.push(session.clone());
        Ok(session)
    }

    /// The session named `id` if it is open at `now`, which counts as use. All ids are compared, in
    /// constant time.
    pub fn find(&self, id: &str, now: Instant) -> Option<Session> {
        let mut open = self.lock();
        open.retain(|other| other.is_alive(now));
        let mut found = None;
        for (index, other) in open.iter().enumerate() {
            if equal(other.id.as_bytes(), id.as_bytes()) {
                found = Some(index);
            }
        }
        let session = open.get_mut(found?)?;
        session.used = now;
        Some(session.clone())
    }

    /// Closes the session named `id`, and with it the sockets that were opened under it.
    pub fn close(&self, id: &str) {
        self.lock().retain(|other| !equal(other.id.as_bytes(), id.as_bytes()));
        self.closed.send_replace(());
    }

    /// Changes whenever a session is closed before its time: a holder of an open socket checks its
    /// own then.
    pub fn closings(&self) -> watch::Receiver<()> {
        self.closed.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_or_old_session_is_closed() {
        let start = Instant::now();
        let sessions = Sessions::default();
        let idle = sessions.open(start).unwrap();
        assert!(sessions.find(&idle.id, start + SESSION_IDLE_MAX / 2).is_some());
        assert!(sessions.find(&idle.id, start + SESSION_IDLE_MAX).is_some(), "use prolongs it");
        assert!(sessions.find(&idle.id, start + SESSION_IDLE_MAX * 2).is_none());

        let busy = sessions.open(start).unwrap();
        let mut now = start;
        while now < start + SESSION_AGE_MAX - SESSION_IDLE_MAX {
            now += SESSION_IDLE_MAX / 2;
            assert!(sessions.find(&busy.id, now).is_some());
        }
        assert!(sessions.find(&busy.id, start + SESSION_AGE_MAX).is_none());
    }

    #[test]
    fn the_least_recently_used_session_makes_room() {
        let start = Instant::now();
        let sessions = Sessions::default();
        let at = |step: usize| start + Duration::from_secs(u64::try_from(step).unwrap());
        let open: Vec<_> = (0..SESSIONS_MAX).map(|i| sessions.open(at(i)).unwrap()).collect();
        assert!(sessions.find(&open[0].id, at(100)).is_some());
        sessions.open(at(101)).unwrap();
        assert!(sessions.find(&open[0].id, at(102)).is_some());
        assert!(sessions.find(&open[1].id, at(102)).is_none());
    }
}
