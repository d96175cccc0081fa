//! The echo server on Tokio, one thread: echo_tokio ADDRESS, as the others. The core is the caller's choice.
//!
//! tcp:HOST:PORT (port 0 for any), or unix:/path; says "ready ADDRESS" when it can be dialled.
use std::io::Write;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, UnixListener};

const BACKLOG: u32 = 4096;
const BUFFER_BYTES: usize = 512;

fn ready(address: &str) {
    println!("ready {}", address);
    std::io::stdout().flush().unwrap();
}

async fn echo<S: AsyncReadExt + AsyncWriteExt + Unpin>(mut stream: S) {
    let mut buffer = [0u8; BUFFER_BYTES];
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
            break;
        }
    }
}

async fn serve_tcp(address: &str) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address.parse().expect("HOST:PORT"))?;
    let listener = socket.listen(BACKLOG)?;
    ready(&format!("tcp:{}", listener.local_addr()?));
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(echo(stream));
    }
}

async fn serve_unix(path: &str) -> std::io::Result<()> {
    let listener = UnixListener::bind(path)?;
    ready(&format!("unix:{}", path));
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(echo(stream));
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let address = std::env::args().nth(1).expect("ADDRESS");
    match address.split_once(':') {
        Some(("tcp", rest)) => serve_tcp(rest).await,
        Some(("unix", rest)) => serve_unix(rest).await,
        _ => panic!("tcp:HOST:PORT or unix:PATH"),
    }
}
