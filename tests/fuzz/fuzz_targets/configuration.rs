//! Files that operators write, and what a genesis becomes.

#![no_main]

use certchain_config::{
    Account, CertificateType, Genesis, GenesisContent, Member, Name, NetAddress, NodeConfig,
    OrganisationCode, Title, document::Document,
};
use certchain_fuzz::{Decoder, canonical, coded};
use libfuzzer_sys::fuzz_target;

const DECODERS: &[Decoder] = &[
    ("genesis content", coded::<GenesisContent>),
    ("certificate type", coded::<CertificateType>),
    ("genesis", |bytes| {
        Some(Genesis::decode(bytes).ok()?.encode())
    }),
];

fn document(text: &str) -> Document {
    Document::new("file.toml".as_ref(), text.to_owned())
}

fuzz_target!(|bytes: &[u8]| {
    canonical(DECODERS, bytes);
    if let Ok(genesis) = Genesis::decode(bytes) {
        assert_eq!(Genesis::read(&document(&genesis.to_toml())), Ok(genesis));
    }
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let whole = document(text);
    match Genesis::read(&whole) {
        Ok(genesis) => assert_eq!(Genesis::read(&document(&genesis.to_toml())), Ok(genesis)),
        Err(error) => drop(error.to_string()),
    }
    match Member::read(&whole) {
        Ok(member) => assert_eq!(Member::read(&document(&member.to_toml())), Ok(member)),
        Err(error) => drop(error.to_string()),
    }
    match Account::read(&whole) {
        Ok(account) => assert_eq!(Account::read(&document(&account.to_toml())), Ok(account)),
        Err(error) => drop(error.to_string()),
    }
    if let Err(error) = NodeConfig::read(&whole) {
        drop(error.to_string());
    }
    macro_rules! shown {
        ($($parse:expr),*) => {$(
            if let Some(value) = $parse(text) {
                assert_eq!($parse(&value.to_string()), Some(value));
            }
        )*};
    }
    shown!(
        |t: &str| t.parse::<NetAddress>().ok(),
        |t: &str| Name::parse(t).ok(),
        |t: &str| Title::parse(t).ok(),
        |t: &str| OrganisationCode::parse(t).ok()
    );
});
