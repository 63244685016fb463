//! Calls over TLS: HTTP/1.1 and HTTP/2, with a certificate authority from `SSL_CERT_FILE`.
//!
//! A test binary of its own, because the roots are loaded once in a process.

mod h2_server;
mod node;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use bytes::Bytes;
use http::{Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use node::{call, call_with_headers, run, values};
use onnxhybrid::failure::Code;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

/// The authority that signs the servers' certificates; `SSL_CERT_FILE` names it.
fn authority() -> &'static CertifiedIssuer<'static, KeyPair> {
    static AUTHORITY: OnceLock<CertifiedIssuer<'static, KeyPair>> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join("authority.pem");
        std::fs::write(&file, authority.pem()).unwrap();
        // SAFETY: every test comes here first, and all of them wait until it is done.
        unsafe { std::env::set_var("SSL_CERT_FILE", &file) };
        authority
    })
}

/// A certificate with these names, signed by the authority.
fn signed(names: &[&str]) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    let certificate = params(names).signed_by(&key, authority()).unwrap();
    (certificate, key)
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

fn server_config((certificate, key): (Certificate, KeyPair), protocols: &[&[u8]]) -> rustls::ServerConfig {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    config
}

struct Server {
    url: String,
    http2: Arc<AtomicUsize>,
    /// Of each request the host that it names, and the header `x-key`.
    named: Arc<Mutex<Vec<[String; 2]>>>,
}

/// A server that answers as the tests' node wants and counts the requests that came over HTTP/2.
fn serve(names: &[&str], protocols: &'static [&'static [u8]]) -> Server {
    serve_as(signed(names), protocols)
}

/// The same, with a certificate that the server shows.
fn serve_as(certificate: (Certificate, KeyPair), protocols: &'static [&'static [u8]]) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(server_config(certificate, protocols)));
    let http2 = Arc::new(AtomicUsize::new(0));
    let named = Arc::new(Mutex::new(Vec::new()));
    let seen = (http2.clone(), named.clone());
    let (sender, receiver) = std::sync::mpsc::channel::<SocketAddr>();
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(talk(stream, acceptor.clone(), seen.clone()));
            }
        });
    });
    let port = receiver.recv().unwrap().port();
    Server { url: format!("https://localhost:{port}"), http2, named }
}

/// The server's count and list.
type Seen = (Arc<AtomicUsize>, Arc<Mutex<Vec<[String; 2]>>>);

/// Answers the requests of one connection.
async fn talk(stream: TcpStream, acceptor: TlsAcceptor, (counter, named): Seen) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    let is_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
        counter.fetch_add(usize::from(request.version() == Version::HTTP_2), Ordering::SeqCst);
        let text = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let host = request.uri().authority().map_or_else(|| text("host"), ToString::to_string);
        named.lock().unwrap().push([host, text("x-key")]);
        let body = match request.uri().path() {
            "/inference.GRPCInferenceService/ModelInfer" => h2_server::good(),
            _ => br#"{"outputs":[{"name":"y","datatype":"FP32","shape":[2],"data":[1.5,-2]}]}"#.to_vec(),
        };
        // Nobody asks for trailers but gRPC.
        let trailers = h2_server::headers(&[("grpc-status", "0")]);
        let body = Full::new(Bytes::from(body)).with_trailers(async { Some(Ok(trailers)) });
        async move { Ok::<_, Infallible>(Response::new(body)) }
    });
    let io = TokioIo::new(stream);
    if is_http2 {
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
    } else {
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

#[test]
fn http2_is_spoken_where_the_server_offers_it_and_shared_by_all_threads() {
    let server = serve(&["localhost"], &[b"h2", b"http/1.1"]);
    let call = call(&server.url, "{}", &[], "none");
    assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]);
    thread::scope(|scope| (0..16).for_each(|_| drop(scope.spawn(|| assert!(run(&call).is_ok())))));
    assert_eq!(server.http2.load(Ordering::SeqCst), 17);
    assert_eq!(call.connections(), 1);
}

#[test]
fn threads_that_start_together_wait_for_one_connection_where_it_can_carry_them_all() {
    let at_once = |protocols| {
        let call = call(&serve(&["localhost"], protocols).url, "{}", &[], "none");
        thread::scope(|scope| (0..16).for_each(|_| drop(scope.spawn(|| assert!(run(&call).is_ok())))));
        call.connections()
    };
    assert_eq!(at_once(&[b"h2", b"http/1.1"]), 1);
    assert!((1..=16).contains(&at_once(&[b"http/1.1"])));
}

#[test]
fn http1_is_spoken_where_the_server_offers_nothing_else() {
    let server = serve(&["localhost"], &[b"http/1.1"]);
    let call = call(&server.url, "{}", &[], "none");
    for _ in 0..3 {
        assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]);
    }
    assert_eq!((server.http2.load(Ordering::SeqCst), call.connections()), (0, 1));
}

#[test]
fn grpc_over_tls_needs_http2_and_nothing_else() {
    let (with, without) = (serve(&["localhost"], &[b"h2"]), serve(&["localhost"], &[b"http/1.1"]));
    let grpc = |server: &Server| call(&server.url.replace("https://", "grpcs://"), "{}", &[], "none");
    assert_eq!(values(&run(&grpc(&with)).unwrap()), [1.5, -2.0]);
    let failure = run(&grpc(&without)).unwrap_err();
    assert_eq!(failure.problem.code, Code::Connect, "{failure}");
}

#[test]
fn a_host_of_the_node_is_named_in_each_version_and_the_certificate_is_that_of_the_url() {
    let headers = r#"{"Host": "other.example:8443", "X-Key": {"credential": "key"}}"#;
    let config = r#"{"credentials": {"key": {"value": "s3cret"}}}"#;
    const ALL: &[(&str, &[&[u8]])] =
        &[("https", &[b"h2", b"http/1.1"]), ("https", &[b"http/1.1"]), ("grpcs", &[b"h2"])];
    for (scheme, protocols) in ALL {
        let server = serve(&["localhost"], protocols);
        let url = server.url.replace("https", scheme);
        let call = call_with_headers(&url, config, headers);
        (0..2).for_each(|_| assert_eq!(values(&run(&call).unwrap()), [1.5, -2.0]));
        let expected = ["other.example:8443".to_owned(), "s3cret".to_owned()];
        assert_eq!(*server.named.lock().unwrap(), [expected.clone(), expected], "{scheme}");
        let plain = call_with_headers(&url, "{}", "");
        assert!(run(&plain).is_ok());
        assert!(server.named.lock().unwrap()[2][0].starts_with("localhost:"));
        let other = serve(&["other.example"], protocols);
        let failure = run(&call_with_headers(&other.url.replace("https", scheme), config, headers)).unwrap_err();
        assert_eq!(failure.problem.code, Code::Connect, "{failure}");
        assert!(other.named.lock().unwrap().is_empty());
    }
}

#[test]
fn a_certificate_for_another_name_is_refused() {
    let server = serve(&["other.example"], &[b"http/1.1"]);
    let failure = run(&call(&server.url, "{}", &[], "none")).unwrap_err();
    assert_eq!(failure.problem.code, Code::Connect, "{failure}");
}

#[test]
fn a_server_without_tls_is_refused() {
    authority();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let failure = run(&call(&url, "{}", &[], "none")).unwrap_err();
    assert_eq!(failure.problem.code, Code::Connect, "{failure}");
}

/// What a call gives whose server shows this certificate, and whose policy trusts that one; over each protocol.
fn outcomes(
    shown: impl Fn() -> (Certificate, KeyPair),
    trusted: impl Fn(&Certificate) -> String,
) -> Vec<Result<(), String>> {
    authority();
    let protocols: [(&str, &'static [&'static [u8]]); 3] =
        [("https://", &[b"http/1.1"]), ("https://", &[b"h2"]), ("grpcs://", &[b"h2"])];
    let outcome = |(scheme, protocols)| {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let (certificate, key) = shown();
        let name = format!("trusted-{}.pem", NUMBER.fetch_add(1, Ordering::SeqCst));
        let file = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::write(&file, trusted(&certificate)).unwrap();
        let url = serve_as((certificate, key), protocols).url.replace("https://", scheme);
        let config = serde_json::json!({"policy": {"ca_file": file}}).to_string();
        run(&call(&url, &config, &[], "none")).map(drop).map_err(|failure| {
            assert_eq!(failure.problem.code, Code::Connect, "{failure}");
            failure.problem.message
        })
    };
    protocols.into_iter().map(outcome).collect()
}

fn self_signed(params: impl Fn() -> CertificateParams) -> (Certificate, KeyPair) {
    let key = KeyPair::generate().unwrap();
    (params().self_signed(&key).unwrap(), key)
}

/// As `openssl req -x509` makes it.
fn of_an_authority(names: &[&str]) -> CertificateParams {
    with(params(names), |params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained))
}

fn with(mut params: CertificateParams, change: impl FnOnce(&mut CertificateParams)) -> CertificateParams {
    change(&mut params);
    params
}

#[test]
fn a_certificate_that_is_itself_in_the_file_is_trusted_whatever_kind_it_is() {
    let kinds: [fn() -> (Certificate, KeyPair); 3] = [
        || self_signed(|| of_an_authority(&["localhost"])),
        || self_signed(|| params(&["localhost"])),
        || {
            let unknown = CertifiedIssuer::self_signed(of_an_authority(&[]), KeyPair::generate().unwrap()).unwrap();
            let key = KeyPair::generate().unwrap();
            (params(&["localhost"]).signed_by(&key, &unknown).unwrap(), key)
        },
    ];
    for kind in kinds {
        for outcome in outcomes(kind, Certificate::pem) {
            assert_eq!(outcome, Ok(()));
        }
    }
}

#[test]
fn a_certificate_in_the_file_still_has_to_be_the_hosts_and_of_today() {
    let of_years = |from, to| {
        with(of_an_authority(&["localhost"]), |params| {
            params.not_before = rcgen::date_time_ymd(from, 1, 1);
            params.not_after = rcgen::date_time_ymd(to, 1, 1);
        })
    };
    let (expired, early) = (|| of_years(2020, 2021), || of_years(2920, 2921));
    let rows: [(&dyn Fn() -> CertificateParams, &str); 4] = [
        (&|| of_an_authority(&["other.example"]), "subjectAltName"),
        (&|| of_an_authority(&[]), "subjectAltName"),
        (&expired, "expired"),
        (&early, "not valid yet"),
    ];
    for (params, words) in rows {
        for outcome in outcomes(|| self_signed(params), Certificate::pem) {
            let told = outcome.unwrap_err();
            assert!(told.contains(words), "{told}");
        }
    }
}

#[test]
fn a_certificate_that_is_not_in_the_file_says_what_kind_is_needed() {
    let other = || self_signed(|| of_an_authority(&["localhost"])).0.pem();
    let purposes =
        |params: &mut CertificateParams| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let clients = || with(params(&["localhost"]), purposes);
    let rows: [(&dyn Fn() -> CertificateParams, &str); 3] = [
        (&|| of_an_authority(&["localhost"]), "(CA:TRUE), which is accepted only where that very certificate is in"),
        (&|| params(&["localhost"]), "ONNXHYBRID_CA_FILE"),
        (&clients, "serverAuth"),
    ];
    for (params, words) in rows {
        for outcome in outcomes(|| self_signed(params), |_| other()) {
            let told = outcome.unwrap_err();
            assert!(told.contains(words), "{told}");
        }
    }
}
