//! The echo server on Tokio, one thread: a task per connection.
//!
//! echo_tokio ADDRESS. Which core it runs on is for who starts it (taskset).
use std::io::Write;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) {
    let mut buffer = [0u8; 512];
    loop {
        match stream.read(&mut buffer).await {
            Ok(n) if n > 0 => {
                if stream.write_all(&buffer[..n]).await.is_err() {
                    return;
                }
            }
            _ => return,
        }
    }
}

fn ready(address: &str) {
    println!("ready {}", address);
    std::io::stdout().flush().unwrap();
}

async fn serve_tcp(address: &str) {
    let listener = std::net::TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    ready(&format!("tcp:{}", listener.local_addr().unwrap()));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        tokio::spawn(echo(stream));
    }
}

async fn serve_unix(path: &str) {
    let listener = tokio::net::UnixListener::bind(path).unwrap();
    ready(&format!("unix:{}", path));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(echo(stream));
    }
}

fn main() {
    let address = std::env::args().nth(1).expect("echo_tokio ADDRESS");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        if let Some(rest) = address.strip_prefix("tcp:") {
            serve_tcp(rest).await
        } else if let Some(path) = address.strip_prefix("unix:") {
            serve_unix(path).await
        } else {
            panic!("no address: {}", address)
        }
    });
}
