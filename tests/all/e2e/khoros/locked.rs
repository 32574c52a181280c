//! A store that another process has locked.

use std::time::Duration;

use scopegate::clock::instant;
use scopegate::model::Reason;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, SqliteConnection};
use tokio::runtime::Runtime;

use super::{World, basic, owner};
use crate::e2e::harness::{Call, Connection, rest};

/// Another process, which holds the lock until it is dropped.
struct Lock {
    runtime: Runtime,
    connection: Option<SqliteConnection>,
}

impl Lock {
    fn of(world: &World) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let options = SqliteConnectOptions::new().filename(world.node.store_path());
        let connection = runtime.block_on(async {
            let mut connection = options.connect().await.unwrap();
            sqlx::query("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
            connection
        });
        Self { runtime, connection: Some(connection) }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let connection = self.connection.take().unwrap();
        self.runtime.block_on(sqlx::Connection::close(connection)).unwrap();
    }
}

fn issue(app: &str) -> Call {
    basic(&Call::post(owner(app), ""), "issuer")
}

#[test]
fn a_locked_store_refuses_within_three_seconds_however_many_ask_and_recovers() {
    let world = World::new();
    let lock = Lock::of(&world);
    let started = instant();
    let mut waiting: Vec<_> = ["alpha", "beta", "new"]
        .iter()
        .map(|app| {
            let mut connection = Connection::open(world.node.address);
            connection.send(&issue(app).bytes());
            connection
        })
        .collect();
    for connection in &mut waiting {
        let reply = connection.read(false).unwrap();
        assert_eq!((reply.status, world.node.logged(&reply).reason), (503, Some(Reason::StoreUnavailable)));
    }
    assert!(instant().duration_since(started) < Duration::from_secs(3), "{:?}", instant().duration_since(started));
    // What needs no lock goes on.
    assert_eq!(world.call(&basic(&Call::get(owner("alpha")), "issuer")).status, 404);
    drop(lock);
    for app in ["alpha", "beta"] {
        world.token(app);
    }
}

#[test]
fn a_caller_that_leaves_while_the_store_is_locked_gets_no_token() {
    let world = World::new();
    let lock = Lock::of(&world);
    let mut leaving = Connection::open(world.node.address);
    leaving.send(&issue("alpha").bytes());
    rest(Duration::from_millis(300));
    leaving.reset();
    assert_eq!(world.node.logged_of(&owner("alpha")).status, None, "the gateway has noticed");
    drop(lock);
    // A commit that waited would be there long before this one.
    world.token("beta");
    let reply = world.call(&basic(&Call::get(owner("alpha")), "issuer"));
    assert_eq!(reply.status, 404, "{}", String::from_utf8_lossy(&reply.body));
}
