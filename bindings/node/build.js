// Builds the addon with cargo and puts it beside index.js.
'use strict';

const { execFileSync } = require('node:child_process');
const { copyFileSync, renameSync } = require('node:fs');
const { join } = require('node:path');

const native = join(__dirname, 'native');
execFileSync('cargo', ['build', '--release', '--locked'], { cwd: native, stdio: 'inherit' });
const name = { win32: 'onnxhybrid_node.dll', darwin: 'libonnxhybrid_node.dylib' }[process.platform] ?? 'libonnxhybrid_node.so';
const made = join(__dirname, `onnxhybrid.node.${process.pid}`);
copyFileSync(join(process.env.CARGO_TARGET_DIR ?? join(native, 'target'), 'release', name), made);
renameSync(made, join(__dirname, 'onnxhybrid.node')); // a running process may have the old one mapped
