// Collections for the mock server: pictures made in code, or the files of real folders.
//
// A collection is {items, find(signature), bytes(item, longest side)}; an item has signature, width, height, format,
// source, hue (degrees, what the mock's search compares), pins. Made pictures depend on their number alone.

import {createHash} from 'node:crypto';
import {readdirSync, readFileSync} from 'node:fs';
import {basename, dirname, extname, join} from 'node:path';
import {deflateSync} from 'node:zlib';

export const md5 = (bytes) => createHash('md5').update(bytes).digest('hex');

const crcTable = Int32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit += 1) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc(bytes) {
  let value = -1;
  for (const byte of bytes) value = crcTable[(value ^ byte) & 255] ^ (value >>> 8);
  return (value ^ -1) >>> 0;
}

function chunk(type, data) {
  const out = Buffer.alloc(12 + data.length);
  out.writeUInt32BE(data.length, 0);
  out.write(type, 4, 'latin1');
  data.copy(out, 8);
  out.writeUInt32BE(crc(out.subarray(4, 8 + data.length)), 8 + data.length);
  return out;
}

// An RGB PNG; pixel(x, y) -> [r, g, b], each 0 to 255.
export function png(width, height, pixel) {
  const rows = Buffer.alloc((1 + 3 * width) * height);
  for (let y = 0, at = 0; y < height; y += 1) {
    at += 1;  // filter: none
    for (let x = 0; x < width; x += 1) for (const value of pixel(x, y)) rows[at++] = value;
  }
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows, {level: 1})), chunk('IEND', Buffer.alloc(0))]);
}

export function rgb(hue, saturation, light) {
  const a = saturation * Math.min(light, 1 - light);
  return [0, 8, 4].map((n) => {
    const k = (n + hue / 30) % 12;
    return Math.round(255 * (light - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  });
}

// A disc on a ground, both of one hue: enough for an eye, and for a test, to tell pictures apart.
export function discs(hue, width, height) {
  const ground = rgb(hue, 0.45, 0.82);
  const disc = rgb((hue + 18) % 360, 0.55, 0.45);
  const cx = width * (0.35 + 0.3 * ((hue * 7) % 10) / 10);
  const cy = height * (0.35 + 0.3 * ((hue * 3) % 10) / 10);
  const r2 = (Math.min(width, height) * 0.32) ** 2;
  return png(width, height, (x, y) => ((x - cx) ** 2 + (y - cy) ** 2 < r2 ? disc : ground));
}

const kShapes = [[480, 640], [640, 480], [600, 600], [450, 800], [800, 500], [640, 640]];
const kNouns = ['kite', 'lamp', 'boat', 'chair', 'leaf', 'stone', 'bottle', 'shoe'];
const kColors = ['red', 'amber', 'olive', 'green', 'teal', 'blue', 'violet', 'rose'];

// `n` pictures made in code.
export function madeCollection(n) {
  const items = Array.from({length: n}, (_, i) => {
    const [width, height] = kShapes[(i * 7 + (i >> 3)) % kShapes.length];
    const hue = (i * 137.5) % 360;
    const noun = kNouns[(i * 5) % kNouns.length];
    const title = `${noun[0].toUpperCase()}${noun.slice(1)}s`;
    const description = i % 11 === 3 ? '' : `${kColors[Math.floor(hue / 45)]} ${noun} number ${i}`;
    return {signature: md5(`made ${i}`), width, height, format: 'png', hue, source: `made/${noun}/${i}.png`, bytes: 4000 + i,
            pins: [{pin: `pin-${i}`, board: noun, board_title: title, user: i % 3 ? 'ann' : '', description,
                    link: i % 2 ? `https://example.org/${i}` : ''}]};
  });
  if (n > 5) {  // what hostile pins look like
    items[5].pins[0].description = 'red <img src=x onerror="window.pwned=1"><b>bold</b> hostile';
    items[5].pins[0].link = 'javascript:window.pwned=2';
  }
  // Thumbnails are drawn at a third of what was asked: right in shape, and quick where no picture is looked at closely.
  const drawn = new Map();
  return collection(items, (item, asked) => {
    const longest = asked / 3;
    const key = `${item.signature} ${longest}`;
    if (!drawn.has(key)) drawn.set(key, draw(item, longest));
    if (drawn.size > 2000) drawn.delete(drawn.keys().next().value);
    return drawn.get(key) ?? draw(item, longest);
  });
  function draw(item, longest) {
    const scale = Math.min(1, longest / Math.max(item.width, item.height));
    return discs(item.hue, Math.round(item.width * scale), Math.round(item.height * scale));
  }
}

// Width and height of a baseline or progressive JPEG, or of a PNG; null for anything else.
export function pictureSize(bytes) {
  if (bytes.length > 24 && bytes.readUInt32BE(0) === 0x89504e47) return {width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20), format: 'png'};
  if (bytes.length < 4 || bytes.readUInt16BE(0) !== 0xffd8) return null;
  for (let at = 2; at + 9 < bytes.length;) {
    const marker = bytes[at + 1];
    if (bytes[at] !== 0xff) return null;
    if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return {width: bytes.readUInt16BE(at + 7), height: bytes.readUInt16BE(at + 5), format: 'jpeg'};
    }
    at += 2 + bytes.readUInt16BE(at + 2);
  }
  return null;
}

// The JPEG and PNG files below `folder`, the folder of each as its board; at most `most`, evenly spread.
export function folderCollection(folder, most = 5000) {
  const files = readdirSync(folder, {recursive: true}).filter((name) => /\.(jpe?g|png)$/i.test(name)).sort();
  const items = [];
  for (let i = 0; i < files.length; i += Math.max(1, files.length / most)) {
    const name = files[Math.floor(i)];
    const bytes = readFileSync(join(folder, name));
    const size = pictureSize(bytes);
    if (!size) continue;
    const board = basename(dirname(join(folder, name)));
    items.push({...size, signature: md5(bytes), bytes: bytes.length, source: join(folder, name), hue: 0, near: board,
                pins: [{pin: name, board, board_title: board, user: '', description: `${board} ${basename(name, extname(name)).slice(0, 6)}`, link: ''}]});
  }
  items.sort((a, b) => (a.signature < b.signature ? -1 : 1));
  return collection(items, (item) => readFileSync(item.source));
}

// Made pictures are named by their number, since 50,000 would take long to draw; once drawn, their MD5 finds them too.
function collection(items, draw) {
  const byBytes = new Map();
  const bytes = (item, longest) => {
    const drawn = draw(item, longest);
    if (longest === Infinity) byBytes.set(md5(drawn), item);
    return drawn;
  };
  const find = (signature) => items.find((item) => item.signature === signature || item === byBytes.get(signature)) ?? null;
  return {items, bytes, find};
}
