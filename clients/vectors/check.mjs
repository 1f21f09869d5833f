// Checks a bucketing in JavaScript against million.bin: node check.mjs million.bin
import { readFileSync } from "node:fs";

const SALTS = ["", "r-1", "r-2", "r-3a7f", "shop/answer|7", "a:b", "söder:malm", "巡回🎈"];
const UNITS = 125_000;
const BUCKETS = 10_000;
const utf8 = new TextEncoder();

/** The i-th unit. */
function name(i) {
  switch (i % 5) {
    case 0:
      return `user-${i}`;
    case 1: // a product below 2 ** 53, so that it is exact
      return ((i * 2_654_435_761) % 2 ** 32).toString(16).padStart(8, "0");
    case 2:
      return `${i}@example.org`;
    case 3:
      return `kundin ü ${i}`;
    default:
      return `利用者${i}🙂`;
  }
}

const rotated = (value, by) => (value << by) | (value >>> (32 - by));

/** MurmurHash3_x86_32 with seed 0, unsigned; Math.imul wraps around where * would lose digits. */
function murmur3(data) {
  let state = 0;
  for (let at = 0; at < data.length; at += 4) {
    let word = 0;
    for (let i = 0; i < 4 && at + i < data.length; i++) word |= data[at + i] << (8 * i);
    state ^= Math.imul(rotated(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
    if (at + 4 <= data.length) state = (Math.imul(rotated(state, 13), 5) + 0xe6546b64) | 0;
  }
  state ^= data.length;
  state = Math.imul(state ^ (state >>> 16), 0x85ebca6b);
  state = Math.imul(state ^ (state >>> 13), 0xc2b2ae35);
  return (state ^ (state >>> 16)) >>> 0;
}

const told = readFileSync(process.argv[2]);
const pairs = SALTS.length * UNITS;
if (told.length !== 2 * pairs) {
  console.error(`${process.argv[2]} has ${told.length} bytes, not ${2 * pairs}`);
  process.exit(1);
}
for (let n = 0; n < pairs; n++) {
  const salt = SALTS[Math.floor(n / UNITS)];
  const unit = name(n % UNITS);
  const found = murmur3(utf8.encode(`${salt}:${unit}`)) % BUCKETS;
  const expected = told.readUInt16LE(2 * n);
  if (found !== expected) {
    console.error(`pair ${n}, salt '${salt}', unit '${unit}': bucket ${found}, not ${expected}`);
    process.exit(1);
  }
}
console.log(`${pairs} pairs agree`);
