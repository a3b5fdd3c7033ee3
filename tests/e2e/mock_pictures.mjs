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
export const discs = (hue, width, height) => png(width, height, discPixel(hue, width, height));

function discPixel(hue, width, height) {
  const ground = rgb(hue, 0.45, 0.82);
  const disc = rgb((hue + 18) % 360, 0.55, 0.45);
  const cx = width * (0.35 + 0.3 * ((hue * 7) % 10) / 10);
  const cy = height * (0.35 + 0.3 * ((hue * 3) % 10) / 10);
  const r2 = (Math.min(width, height) * 0.32) ** 2;
  return (x, y) => ((x - cx) ** 2 + (y - cy) ** 2 < r2 ? disc : ground);
}

// (x, y) -> (a x + b y + left, c x + d y + top), as the API writes it.
export const inverse = ([a, b, left, c, d, top]) => {
  const area = a * d - b * c;
  return [d / area, -b / area, (b * top - d * left) / area, -c / area, a / area, (c * left - a * top) / area];
};
const moved = ([a, b, left, c, d, top], [x, y]) => [a * x + b * y + left, c * x + d * y + top];

// The part of the convex polygon that lies within width x height.
function clipped(polygon, width, height) {
  const edges = [([x]) => x, ([x]) => width - x, ([, y]) => y, ([, y]) => height - y];
  for (const inside of edges) {
    polygon = polygon.flatMap((point, i) => {
      const before = polygon[(i + polygon.length - 1) % polygon.length];
      const [from, to] = [inside(before), inside(point)];
      const cut = from / (from - to);
      const crossing = [before[0] + cut * (point[0] - before[0]), before[1] + cut * (point[1] - before[1])];
      return [...(from < 0 !== to < 0 ? [crossing] : []), ...(to >= 0 ? [point] : [])];
    });
  }
  return polygon;
}
const cornersOf = ({width, height}) => [[0, 0], [width, 0], [width, height], [0, height]];
const areaOf = (polygon) => Math.abs(polygon.reduce((sum, [x, y], i) => sum + x * polygon[(i + 1) % polygon.length][1] - y * polygon[(i + 1) % polygon.length][0], 0)) / 2;

// What a server says of a picture `first` that lies upon `second` by that transform.
export function evidence(transform, first, second, verdict) {
  const [a, b, , c, d] = transform;
  const region = clipped(cornersOf(first).map((point) => moved(transform, point)), second.width, second.height);
  const back = inverse(transform);
  const mirrored = a * d - b * c < 0;
  const same = verdict === 'same';
  return {
    hash: {distance: same ? 14 : 66, form: 'as_is'}, keypoints: {pairs: same ? 212 : 31, inliers: same ? 148 : 9, matched: same ? 0.8 : 0.1, spread: 0.7},
    pixels: {blocks: 61, agreeing: same ? 0.95 : 0.22, correlation: same ? 0.97 : 0.31, block_correlation: same ? 0.95 : 0.2},
    transform, mirrored, turned: Math.atan2(c, mirrored ? -a : a) * 180 / Math.PI, scale: Math.sqrt(Math.abs(a * d - b * c)),
    query_region: region.map((point) => moved(back, point)), query_coverage: Math.min(1, areaOf(region.map((point) => moved(back, point))) / (first.width * first.height)),
    region, coverage: Math.min(1, areaOf(region) / (second.width * second.height)),
  };
}

// How a made picture of w x h was altered: [what, width, height, transform, verdict].
const kAltered = [
  ['scaled', (w, h) => [w / 2, h / 2, [0.5, 0, 0, 0, 0.5, 0], 'same']],
  ['cropped', (w, h) => [Math.round(w * 0.6), Math.round(h * 0.7), [1, 0, -Math.round(w * 0.2), 0, 1, -Math.round(h * 0.15)], 'same']],
  ['mirrored', (w, h) => [w, h, [-1, 0, w, 0, 1, 0], 'same']],
  ['turned', (w, h) => [h, w, [0, -1, h, 1, 0, 0], 'same']],
  ['framed', (w, h) => [w + 80, h + 80, [1, 0, 40, 0, 1, 40], 'same']],
  ['alike', (w, h) => [w, h, [0.9, 0, 20, 0, 0.9, 10], 'similar']],
];

const kShapes = [[480, 640], [640, 480], [600, 600], [450, 800], [800, 500], [640, 640]];
const kNouns = ['kite', 'lamp', 'boat', 'chair', 'leaf', 'stone', 'bottle', 'shoe'];
const kColors = ['red', 'amber', 'olive', 'green', 'teal', 'blue', 'violet', 'rose'];

// `n` pictures made in code. Of each of the first `groups`, up to six altered ones are there too: collection.groups has
// {first, altered: [{item, transform, verdict}]}.
export function madeCollection(n, groups = 0) {
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
  const twins = items.slice(0, groups).map((first, i) => ({first, altered: kAltered.slice(0, 1 + (i * 5) % kAltered.length).map(([name, alter]) => {
    const [width, height, transform, verdict] = alter(first.width, first.height);
    const item = {...first, width: Math.round(width), height: Math.round(height), signature: md5(`${name} ${i}`), source: `made/${name}/${i}.png`, from: {first, transform, verdict},
                  pins: [{...first.pins[0], pin: `pin-${name}-${i}`, description: `${name} ${first.pins[0].description || 'picture'}`}]};
    items.push(item);
    return {item, transform, verdict};
  })}));
  if (n > 5) {  // what hostile pins look like
    items[5].pins[0].description = 'red <img src=x onerror="window.pwned=1"><b>bold</b> hostile';
    items[5].pins[0].link = 'javascript:window.pwned=2';
  }
  // Thumbnails are drawn at a third of what was asked: right in shape, and quick where no picture is looked at closely.
  const drawn = new Map();
  return collection(items, (item, asked) => {
    const longest = asked / (item.from || groups ? 1 : 3);
    const key = `${item.signature} ${longest}`;
    if (!drawn.has(key)) drawn.set(key, draw(item, longest));
    if (drawn.size > 2000) drawn.delete(drawn.keys().next().value);
    return drawn.get(key) ?? draw(item, longest);
  }, twins);
  function draw(item, longest) {
    const scale = Math.min(1, longest / Math.max(item.width, item.height));
    if (item.from) {
      const {first, transform, verdict} = item.from;
      const back = inverse(transform);
      const pixel = discPixel(first.hue + (verdict === 'same' ? 0 : 25), first.width, first.height);
      return png(Math.round(item.width * scale), Math.round(item.height * scale), (x, y) => {
        const [u, v] = moved(back, [x / scale, y / scale]);
        return u < 0 || v < 0 || u > first.width || v > first.height ? [245, 240, 230] : pixel(u, v);
      });
    }
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
function collection(items, draw, groups = []) {
  const bySignature = new Map(items.map((item) => [item.signature, item]));
  const bytes = (item, longest) => {
    const drawn = draw(item, longest);
    if (longest === Infinity) bySignature.set(md5(drawn), item);
    return drawn;
  };
  const find = (signature) => {
    const item = bySignature.get(signature) ?? items.find((one) => one.signature === signature);
    return item && items.includes(item) ? item : null;
  };
  return {items, bytes, groups, find};
}
