//! by hand
use kinitro_policy::*;
use std::time::Duration;
#[tokio::test]
async fn tls() {
    let t = HttpTransport::new(HttpConfig { allow_private: true, connect_timeout: Duration::from_secs(5), action_timeout: Duration::from_secs(2) });
    for host in ["localhost", "127.0.0.1"] {
        match t.open(&format!("https://{host}:18443"), METAWORLD_ACTION).await {
            Ok(mut p) => { let a = p.act(&Observation::default()).await; println!("{host}: OK {a:?}") }
            Err(f) => println!("{host}: {f}"),
        }
    }
}
