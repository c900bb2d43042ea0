//! Looking names up.
//!
//! The operating system's resolver cannot be told to stop, and how long it takes is up to the servers that answer for a name, which are its
//! owner's. So a lookup has a thread of its own and not one that other work waits for; there is one for a name at a time, which all who want
//! that name wait for, however often they give up and come again; and there are at most [`MAX_LOOKUPS`]. Of an answer, however long, a bounded
//! number of addresses is kept.

use std::{
    collections::HashMap,
    io,
    net::{SocketAddr, ToSocketAddrs as _},
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
};

use futures::{
    channel::oneshot,
    future::{FutureExt as _, Shared},
};
use kinitro_domain::Cause;

use crate::{
    Fault,
    destination::MAX_ADDRESSES,
    local::{lacking, our_fault},
};

/// The most names that are looked up at a time: more than a subnet has miners.
const MAX_LOOKUPS: usize = 512;

type Found = Result<Vec<SocketAddr>, Fault>;
type Resolver = fn(&str) -> io::Result<Vec<SocketAddr>>;

/// The lookups that are under way. Clones are the same ones.
#[derive(Clone)]
struct Lookups {
    under_way: Arc<Mutex<HashMap<String, Shared<oneshot::Receiver<Found>>>>>,
    resolver: Resolver,
}

static LOOKUPS: LazyLock<Lookups> = LazyLock::new(|| Lookups::new(system_resolver));

/// The addresses of a name, one more than [`MAX_ADDRESSES`] when there are more. How long that takes is the caller's to bound.
pub(crate) async fn look_up(host: &str, port: u16) -> Found {
    let mut addresses = LOOKUPS.find(host).await?;
    addresses.iter_mut().for_each(|address| address.set_port(port));
    Ok(addresses)
}

#[expect(clippy::disallowed_methods, reason = "every look-up has a thread of its own")]
fn system_resolver(host: &str) -> io::Result<Vec<SocketAddr>> {
    Ok((host, 0).to_socket_addrs()?.take(MAX_ADDRESSES + 1).collect())
}

impl Lookups {
    fn new(resolver: Resolver) -> Self {
        Self { under_way: Arc::default(), resolver }
    }

    fn under_way(&self) -> MutexGuard<'_, HashMap<String, Shared<oneshot::Receiver<Found>>>> {
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn find(&self, host: &str) -> Found {
        let lookup = self.join(host)?;
        lookup.await.unwrap_or_else(|_| Err(ours("the thread that looked a name up is gone")))
    }

    /// The lookup of a name that is under way, or else a new one.
    fn join(&self, host: &str) -> Result<Shared<oneshot::Receiver<Found>>, Fault> {
        let mut under_way = self.under_way();
        if let Some(lookup) = under_way.get(host) {
            return Ok(lookup.clone());
        }
        if under_way.len() >= MAX_LOOKUPS {
            return Err(ours(format!("this executor looks {MAX_LOOKUPS} names up already")));
        }
        let (sender, receiver) = oneshot::channel();
        let (lookups, name) = (self.clone(), host.to_owned());
        let begun = thread::Builder::new().name("name lookup".to_owned()).spawn(move || {
            let found = (lookups.resolver)(&name).map_err(|error| match lacking(error) {
                Ok(lacking) => our_fault(&lacking),
                Err(error) => {
                    let what = format!("the endpoint's name cannot be resolved: {error}");
                    Fault::new(Cause::PolicyUnreachable, what)
                }
            });
            lookups.under_way().remove(&name);
            // The caller may have given up.
            drop(sender.send(found));
        });
        begun.map_err(|error| our_fault(&error))?;
        let lookup = receiver.shared();
        under_way.insert(host.to_owned(), lookup.clone());
        Ok(lookup)
    }
}

fn ours(what: impl AsRef<str>) -> Fault {
    Fault::new(Cause::Executor, what)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };

    use tokio::time::timeout;

    use super::*;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn a_name_server_that_never_answers_holds_one_thread_however_often_it_is_asked() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let lookups = Lookups::new(|_| {
            ASKED.fetch_add(1, Ordering::SeqCst);
            loop {
                thread::park();
            }
        });
        for _ in 0..50 {
            assert!(timeout(MOMENT, lookups.find("slow.example")).await.is_err());
        }
        assert_eq!((ASKED.load(Ordering::SeqCst), lookups.under_way().len()), (1, 1));
    }

    #[tokio::test]
    async fn names_that_are_slow_do_not_take_all_threads_and_do_not_hold_others_up() {
        let lookups = Lookups::new(|host| match host {
            "quick.example" => Ok(vec!["192.0.2.1:0".parse().unwrap()]),
            _ => loop {
                thread::park();
            },
        });
        for number in 0..MAX_LOOKUPS - 1 {
            drop(lookups.join(&format!("slow-{number}.example")).unwrap());
        }
        assert_eq!(lookups.find("quick.example").await.unwrap().len(), 1);
        drop(lookups.join("one-more.example").unwrap());
        assert_eq!(lookups.find("too-many.example").await.unwrap_err().cause(), Cause::Executor);
        assert_eq!(lookups.under_way().len(), MAX_LOOKUPS);
    }

    #[tokio::test]
    async fn who_comes_while_a_name_is_looked_up_is_told_the_same_and_the_next_one_asks_anew() {
        static ASKED: AtomicUsize = AtomicUsize::new(0);
        let lookups = Lookups::new(|_| {
            #[expect(clippy::disallowed_methods, reason = "every look-up has a thread of its own")]
            thread::sleep(10 * MOMENT);
            let number = ASKED.fetch_add(1, Ordering::SeqCst);
            Ok(vec![SocketAddr::new([192, 0, 2, number as u8].into(), 0)])
        });
        let (first, second) = tokio::join!(lookups.find("a.example"), lookups.find("a.example"));
        assert_eq!(first, second);
        assert_ne!(lookups.find("a.example").await, first);
        assert!(lookups.under_way().is_empty());
    }
}
