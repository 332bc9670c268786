//! A router over everything that a configuration names.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use inhouse_chat::{ChatRequest, ProviderName};
use inhouse_config::{Env, LOCAL, Loaded, Problem, ProviderConfig, ProviderKind, RouterConfig};
use inhouse_ledger::{Ledger, PriceList};
use inhouse_policy::{Detector, DetectorOptions, Zone};
use inhouse_providers::{Local, LocalOptions, Network, Reach, Remote, build_all};
use inhouse_router::{
    Answer, AnswerStream, Caller, Explanation, Parts, Provider, RouteError, Router, SystemClock,
};

use crate::environment::{self, ProcessEnv};
use crate::local::InStore;
use crate::{Compute, LedgerAt, Options, StartError, runtime_search};

/// Chooses who answers, within what the configuration and each request allow. Clones are the same router.
#[derive(Clone)]
pub struct ModelRouter {
    router: Router,
    remotes: Vec<Arc<Remote>>,
    unavailable: Arc<[(ProviderName, String)]>,
    warnings: Arc<[Problem]>,
}

impl ModelRouter {
    /// Opens a router by a file. Keys, `${VAR}`, proxies and folders come from the environment of this process.
    ///
    /// # Errors
    ///
    /// Where the file is missing or wrong, or the ledger cannot be opened.
    pub fn from_config(file: impl AsRef<Path>) -> Result<Self, StartError> {
        Self::from_process(Some(file.as_ref()))
    }

    /// Opens a router by the first file of the search order, else by the environment of this process alone.
    ///
    /// # Errors
    ///
    /// As [`from_config`](Self::from_config).
    pub fn from_env() -> Result<Self, StartError> {
        Self::from_process(None)
    }

    fn from_process(file: Option<&Path>) -> Result<Self, StartError> {
        let env = ProcessEnv;
        let cwd = std::env::current_dir().map_err(StartError::NoWorkingDirectory)?;
        let home = environment::home(&env).ok_or(StartError::NoFolder("models"))?;
        let ledger = environment::ledger(&env).ok_or(StartError::NoFolder("the ledger"))?;
        Self::open(Options {
            config: inhouse_config::load(file, &cwd, &env)?,
            env: Arc::new(env),
            local_only: false,
            prices: ledger.parent().map(|folder| folder.join("prices.json")),
            ledger: LedgerAt::File(ledger),
            compute: Compute {
                packed: Some(home.join("packed")),
                runtime: Some(runtime_search(
                    &|name| env.get(name).map(OsString::from),
                    &home,
                    &cwd,
                )),
                ..Compute::default()
            },
            models: Arc::new(InStore { home }),
        })
    }

    /// Opens a router.
    ///
    /// # Errors
    ///
    /// Where the ledger or the list of prices cannot be read.
    pub fn open(options: Options) -> Result<Self, StartError> {
        let Loaded {
            mut config,
            warnings,
            ..
        } = options.config;
        let reach = reach(options.local_only, &*options.env);
        let built = build_all(&config, &reach);
        let ledger = Arc::new(open_ledger(&config, options.ledger)?);
        let prices = price_list(options.prices.as_deref())?;
        let mut providers: Vec<Arc<dyn Provider>> = Vec::new();
        providers.extend(
            built
                .remotes
                .iter()
                .map(|remote| Arc::clone(remote) as Arc<dyn Provider>),
        );
        if let Some(local) = local(&mut config, options.compute, options.models) {
            providers.push(Arc::new(local));
        }
        let detector = Detector::new(detector_options(&config));
        let failed = built
            .failed
            .into_iter()
            .map(|(name, error)| (name, error.to_string()));
        Ok(Self {
            router: Router::new(Parts {
                config,
                providers,
                ledger,
                prices,
                detector: Some(Arc::new(detector)),
                farthest: if options.local_only {
                    Zone::Device
                } else {
                    Zone::Cloud
                },
                clock: Arc::new(SystemClock),
                seed: None,
            }),
            remotes: built.remotes,
            unavailable: failed.collect(),
            warnings: warnings.into(),
        })
    }

    /// Answers `request`.
    ///
    /// # Errors
    ///
    /// Where nobody may or can answer: [`RouteError`] says who was asked or passed over, and why.
    pub async fn chat(&self, request: ChatRequest) -> Result<Answer, RouteError> {
        self.router.chat(request).await
    }

    /// Answers `request` piece by piece; dropping the stream stops the upstream.
    ///
    /// # Errors
    ///
    /// As [`chat`](Self::chat); once an answer has begun, errors come in the stream.
    pub async fn stream(&self, request: ChatRequest) -> Result<AnswerStream, RouteError> {
        self.router.stream(request).await
    }

    /// As [`chat`](Self::chat), for a caller of whom more is known than the request says.
    ///
    /// # Errors
    ///
    /// As [`chat`](Self::chat).
    pub async fn chat_for(
        &self,
        request: ChatRequest,
        caller: &Caller,
    ) -> Result<Answer, RouteError> {
        self.router.chat_for(request, caller).await
    }

    /// As [`stream`](Self::stream), for a caller of whom more is known than the request says.
    ///
    /// # Errors
    ///
    /// As [`stream`](Self::stream).
    pub async fn stream_for(
        &self,
        request: ChatRequest,
        caller: &Caller,
    ) -> Result<AnswerStream, RouteError> {
        self.router.stream_for(request, caller).await
    }

    /// Says who would answer `request` and why, and what it would cost. Nothing is sent.
    ///
    /// # Errors
    ///
    /// Where the request is refused before anybody is considered.
    pub fn explain(
        &self,
        request: ChatRequest,
        caller: &Caller,
    ) -> Result<Explanation, RouteError> {
        self.router.explain(request, caller)
    }

    /// Usage, budgets and receipts.
    pub fn ledger(&self) -> &Ledger {
        self.router.ledger()
    }

    /// Names of the providers that can be asked.
    pub fn providers(&self) -> impl Iterator<Item = &ProviderName> {
        self.router.providers()
    }

    /// The providers that are reached over a network; none where nothing may leave.
    pub fn remotes(&self) -> &[Arc<Remote>] {
        &self.remotes
    }

    /// Providers of the configuration that cannot be asked, and why.
    pub fn unavailable(&self) -> &[(ProviderName, String)] {
        &self.unavailable
    }

    /// What the configuration says that has no effect, or another than it seems.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

fn reach(local_only: bool, env: &dyn Env) -> Reach {
    if local_only {
        Reach::LocalOnly
    } else {
        Reach::Network(Network::new(env))
    }
}

fn open_ledger(config: &RouterConfig, otherwise: LedgerAt) -> Result<Ledger, StartError> {
    let configured = config.ledger.path.clone().map(LedgerAt::File);
    Ok(match configured.unwrap_or(otherwise) {
        LedgerAt::File(path) => Ledger::open(path)?,
        LedgerAt::Memory => Ledger::in_memory()?,
    })
}

fn price_list(file: Option<&Path>) -> Result<PriceList, StartError> {
    let Some(file) = file.filter(|file| file.exists()) else {
        return Ok(PriceList::shipped());
    };
    let json = std::fs::read_to_string(file);
    let json = json.map_err(|error| StartError::PricesUnreadable(file.to_owned(), error))?;
    PriceList::load(&json).map_err(|error| StartError::Prices(file.to_owned(), error))
}

/// The engine inside, which needs no configuration: what must stay here can always be answered here. It is left out
/// only where the configuration turns it off.
fn local(
    config: &mut RouterConfig,
    compute: Compute,
    models: Arc<dyn inhouse_providers::FindModel>,
) -> Option<Local> {
    if !config.providers.contains(LOCAL) {
        let own = ProviderConfig {
            kind: Some(ProviderKind::Onnx),
            ..ProviderConfig::default()
        };
        config.providers.insert(LOCAL, own);
    }
    let own = config.providers.get(LOCAL).filter(|own| own.enabled)?;
    let Compute {
        threads,
        isa,
        kv,
        packed,
        available_memory,
        runtime,
    } = compute;
    let options = LocalOptions {
        models,
        threads,
        isa,
        kv,
        packed,
        available_memory,
        runtime,
    };
    Some(Local::new(&LOCAL.into(), own, options))
}

/// Names of kinds were checked when the configuration was read.
fn detector_options(config: &RouterConfig) -> DetectorOptions {
    let mut options = DetectorOptions::default();
    if let Some(kinds) = &config.privacy.detector.kinds {
        options.kinds = kinds.iter().filter_map(|kind| kind.parse().ok()).collect();
    }
    options
}
