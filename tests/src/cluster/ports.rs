//! Ports that the system chooses and that nobody else takes meanwhile.
//!
//! A held port is bound but does not listen, so that whoever dials it is refused at once, as by a
//! machine whose node is down.

use std::{
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
};

use anyhow::{Context as _, bail};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, getsockname, socket_with, sockopt,
};

/// Keeps a port of the loopback interface until it is dropped.
#[derive(Debug)]
pub struct PortHold {
    _socket: OwnedFd,
    address: SocketAddr,
}

fn socket() -> anyhow::Result<OwnedFd> {
    // Not inherited: a child that lives on would hold the port for ever.
    socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )
    .context("the system gives no socket")
}

impl PortHold {
    /// Takes a free port.
    ///
    /// # Errors
    /// If the system has none.
    pub fn any() -> anyhow::Result<Self> {
        let socket = socket()?;
        bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
        let bound = getsockname(&socket).context("the chosen port cannot be read")?;
        let Ok(address) = SocketAddrV4::try_from(bound) else {
            bail!("the system chose an address of another family");
        };
        Ok(Self {
            _socket: socket,
            address: address.into(),
        })
    }

    /// Takes a port again whose process has just ended. Connections of that process may linger.
    ///
    /// # Errors
    /// If somebody else has taken it.
    pub fn again(address: SocketAddr) -> anyhow::Result<Self> {
        let socket = socket()?;
        sockopt::set_socket_reuseaddr(&socket, true).context("SO_REUSEADDR is refused")?;
        bind(&socket, &address).with_context(|| format!("{address} was taken meanwhile"))?;
        Ok(Self {
            _socket: socket,
            address,
        })
    }

    /// The port with its address.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}
