//! What is done once in a whole cluster is done by who holds its lease.
//!
//! No clock is compared with that of another machine: the holder counts a number up while it lives; who wants the lease
//! watches the number by its own clock, and takes it when it has stood still for [`PATIENCE`]. A holder that cannot count
//! up gives up sooner than that. So two hold a lease at once only where one of them sleeps in the middle of its work for
//! longer than a third of [`PATIENCE`]: what is done under a lease must bear being done twice.

use std::time::{Duration, Instant};

use crate::database::{query, query_as};
use crate::{Registry, Result, new_id};

/// How long a number must stand still before its holder is taken for dead.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// How often a holder counts up.
const RENEW: Duration = Duration::from_secs(5);
/// A holder that could not count up for so long holds no more.
const GIVE_UP: Duration = Duration::from_secs(10);

/// A lease, as this process sees it. Ask [`Lease::hold`] before each piece of work.
#[derive(Debug)]
pub struct Lease {
    registry: Registry,
    name: &'static str,
    /// Differs for each value of this type, also in one process.
    holder: String,
    own: Option<Own>,
    watched: Option<Watched>,
}

#[derive(Debug)]
struct Own {
    beat: i64,
    /// When the count before which it was certainly ours began.
    renewed: Instant,
}

#[derive(Debug)]
struct Watched {
    holder: String,
    beat: i64,
    since: Instant,
}

impl Registry {
    /// The lease of this name; nobody holds it by this.
    pub fn lease(&self, name: &'static str) -> Lease {
        Lease { registry: self.clone(), name, holder: new_id(), own: None, watched: None }
    }

    /// Ends all leases. Only for a process that knows that it is alone, since its holders of before are dead.
    pub async fn end_leases(&self) -> Result<()> {
        let mut tx = self.write().await?;
        query("DELETE FROM lease").execute(&mut *tx).await?;
        Ok(tx.commit().await?)
    }
}

impl Lease {
    /// Whether the lease is ours at `now`; takes it if it is free. It stays ours for at least five seconds from then.
    ///
    /// # Errors
    /// When the registry cannot be asked and we have not been its holder lately.
    pub async fn hold(&mut self, now: Instant) -> Result<bool> {
        let Some(own) = &self.own else { return self.take(now).await };
        let (beat, age) = (own.beat, now.saturating_duration_since(own.renewed));
        if age < RENEW {
            return Ok(true);
        }
        match self.count_up(&self.holder, beat).await {
            Ok(true) => {
                self.own = Some(Own { beat: beat + 1, renewed: now });
                Ok(true)
            }
            Ok(false) => {
                self.own = None;
                Ok(false)
            }
            Err(_) if age < GIVE_UP => Ok(true),
            Err(error) => {
                self.own = None;
                Err(error)
            }
        }
    }

    /// Lets go, so that another need not wait.
    pub async fn release(&mut self) -> Result<()> {
        let Some(own) = self.own.take() else { return Ok(()) };
        let mut tx = self.registry.write().await?;
        query("UPDATE lease SET holder = '', beat = beat + 1 WHERE name = $1 AND holder = $2 AND beat = $3")
            .bind(self.name)
            .bind(&self.holder)
            .bind(own.beat)
            .execute(&mut *tx)
            .await?;
        Ok(tx.commit().await?)
    }

    async fn take(&mut self, now: Instant) -> Result<bool> {
        let found: Option<(String, i64)> = query_as("SELECT holder, beat FROM lease WHERE name = $1")
            .bind(self.name)
            .fetch_optional(&self.registry.readers)
            .await?;
        let Some((holder, beat)) = found else {
            let taken = self.enter().await?;
            self.own = taken.then_some(Own { beat: 0, renewed: now });
            return Ok(taken);
        };
        let is_free = holder.is_empty();
        let watched = self.watched.take().filter(|one| one.holder == holder && one.beat == beat);
        let watched = watched.unwrap_or(Watched { holder, beat, since: now });
        if !is_free && now.saturating_duration_since(watched.since) < PATIENCE {
            self.watched = Some(watched);
            return Ok(false);
        }
        let taken = self.count_up(&watched.holder, beat).await?;
        self.own = taken.then_some(Own { beat: beat + 1, renewed: now });
        Ok(taken)
    }

    /// The first of all holders.
    async fn enter(&self) -> Result<bool> {
        let mut tx = self.registry.write().await?;
        let made =
            query("INSERT INTO lease (name, holder, beat) VALUES ($1, $2, 0) ON CONFLICT (name) DO NOTHING")
                .bind(self.name)
                .bind(&self.holder)
                .execute(&mut *tx)
                .await?;
        tx.commit().await?;
        Ok(made.rows_affected() == 1)
    }

    /// Becomes or stays the holder if nobody else has counted up since.
    async fn count_up(&self, holder: &str, beat: i64) -> Result<bool> {
        let mut tx = self.registry.write().await?;
        let counted = query(
            "UPDATE lease SET holder = $2, beat = beat + 1 WHERE name = $1 AND holder = $3 AND beat = $4",
        )
        .bind(self.name)
        .bind(&self.holder)
        .bind(holder)
        .bind(beat)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(counted.rows_affected() == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::{on_both, place, registry_for_test};

    async fn one_holds_it_until_it_is_dead_or_lets_go() {
        let registry = registry_for_test().await;
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let (mut one, mut other) = (registry.lease("work"), registry.lease("work"));
        assert!(one.hold(at(0)).await.unwrap());
        for second in 0..60 {
            assert!(!other.hold(at(second)).await.unwrap(), "{second}");
            assert!(one.hold(at(second)).await.unwrap(), "{second}");
        }
        assert!(registry.lease("other work").hold(at(60)).await.unwrap());
        // It dies, having last counted up at second 55.
        assert!(!other.hold(at(61)).await.unwrap());
        assert!(!other.hold(at(69)).await.unwrap());
        assert!(other.hold(at(76)).await.unwrap());
        // It was not dead: it finds out when it comes to.
        assert!(!one.hold(at(77)).await.unwrap());
        assert!(other.hold(at(82)).await.unwrap());
        other.release().await.unwrap();
        assert!(one.hold(at(83)).await.unwrap(), "nobody need wait for who has let go");
        assert!(!other.hold(at(83)).await.unwrap());
        registry.end_leases().await.unwrap();
        assert!(other.hold(at(84)).await.unwrap());
    }

    async fn without_a_registry_a_holder_gives_up_before_others_take_over() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(place(&folder.path().join("registry.db"))).await.unwrap();
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut lease = registry.lease("work");
        assert!(lease.hold(at(0)).await.unwrap());
        registry.hold_writes(true).await.unwrap();
        assert!(lease.hold(at(9)).await.unwrap());
        assert!(lease.hold(at(11)).await.is_err());
        assert!(lease.hold(at(12)).await.is_ok_and(|held| !held), "it is one of those who wait");
        registry.hold_writes(false).await.unwrap();
        assert!(lease.hold(at(28)).await.unwrap());
    }

    async fn of_many_at_once_one_takes_it() {
        let folder = tempfile::tempdir().unwrap();
        let registry = Registry::open(place(&folder.path().join("registry.db"))).await.unwrap();
        let now = Instant::now();
        let tries = (0..8).map(|_| {
            let mut lease = registry.lease("work");
            tokio::spawn(async move { lease.hold(now).await.unwrap() })
        });
        let mut held = 0;
        for one in tries.collect::<Vec<_>>() {
            held += usize::from(one.await.unwrap());
        }
        assert_eq!(held, 1);
    }

    on_both!(
        one_holds_it_until_it_is_dead_or_lets_go,
        without_a_registry_a_holder_gives_up_before_others_take_over,
        of_many_at_once_one_takes_it,
    );
}
