#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::{fs, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

use super::*;

const FAST: KdfParameters = KdfParameters::new(8, 1, 1).unwrap();

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(text).unwrap()
}

fn citizen() -> NewWallet {
    NewWallet {
        name: "Wang \"Xiaoming\" 王小明".into(),
        kind: AccountKind::Citizen,
        organisation_code: String::new(),
        recovers: None,
    }
}

fn example() -> (TempDir, PathBuf, Wallet) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wallet.toml");
    let wallet = Wallet::create(&path, citizen(), &passphrase("correct"), FAST).unwrap();
    (folder, path, wallet)
}

#[test]
fn a_wallet_opens_with_its_passphrase_and_no_other() {
    let (_folder, path, wallet) = example();
    let opened = Wallet::open(&path, &passphrase("correct")).unwrap();
    assert_eq!(opened.account(), wallet.account());
    assert_eq!(
        opened.signing_key().to_seed(),
        wallet.signing_key().to_seed()
    );
    assert_eq!(
        opened.keys().encryption_key(),
        wallet.keys().encryption_key()
    );
    assert_eq!(opened.address(), Address::of(wallet.keys().public_key()));
    assert_eq!(&Wallet::inspect(&path).unwrap(), wallet.account());
    for wrong in ["Correct", "correct ", "c"] {
        let error = Wallet::open(&path, &passphrase(wrong)).unwrap_err();
        assert!(
            matches!(error, WalletError::WrongPassphrase { .. }),
            "{error}"
        );
    }
}

#[test]
fn no_secret_stands_in_the_file() {
    let (_folder, path, wallet) = example();
    let text = fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&hex::encode(wallet.signing_key().to_seed())));
    assert!(!text.contains(&hex::encode(wallet.keys().encryption_secret().as_bytes())));
    assert!(!format!("{wallet:?}").contains(&hex::encode(wallet.signing_key().to_seed())));
}

/// Every byte of the file, flipped in two bits, one of which turns the case of letters: refused,
/// whatever it stands for.
#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let (_folder, path, _) = example();
    let good = fs::read(&path).unwrap();
    for index in 0..good.len() {
        for bit in [0, 5] {
            let mut bad = good.clone();
            bad[index] ^= 1 << bit;
            fs::write(&path, &bad).unwrap();
            assert!(
                Wallet::open(&path, &passphrase("correct")).is_err(),
                "bit {bit} of byte {index} flipped and not noticed"
            );
        }
    }
    for cut in [0, 1, good.len() / 2, good.len() - 1] {
        fs::write(&path, &good[..cut]).unwrap();
        assert!(
            Wallet::open(&path, &passphrase("correct")).is_err(),
            "cut at {cut}"
        );
    }
    fs::write(&path, &good).unwrap();
    Wallet::open(&path, &passphrase("correct")).unwrap();
}

#[test]
fn a_public_part_cannot_be_put_before_another_secret() {
    let (_a, path, _) = example();
    let (_b, other_path, _) = example();
    let text = fs::read_to_string(&path).unwrap();
    let other = fs::read_to_string(&other_path).unwrap();
    let (header, _) = text.split_at(text.find("ciphertext").unwrap());
    let (_, ciphertext) = other.split_at(other.find("ciphertext").unwrap());
    fs::write(&path, format!("{header}{ciphertext}")).unwrap();
    let error = Wallet::open(&path, &passphrase("correct")).unwrap_err();
    assert!(
        matches!(error, WalletError::WrongPassphrase { .. }),
        "{error}"
    );
}

#[test]
fn a_wallet_is_its_owners_only_and_never_overwritten() {
    let (_folder, path, mut wallet) = example();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let before = fs::read(&path).unwrap();
    let error = Wallet::create(&path, citizen(), &passphrase("other"), FAST).unwrap_err();
    assert!(
        matches!(error, WalletError::File(FileError::Exists { .. })),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), before);
    wallet.save(&passphrase("new")).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn the_passphrase_can_be_changed() {
    let (_folder, path, mut wallet) = example();
    let before = fs::read(&path).unwrap();
    wallet.save(&passphrase("new")).unwrap();
    assert_ne!(fs::read(&path).unwrap(), before);
    assert!(Wallet::open(&path, &passphrase("correct")).is_err());
    let opened = Wallet::open(&path, &passphrase("new")).unwrap();
    assert_eq!(opened.account(), wallet.account());
}

#[test]
fn a_file_changed_by_another_is_left_alone() {
    let (_folder, path, mut first) = example();
    let mut second = Wallet::open(&path, &passphrase("correct")).unwrap();
    second.save(&passphrase("second")).unwrap();
    let error = first.save(&passphrase("first")).unwrap_err();
    assert!(
        matches!(error, WalletError::ChangedMeanwhile { .. }),
        "{error}"
    );
    Wallet::open(&path, &passphrase("second")).unwrap();
}

#[test]
fn rotation_survives_a_crash_and_keeps_past_keys() {
    let (_folder, path, mut wallet) = example();
    let pass = passphrase("correct");
    let (address, old) = (wallet.address(), wallet.keys().public_key().clone());
    assert!(!wallet.complete_rotation());
    let next = wallet.begin_rotation().unwrap();
    wallet.save(&pass).unwrap();
    drop(wallet);
    let mut wallet = Wallet::open(&path, &pass).unwrap();
    assert_eq!(wallet.keys().public_key(), &old);
    assert_eq!(wallet.begin_rotation().unwrap(), next, "the same key again");
    assert!(wallet.complete_rotation());
    wallet.save(&pass).unwrap();
    let wallet = Wallet::open(&path, &pass).unwrap();
    assert_eq!(wallet.address(), address);
    assert_eq!(wallet.account().public_key(), &next);
    assert_eq!(wallet.keys().public_key(), &next);
    assert_eq!(wallet.past_keys().len(), 1);
    assert_eq!(wallet.past_keys()[0].public_key(), &old);
    assert!(wallet.next_keys().is_none());
}

#[test]
fn attributes_are_kept_sealed() {
    let (_folder, path, mut wallet) = example();
    let pass = passphrase("correct");
    let pairs = [("name".to_owned(), "Very Recognisable".to_owned())];
    let set = AttributeSet::new(&pairs).unwrap();
    wallet.set_attributes(set.clone());
    wallet.save(&pass).unwrap();
    assert_eq!(Wallet::open(&path, &pass).unwrap().attributes(), Some(&set));
    assert!(!fs::read_to_string(&path).unwrap().contains("Recognisable"));
}

#[test]
fn costly_parameters_are_refused_before_they_cost() {
    let (_folder, path, _) = example();
    let text = fs::read_to_string(&path).unwrap();
    let huge = text.replace("memory_kib = 8\n", "memory_kib = 4294967295\n");
    assert_ne!(huge, text);
    fs::write(&path, huge).unwrap();
    let error = Wallet::open(&path, &passphrase("correct")).unwrap_err();
    assert!(matches!(error, WalletError::KdfLimits { .. }), "{error}");
    assert!(KdfParameters::new(7, 1, 1).is_none());
    assert!(KdfParameters::new(64, 65, 1).is_none());
    assert!(KdfParameters::new(64, 1, 17).is_none());
}

#[test]
fn the_default_cost_opens_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w");
    Wallet::create(
        &path,
        citizen(),
        &passphrase("correct"),
        KdfParameters::default(),
    )
    .unwrap();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("memory_kib = 65536\npasses = 3\nlanes = 1\n"));
    Wallet::open(&path, &passphrase("correct")).unwrap();
}

#[test]
fn account_files_come_back() {
    let (folder, _, wallet) = example();
    let path = folder.path().join("account.toml");
    wallet.account().write_file(&path).unwrap();
    assert_eq!(&PublicAccount::read_file(&path).unwrap(), wallet.account());
    assert!(matches!(
        wallet.account().write_file(&path),
        Err(FileError::Exists { .. })
    ));
    let text = fs::read_to_string(&path).unwrap();
    for (from, to) in [
        ("kind = \"citizen\"", "kind = \"king\""),
        ("address = \"cc1", "address = \"cc1q"),
        ("name = ", "nick = "),
        ("organisation_code = \"\"", "organisation_code = \"AB\""),
    ] {
        let bad = text.replace(from, to);
        assert_ne!(bad, text);
        fs::write(&path, bad).unwrap();
        assert!(PublicAccount::read_file(&path).is_err(), "{to}");
    }
}

#[test]
fn names_and_codes_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str, kind, code: &str| {
        let new = NewWallet {
            name: name.into(),
            kind,
            organisation_code: code.into(),
            recovers: None,
        };
        Wallet::create(&folder.path().join("w"), new, &passphrase("p"), FAST)
    };
    assert!(matches!(
        make("", AccountKind::Citizen, ""),
        Err(WalletError::Name)
    ));
    assert!(matches!(
        make("a\nb", AccountKind::Citizen, ""),
        Err(WalletError::Name)
    ));
    assert!(make(&"x".repeat(129), AccountKind::Citizen, "").is_err());
    for (kind, code) in [
        (AccountKind::Citizen, "AB"),
        (AccountKind::Agency, ""),
        (AccountKind::Organisation, "a"),
        (AccountKind::Verifier, "ab"),
        (AccountKind::Registrar, "A"),
    ] {
        assert!(
            matches!(make("n", kind, code), Err(WalletError::OrganisationCode(_))),
            "{kind} {code}"
        );
    }
    make("n", AccountKind::Agency, "CIVIL-01").unwrap();
}

#[test]
fn a_wallet_for_recovery_keeps_the_lost_accounts_address() {
    let folder = tempfile::tempdir().unwrap();
    let lost = Address::from_bytes([9; 32]);
    let new = NewWallet {
        recovers: Some(lost),
        ..citizen()
    };
    let path = folder.path().join("w");
    Wallet::create(&path, new, &passphrase("p"), FAST).unwrap();
    assert_eq!(
        Wallet::open(&path, &passphrase("p")).unwrap().address(),
        lost
    );
}

#[test]
fn passphrases() {
    assert!(matches!(Passphrase::new(""), Err(PassphraseError::Empty)));
    assert!(matches!(
        Passphrase::new(&"x".repeat(MAX_PASSPHRASE_BYTES + 1)),
        Err(PassphraseError::TooLong)
    ));
    let (folder, path, _) = example();
    let file = folder.path().join("pass");
    fs::write(&file, "correct\nsecond line\n").unwrap();
    Wallet::open(&path, &Passphrase::read(&file).unwrap()).unwrap();
    // Two ways to write one letter are one passphrase.
    let other = folder.path().join("w2");
    Wallet::create(&other, citizen(), &passphrase("caf\u{e9}"), FAST).unwrap();
    Wallet::open(&other, &passphrase("cafe\u{301}")).unwrap();
}
