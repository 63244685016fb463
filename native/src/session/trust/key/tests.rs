use std::path::PathBuf;
use std::process::Command;

use super::*;

/// OpenSSL in a folder of its own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("onnxhybrid-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn openssl(&self, arguments: &str) {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(&self.0).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    fn read(&self, name: &str, passphrase: Option<&str>) -> Result<PrivateKeyDer<'static>, String> {
        let passphrase = passphrase.map(|text| Passphrase::new(text.into()));
        read(&self.0.join(name), passphrase.as_ref()).map_err(|problem| problem.message)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_key_is_read_with_its_passphrase_however_it_is_encrypted() {
    let folder = Folder::new("ways");
    folder.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out plain.pem");
    let plain = folder.read("plain.pem", None).unwrap();
    for way in ["-v2 aes-256-cbc", "-v2 aes-128-cbc -v2prf hmacWithSHA1", "-v2 des3 -v2prf hmacWithSHA512", "-scrypt"] {
        folder.openssl(&format!("pkcs8 -topk8 -in plain.pem -out key.pem -passout pass:tr\u{e9}s_secret {way}"));
        assert_eq!(folder.read("key.pem", Some("tr\u{e9}s_secret")).unwrap().secret_der(), plain.secret_der(), "{way}");
        let wrong = folder.read("key.pem", Some("other")).unwrap_err();
        assert!(wrong.contains("another passphrase") && !wrong.contains("other\""), "{wrong}");
    }
    assert_eq!(folder.read("plain.pem", Some("unused")).unwrap().secret_der(), plain.secret_der());
}

#[test]
fn a_key_that_cannot_be_read_says_how_to_make_it_one_that_can() {
    let folder = Folder::new("others");
    folder.openssl("genrsa -out plain.pem 2048");
    folder.openssl("pkcs8 -topk8 -in plain.pem -out new.pem -passout pass:s3cret");
    folder.openssl("rsa -in plain.pem -aes128 -traditional -out older.pem -passout pass:s3cret");
    folder.openssl("pkcs8 -topk8 -in plain.pem -v1 PBE-SHA1-3DES -out pbe.pem -passout pass:s3cret");
    for (name, passphrase, words) in [
        (
            "new.pem",
            None,
            "encrypted, and no passphrase was given: oh.Policy(client_certificate=(certificate, key, pass",
        ),
        ("older.pem", Some("s3cret"), "older form; convert it: openssl pkcs8 -topk8"),
        ("older.pem", None, "older form; convert it: openssl pkcs8 -topk8"),
        ("pbe.pem", Some("s3cret"), "not read; convert it: openssl pkcs8 -topk8"),
        ("missing.pem", Some("s3cret"), "cannot be read"),
    ] {
        let told = folder.read(name, passphrase).unwrap_err();
        assert!(told.contains(words) && !told.contains("s3cret"), "{told}");
    }
}

#[test]
fn a_passphrase_is_not_shown() {
    assert_eq!(format!("{:?}", Passphrase::new("s3cret".into())), "Passphrase(***)");
}

#[test]
fn what_only_looks_like_an_encrypted_key_is_none() {
    let folder = Folder::new("odd");
    for body in ["", "no base64!", "AAAA", "MAA="] {
        std::fs::write(folder.0.join("key.pem"), format!("{BEGIN}\n{body}\n{END}\n")).unwrap();
        assert!(folder.read("key.pem", Some("x")).is_err());
    }
    std::fs::write(folder.0.join("key.pem"), [0xFF, 0xFE]).unwrap();
    assert!(folder.read("key.pem", None).unwrap_err().contains("holds no private key in PEM"));
}
