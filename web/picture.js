// Puts a picture of the server into an <img>. Without a token the browser loads it by itself; with one, which an <img>
// cannot send, it is fetched and shown as a blob. unload() stops what is under way and frees the blob.

import {request} from './api.js';
import {token} from './token.js';

const loads = new WeakMap();  // img -> {abort, blob}

// Calls onfail() when there is no such picture or the browser cannot show its format.
export function load(img, address, onfail = () => {}) {
  unload(img);
  img.onload = () => img.classList.add('ready');
  img.onerror = () => { if (img.hasAttribute('src')) { img.classList.add('broken'); onfail(); } };
  if (!token()) { img.src = address; return; }
  const entry = {abort: new AbortController(), blob: ''};
  loads.set(img, entry);
  request(address, {signal: entry.abort.signal}).then((response) => response.blob()).then((blob) => {
    if (loads.get(img) !== entry) return;
    entry.blob = URL.createObjectURL(blob);
    img.src = entry.blob;
  }).catch((error) => {
    if (error.name === 'AbortError') return;
    img.classList.add('broken');
    onfail();
  });
}

export function unload(img) {
  img.classList.remove('ready', 'broken');
  img.removeAttribute('src');
  const entry = loads.get(img);
  if (!entry) return;
  entry.abort.abort();
  if (entry.blob) URL.revokeObjectURL(entry.blob);
  loads.delete(img);
}

// The smallest of a few sizes that is sharp at `side` CSS pixels: few sizes, so that caches hit.
export function thumbnailSize(side) {
  const wanted = side * Math.min(devicePixelRatio || 1, 2);
  return [256, 512, 1024].find((size) => size * 1.15 >= wanted) ?? 1024;
}
