//! What a call costs, step by step and as a whole. Each result is checked once before it is timed.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a bench stops where something is not as it says")]

use std::convert::Infallible;
use std::future::{Future as _, Ready, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::Empty;
use jsonwebtoken::Algorithm;
use scopegate::clock::{Clock, Timestamp};
use scopegate::gateway::{AccessLog, Entry, Gate, Outbound, Quotas, Refused, stack};
use scopegate::jose::Compact;
use scopegate::model::{AppNumber, QuotaName};
use scopegate::policy::{Found, Quota, QuotaKey, QuotaWindow, Requirement, Route, RouteTable, authorize};
use scopegate::registry::{Snapshot, Version};
use scopegate::replay::{
    Answer, Durability, FirstUse, InProcess, Journal as _, JournalEntry, Journalled, ReplayMemory, UseHash,
};
use scopegate::store::ReplayJournal;
use scopegate::verify::{TokenRules, Verifier};
use tower::Service;

use support::encryption::{header, seal};
use support::registry::{ACCOUNT, BOT, ENCRYPTED, registry};
use support::routes::{anonymous, authenticator, route, token_settings};
use support::{Format, Gateway, Token, now};

#[path = "../tests/all/support/mod.rs"]
#[expect(dead_code, unused_imports, reason = "benches use a part of what tests use")]
mod support;

const CACHE: u64 = 1 << 20;

fn parse(c: &mut Criterion) {
    for algorithm in [Algorithm::HS256, Algorithm::RS256] {
        let token = Token::of(ACCOUNT).signed(algorithm).make();
        assert!(Compact::parse(token.as_bytes(), 4096).is_ok());
        c.bench_function(&format!("parse/{algorithm:?}"), |b| {
            b.iter(|| Compact::parse(black_box(token.as_bytes()), 4096));
        });
    }
}

fn verify(c: &mut Criterion) {
    let rules = TokenRules::new(token_settings("bench"));
    let snapshot = Snapshot::new(Version(1), registry());
    let mut time = |name: &str, verifier: &Verifier, algorithm| {
        let token = Token::of(ACCOUNT).signed(algorithm).make();
        let verify = || verifier.verify(black_box(token.as_bytes()), &rules, &snapshot, now());
        assert_eq!(verify().unwrap().app().client_id.as_str(), ACCOUNT);
        c.bench_function(&format!("verify/{name}/{algorithm:?}"), |b| b.iter(verify));
    };
    let algorithms =
        [Algorithm::HS256, Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
    for algorithm in algorithms {
        time("uncached", &Verifier::new(0), algorithm);
    }
    time("cached", &Verifier::new(CACHE), Algorithm::HS256);
    time("cached", &Verifier::new(CACHE), Algorithm::RS256);
}

/// A nested token, opened and proved; and one that was seen before.
fn decrypt(c: &mut Criterion) {
    let rules = TokenRules::new(token_settings("bench"));
    let snapshot = Snapshot::new(Version(1), registry());
    let inner = Token::of(ENCRYPTED).make();
    for (algorithm, kid) in [("RSA-OAEP", "k-rsa"), ("RSA-OAEP-256", "k-rsa"), ("ECDH-ES", "k-p256")] {
        let token = seal(&header(algorithm, "A256GCM", kid), &inner);
        for (name, cache) in [("uncached", 0), ("cached", CACHE)] {
            let verifier = Verifier::new(cache);
            let verify = || verifier.verify(black_box(token.as_bytes()), &rules, &snapshot, now());
            assert_eq!(verify().unwrap().app().client_id.as_str(), ENCRYPTED);
            c.bench_function(&format!("decrypt/{name}/{algorithm}"), |b| b.iter(verify));
        }
    }
}

/// The routes of the kore profile, all of them open.
fn kore() -> RouteTable {
    let profile: toml_edit::DocumentMut = include_str!("../config/profiles/kore.toml").parse().unwrap();
    let entries = profile["route"].as_array_of_tables().unwrap();
    let routes = entries.iter().map(|entry| {
        let methods = entry["methods"].as_array().unwrap().iter();
        let methods: Vec<Method> = methods.map(|m| m.as_str().unwrap().parse().unwrap()).collect();
        let several = entry["path"].as_array().into_iter().flatten().filter_map(|p| p.as_str());
        let paths: Vec<&str> = entry["path"].as_str().into_iter().chain(several).collect();
        let first = route(entry["id"].as_str().unwrap(), &methods, paths[0], &anonymous(), Requirement::Nothing);
        Arc::new(Route { patterns: paths.iter().map(|p| p.parse().unwrap()).collect(), ..first })
    });
    RouteTable::new(routes.collect()).unwrap()
}

fn routes(c: &mut Criterion) {
    let table = kore();
    assert!(table.routes().len() > 80, "the table of a whole platform");
    let paths = [("first", "/api/public/uploadfile", Method::POST), ("deep", DEEP, Method::POST)];
    for (name, path, method) in paths {
        let Found::Route { route, .. } = table.find("bots.example", &method, path) else { panic!("no route: {path}") };
        assert!(route.methods.contains(&method));
        c.bench_function(&format!("route/{name}"), |b| {
            b.iter(|| matches!(table.find("bots.example", &method, black_box(path)), Found::Route { .. }));
        });
    }
    assert!(matches!(table.find("bots.example", &Method::GET, "/api/public/nowhere"), Found::Nothing));
    c.bench_function("route/none", |b| {
        b.iter(|| matches!(table.find("bots.example", &Method::GET, black_box("/api/public/nowhere")), Found::Nothing));
    });
}

const DEEP: &str = "/api/public/bot/st-0c6e2d3a-9e8f-5c62-8a57-1d2f3e4a5b6c/import/botfunctions";

fn authorization(c: &mut Criterion) {
    let snapshot = Snapshot::new(Version(1), registry());
    let (table, path) = (support::routes::table(), "/kore/bot/st-1/logs");
    let Found::Route { route, pattern, params } = table.find("", &Method::GET, path) else { panic!("no route") };
    let pattern = &route.patterns[pattern];
    for (level, id) in [("bot", BOT), ("account", ACCOUNT)] {
        let app = snapshot.app(id).unwrap();
        let judge = || authorize(&**black_box(app), route, pattern, &params, path, None, &snapshot);
        assert_eq!(judge().unwrap().bot.unwrap().as_str(), "st-1");
        c.bench_function(&format!("authorize/{level}"), |b| b.iter(judge));
    }
}

/// A log that keeps nothing.
struct Silence;

impl AccessLog for Silence {
    fn write(&self, entry: &Entry<'_>) {
        black_box(entry.status);
    }
}

type Leaf = fn(Outbound<Empty<Bytes>>) -> Ready<Result<Response<Empty<Bytes>>, Refused>>;

/// A call whose leaf answers at once never waits.
fn answer<S, R>(service: &mut S, request: Request<Empty<Bytes>>) -> u16
where
    S: Service<Request<Empty<Bytes>>, Response = Response<R>, Error = Infallible>,
    R: http_body::Body<Data = Bytes>,
{
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(response)) = pin!(service.call(request)).poll(&mut context) else { panic!("it waits") };
    let status = response.status().as_u16();
    let mut body = pin!(response.into_body());
    while !body.is_end_stream() {
        if !matches!(body.as_mut().poll_frame(&mut context), Poll::Ready(Some(Ok(_)))) {
            break;
        }
    }
    status
}

fn whole(c: &mut Criterion) {
    let leaf: Leaf = |_| ready(Ok(Response::new(Empty::new())));
    let cases = [
        ("cached/HS256", CACHE, Algorithm::HS256, 200),
        ("cached/RS256", CACHE, Algorithm::RS256, 200),
        ("uncached/HS256", 0, Algorithm::HS256, 200),
        ("uncached/RS256", 0, Algorithm::RS256, 200),
    ];
    let mut time = |name: &str, cache, token: &str, status| {
        let gateway = Gateway::new();
        let (log, verifier) = (Arc::new(Silence), Arc::new(Verifier::new(cache)));
        let mut service = stack(&Gate { log, verifier, ..gateway.gate }, tower::service_fn(leaf));
        let request = Format::Problem.request("GET", "/bot/st-1/logs", token).body(Empty::<Bytes>::new()).unwrap();
        assert_eq!(answer(&mut service, request.clone()), status, "{name}");
        c.bench_function(&format!("stack/{name}"), |b| {
            b.iter_batched(|| request.clone(), |request| answer(&mut service, request), BatchSize::SmallInput);
        });
    };
    for (name, cache, algorithm, status) in cases {
        time(name, cache, &Token::of(ACCOUNT).signed(algorithm).make(), status);
    }
    time("refused/signature", CACHE, &Token::of(ACCOUNT).secret("another secret that is long enough").make(), 401);
    time("refused/malformed", CACHE, "hello", 401);
}

/// A use of its own for each call.
fn use_up(memory: &dyn ReplayMemory) -> Answer {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let jti = format!("0b9f6f0e-8a57-4d2f-{:016x}", COUNT.fetch_add(1, Ordering::Relaxed));
    let now = Clock::System.now();
    let until = Timestamp::from_secs(now.secs() + 300);
    memory.first_use(AppNumber(1), black_box(&jti), until, now)
}

const FOR_ALL: usize = usize::MAX;

fn first_use(c: &mut Criterion) {
    let memory = InProcess::new(FOR_ALL, Clock::System).unwrap();
    c.bench_function("first_use/memory", |b| {
        b.iter(|| assert!(matches!(use_up(&memory), Answer::Now(FirstUse::Recorded))));
    });
    drop(memory);
    let worker = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, durability) in [("process", Durability::Process), ("power", Durability::Power)] {
        let journal = KeptJournal::new(durability);
        for at_once in [1, 64] {
            c.bench_function(&format!("first_use/journal/{name}/{at_once} at once"), |b| {
                b.iter(|| {
                    let answers: Vec<_> = (0..at_once).map(|_| use_up(&journal.memory)).collect();
                    for answer in answers {
                        assert_eq!(worker.block_on(answer.wait()), FirstUse::Recorded);
                    }
                });
            });
        }
        journal.stop();
    }
}

/// A journal in a temporary folder, whose keeper has a thread of its own, as that of a gateway has.
struct KeptJournal {
    memory: Journalled,
    stop: tokio::sync::oneshot::Sender<()>,
    thread: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl KeptJournal {
    fn new(durability: Durability) -> Self {
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = folder.path().join("replay.db");
        let control = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let journal = control.block_on(ReplayJournal::open(&path, durability)).unwrap();
        let (memory, keeper) = control.block_on(Journalled::open(journal, FOR_ALL, Clock::System)).unwrap();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || control.block_on(keeper.run(async { _ = stopped.await })));
        Self { memory, stop, thread, _folder: folder }
    }

    fn stop(self) {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap();
    }
}

/// What a million used tokens cost: in memory, to sweep, and to read at a start.
fn a_million_uses(c: &mut Criterion) {
    const MILLION: u32 = 1_000_000;
    let memory = InProcess::new(FOR_ALL, Clock::System).unwrap();
    let before = resident();
    for _ in 0..MILLION {
        use_up(&memory);
    }
    println!("first_use: {} bytes resident for each of a million entries", (resident() - before) / u64::from(MILLION));
    c.bench_function("first_use/sweep/a million", |b| b.iter(|| assert_eq!(memory.sweep(Clock::System.now()), 0)));

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let path = folder.path().join("replay.db");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let until = now().after(Duration::from_secs(300));
    runtime.block_on(async {
        let mut journal = ReplayJournal::open(&path, Durability::Process).await.unwrap();
        for start in (0..MILLION).step_by(1000) {
            let hash = |n: u32| UseHash((u128::from(n) << 96 | u128::from(n)).to_be_bytes());
            let entry = |n| JournalEntry { hash: hash(n), app: AppNumber(1), until, at: now() };
            journal.append(&(start..start + 1000).map(entry).collect::<Vec<_>>()).await.unwrap();
        }
        journal.close().await.unwrap();
    });
    let mut group = c.benchmark_group("first_use");
    group.sample_size(10).bench_function("read the journal/a million", |b| {
        b.iter(|| {
            runtime.block_on(async {
                let journal = ReplayJournal::open(&path, Durability::Process).await.unwrap();
                let (memory, keeper) = Journalled::open(journal, FOR_ALL, Clock::manual(now()).0).await.unwrap();
                assert_eq!(memory.entries(), 1_000_000);
                keeper.run(async {}).await;
            });
        });
    });
}

/// Bytes of memory that this process has, as Linux counts them.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// The whole stack with a quota that is never used up, over one key and over many: compare with `stack/cached/HS256`.
fn quotas(c: &mut Criterion) {
    let leaf: Leaf = |_| ready(Ok(Response::new(Empty::new())));
    let window = |per| QuotaWindow::new(1_000_000, Duration::from_secs(per)).unwrap();
    let cases = [
        ("none", vec![], 1),
        ("one window, 1 key", vec![window(1)], 1),
        ("two windows, 1 key", vec![window(1), window(2)], 1),
        ("two windows, 10,000 keys", vec![window(1), window(2)], 10_000),
    ];
    let token = Token::of(ACCOUNT).make();
    for (name, windows, keys) in cases {
        let gateway = Gateway::new();
        let key = vec![QuotaKey::Account, QuotaKey::Param("x".into())];
        let quota = Arc::new(Quota { name: QuotaName::new("q").unwrap(), windows, key });
        let bearer = authenticator(Format::Problem, "problem", |_| {});
        let quota = (!quota.windows.is_empty()).then_some(quota);
        gateway
            .route(vec![Route { quota, ..route("x", &[Method::GET], "/problem/{x}", &bearer, Requirement::AnyApp) }]);
        // Calls come back while the rest of the gateway stands at the moment of its tokens.
        let quotas = Arc::new(Quotas::new(Clock::System));
        let gate = Gate { log: Arc::new(Silence), quotas, ..gateway.gate };
        let mut service = stack(&gate, tower::service_fn(leaf));
        let request = |n: usize| Format::Problem.request("GET", &format!("/{n}"), &token).body(Empty::new()).unwrap();
        let requests: Vec<Request<Empty<Bytes>>> = (0..keys).map(request).collect();
        assert_eq!(answer(&mut service, requests[0].clone()), 200, "{name}");
        let mut n = 0;
        let mut next = || {
            n = (n + 7919) % keys;
            requests[n].clone()
        };
        c.bench_function(&format!("quota/{name}"), |b| {
            b.iter_batched(&mut next, |request| answer(&mut service, request), BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, parse, verify, decrypt, routes, authorization, whole, quotas, first_use, a_million_uses);
criterion_main!(benches);
