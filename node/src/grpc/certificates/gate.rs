//! The door of the certificate service: the calls that carry large ciphertexts get their own limit
//! on messages and a bound on how many are in work, all others keep the node's.

use std::{convert::Infallible, future::ready, pin::Pin, sync::Arc};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{
    Status,
    body::Body,
    codegen::{Body as HttpBody, BoxFuture, Bytes, Context, Poll, Service, http},
    server::NamedService,
};

/// Calls with large ciphertexts that are in work at once.
const LARGE_AT_ONCE: usize = 8;

/// Two servers of one service, one of which takes large messages.
#[derive(Clone, Debug)]
pub(in crate::grpc) struct ContentGate<S> {
    usual: S,
    large: S,
    places: Arc<Semaphore>,
}

impl<S> ContentGate<S> {
    /// Sends the calls for ciphertexts to `large` and all others to `usual`.
    pub(in crate::grpc) fn new(usual: S, large: S) -> Self {
        Self {
            usual,
            large,
            places: Arc::new(Semaphore::new(LARGE_AT_ONCE)),
        }
    }
}

impl<S: NamedService> NamedService for ContentGate<S> {
    const NAME: &'static str = S::NAME;
}

fn is_large(path: &str) -> bool {
    matches!(
        path.rsplit_once('/'),
        Some((_, "PutContent" | "GetContent"))
    )
}

impl<S, B> Service<http::Request<B>> for ContentGate<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        match self.usual.poll_ready(context) {
            Poll::Ready(Ok(())) => self.large.poll_ready(context),
            other => other,
        }
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        if !is_large(request.uri().path()) {
            return Box::pin(self.usual.call(request));
        }
        // Taken before the message is read into memory.
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            let status = Status::resource_exhausted(
                "this node moves as many ciphertexts as it can; come again in a moment",
            );
            return Box::pin(ready(Ok(status.into_http())));
        };
        let answer = self.large.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            // Until the client has read it the answer is in memory, and its place taken.
            Ok(answer.map(|body| {
                Body::new(Placed {
                    body,
                    _place: place,
                })
            }))
        })
    }
}

/// An answer that keeps its place until it is sent or given up.
struct Placed {
    body: Body,
    _place: OwnedSemaphorePermit,
}

impl HttpBody for Placed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use super::*;

    /// Answers with its number once there is a permit.
    #[derive(Clone)]
    struct Numbered(u16, Arc<Semaphore>);

    impl Service<http::Request<()>> for Numbered {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<Self::Response, Infallible>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<()>) -> Self::Future {
            let Self(number, gate) = self.clone();
            Box::pin(async move {
                let _permit = gate.acquire().await;
                let answer = http::Response::builder().status(number);
                Ok(answer.body(Body::empty()).unwrap())
            })
        }
    }

    fn request(method: &str) -> http::Request<()> {
        let path = format!("/certchain.v1.CertificateService/{method}");
        http::Request::builder().uri(path).body(()).unwrap()
    }

    #[tokio::test]
    async fn large_calls_are_bounded_and_hinder_no_others() {
        let (open, closed) = (Arc::new(Semaphore::new(1)), Arc::new(Semaphore::new(0)));
        let mut gate = ContentGate::new(Numbered(201, open), Numbered(202, Arc::clone(&closed)));
        let held: Vec<_> = (0..LARGE_AT_ONCE)
            .map(|n| gate.call(request(["PutContent", "GetContent"][n % 2])))
            .collect();
        let refused = gate.call(request("PutContent")).await.unwrap();
        let status = Status::from_header_map(refused.headers()).unwrap();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert_eq!(gate.call(request("GetPack")).await.unwrap().status(), 201);
        closed.add_permits(1);
        for answer in held {
            assert_eq!(answer.await.unwrap().status(), 202);
        }
        let answer = gate.call(request("GetContent")).await.unwrap();
        assert_eq!(answer.status(), 202);
    }
}
