use super::*;

/// Keys that OpenSSL wrote: one key, as it is and encrypted with [`PASSPHRASE`].
macro_rules! key {
    ($name:literal) => {
        concat!(env!("CARGO_MANIFEST_DIR"), "/tests/keys/", $name, ".pem")
    };
}

const PASSPHRASE: &str = "très secret";

fn told(path: &str, passphrase: Option<&str>) -> Result<Vec<u8>, String> {
    let passphrase = passphrase.map(|text| Passphrase::new(text.into()));
    let key = read(Path::new(path), passphrase.as_ref())?;
    Ok(key.secret_der().to_vec())
}

#[test]
fn a_key_is_read_with_its_passphrase_however_it_is_encrypted() {
    let plain = told(key!("plain"), None).unwrap();
    for path in [key!("aes256"), key!("aes128_sha1"), key!("des3_sha512"), key!("scrypt")] {
        assert_eq!(told(path, Some(PASSPHRASE)).unwrap(), plain, "{path}");
        let wrong = told(path, Some("s3cret")).unwrap_err();
        assert!(wrong.contains("another passphrase") && !wrong.contains("s3cret"), "{wrong}");
    }
    assert_eq!(told(key!("plain"), Some("unused")).unwrap(), plain);
}

#[test]
fn a_key_that_cannot_be_read_says_how_to_make_it_one_that_can() {
    let given = "no passphrase was given: oh.Policy(client_certificate=(certificate, key, passphrase))";
    for (path, passphrase, words) in [
        (key!("aes256"), None, given),
        (key!("pbes1"), None, given),
        (key!("older"), None, "older form; convert it: openssl pkcs8 -topk8"),
        (key!("older"), Some(PASSPHRASE), "older form; convert it: openssl pkcs8 -topk8"),
        (key!("pbes1"), Some(PASSPHRASE), "in a way that is not read; convert it: openssl pkcs8 -topk8"),
        (key!("missing"), Some(PASSPHRASE), "cannot be read"),
    ] {
        let told = told(path, passphrase).unwrap_err();
        assert!(told.contains(words) && !told.contains(PASSPHRASE), "{told}");
    }
}

#[test]
fn a_passphrase_is_not_shown() {
    assert_eq!(format!("{:?}", Passphrase::new(PASSPHRASE.into())), "Passphrase(***)");
}

#[test]
fn what_only_looks_like_an_encrypted_key_is_none() {
    let passphrase = Passphrase::new(PASSPHRASE.into());
    for encoded in ["", "no base64!", "AAAA", "MAA="] {
        assert!(decrypt(encoded, &passphrase).is_err(), "{encoded}");
    }
    assert!(
        told(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), None).unwrap_err().contains("no private key in PEM")
    );
}
