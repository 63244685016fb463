//! PEM files: of authorities, of a client's certificate and key.
#![no_main]

use libfuzzer_sys::fuzz_target;
use onnxhybrid::session::trust::{ClientCertificate, Trust};
use onnxhybrid_fuzz::file;

fuzz_target!(|data: &[u8]| {
    let path = file(data);
    let _ = Trust::new(Some(path.clone()), None);
    let _ = Trust::new(None, Some(ClientCertificate::new(&path, &path, None)));
});
