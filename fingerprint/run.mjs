// Runs the fingerprint as WebAssembly: node run.mjs xent-fingerprint.wasm
import { readFileSync } from "node:fs";

const bytes = [];
const host = { put: (byte) => bytes.push(byte) };
try {
  const { instance } = await WebAssembly.instantiate(readFileSync(process.argv[2]), { host });
  instance.exports.main(0, 0);
  process.stdout.write(Buffer.from(bytes));
} catch (error) {
  process.stderr.write(Buffer.from(bytes));
  throw error;
}
